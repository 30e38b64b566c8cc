// When the whole list was last found good, by a validation or by a pass of the scrub.

import Chain
import Synchronization

/// A validation of the whole list that has ended.
struct EndedValidation: Hashable, Sendable {
    /// In seconds since the Unix epoch.
    let endedTime: Int64
    let durationSeconds: Double
    /// How many blocks were checked.
    let blocks: Int
    let isValid: Bool
}

/// Remembers what looked at the whole list last. Shared by those who do and those who ask.
final class Verification: Sendable {
    private struct State {
        var validation: EndedValidation?
        var scrubEndedTime: Int64?
    }

    private let now: @Sendable () -> Int64
    private let state = Mutex(State())

    /// - Parameter now: gives seconds since the Unix epoch.
    init(now: @escaping @Sendable () -> Int64) {
        self.now = now
    }

    /// The last validation; `nil` before the first one has ended.
    var validation: EndedValidation? { state.withLock { $0.validation } }

    /// When the scrub last came to the end of the list.
    var scrubEndedTime: Int64? { state.withLock { $0.scrubEndedTime } }

    func validationEnded(blocks: Int, durationSeconds: Double, isValid: Bool) {
        let ended = EndedValidation(
            endedTime: now(), durationSeconds: durationSeconds, blocks: blocks, isValid: isValid)
        state.withLock { $0.validation = ended }
    }

    func validationEnded(_ report: ValidationReport, durationSeconds: Double) {
        validationEnded(blocks: report.blocks, durationSeconds: durationSeconds, isValid: report.fault == nil)
    }

    func scrubEnded() {
        let time = now()
        state.withLock { $0.scrubEndedTime = time }
    }

    /// How long ago the whole list was last found good; `nil` if it was not yet, or the last validation found a fault: a pass of
    /// the scrub does not see an identity that stands there twice.
    var goodAgeSeconds: Int64? {
        let (validation, scrubEndedTime) = state.withLock { ($0.validation, $0.scrubEndedTime) }
        if let validation, !validation.isValid { return nil }
        let last = [validation?.endedTime, scrubEndedTime].compactMap(\.self).max()
        return last.map { max(0, now() - $0) }
    }
}
