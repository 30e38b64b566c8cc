// Where appends wait that came to this node, until its part in the consensus takes them.

import Chain
import Synchronization

/// Takes appends from any thread, as many as may wait. What it gave out counts until it is answered.
final class AppendInbox: Sendable {
    typealias Answer = @Sendable (Result<[Block], AppendError>) -> Void

    /// An append that waits.
    struct Waiting: Sendable {
        let request: AppendRequest
        let dataSizeBytes: Int
        let arrivedSeconds: Double
        let answer: Answer
    }

    private struct Content {
        var waiting: [Waiting] = []
        /// What waits, and what was given out and is not answered yet.
        var count = 0
        var dataSizeBytes = 0
        /// Why nothing is taken.
        var refusal: AppendError?
    }

    private let countMax: Int
    private let sizeBytesMax: Int
    private let content: Mutex<Content>

    init(countMax: Int, sizeBytesMax: Int, refusal: AppendError) {
        self.countMax = countMax
        self.sizeBytesMax = sizeBytesMax
        content = Mutex(Content(refusal: refusal))
    }

    /// Why nothing is taken now.
    var refusal: AppendError? { content.withLock { $0.refusal } }

    /// Takes an append.
    ///
    /// - Returns: whether nothing waited before it.
    func push(_ waiting: Waiting) -> Result<Bool, AppendError> {
        content.withLock { content in
            if let refusal = content.refusal { return .failure(refusal) }
            // One append is always taken, however large it is against the limit.
            guard
                content.count == 0
                    || content.count < countMax && content.dataSizeBytes + waiting.dataSizeBytes <= sizeBytesMax
            else { return .failure(.queueFull) }
            content.count += 1
            content.dataSizeBytes += waiting.dataSizeBytes
            content.waiting.append(waiting)
            return .success(content.waiting.count == 1)
        }
    }

    /// Whether an append waits.
    var isEmpty: Bool { content.withLock { $0.waiting.isEmpty } }

    /// Gives out what waits.
    func takeAll() -> [Waiting] { content.withLock { exchange(&$0.waiting, with: []) } }

    /// An append that was given out is answered.
    func answered(dataSizeBytes: Int) {
        content.withLock { content in
            content.count -= 1
            content.dataSizeBytes -= dataSizeBytes
        }
    }

    /// Takes nothing from now on for a reason, and gives out what waits; or takes appends again.
    func refuse(_ refusal: AppendError?) -> [Waiting] {
        content.withLock { content in
            content.refusal = refusal
            return refusal == nil ? [] : exchange(&content.waiting, with: [])
        }
    }
}
