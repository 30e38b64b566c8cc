// Checks the calls of clients against the list that a group ended with: whether they are linearizable, exactly, in time that
// grows with their number only (and that of sorting them).
//
// In general that is a search for an order of the calls; here the list is the order. Whatever the calls saw says of some
// height k either "the list had k by then" (whoever was answered with block k, or with a later head) or "not before then"
// (whoever sent block k; whoever was later shown a head below k, or none at k). Let T(k) be when the list came to height k:
// each call bounds a T(k) from below by its start or from above by its end, and T never falls. The earliest T that is
// possible is the greatest lower bound at or below k, so there is a T if and only if none of these is above an upper bound at
// or above k; and with that T each call has a moment between its start and its end at which the list was as it says.

import TestSupport

/// A promise that a history broke.
struct HistoryViolation: Hashable, CustomStringConvertible {
    enum Kind: Hashable {
        /// An acknowledged block is not in the list, or is another one there.
        case lost
        case twice
        /// What was refused is there.
        case refusedButThere
        /// Nobody sent it.
        case unsent
        /// Parts of a batch, or other blocks between them, or a head inside of it.
        case torn
        /// One key, and two different answers.
        case answersDiffer
        /// A block does not follow the one that it had to, or was refused although it would have.
        case lastHash
        /// A read showed what is not in the list.
        case unlisted
        /// What came first in real time comes later in the list.
        case order
        /// A node does not show what it acknowledged itself.
        case invisible
        case orphaned
        /// An answer that there should not be.
        case unexpected
    }

    let kind: Kind
    let description: String

    init(_ kind: Kind, _ text: String) {
        self.kind = kind
        description = "\(kind): \(text)"
    }
}

/// The calls of one history and the list at its end.
struct HistoryCheck {
    private let list: [BlockAnswer]
    /// By the height, the heights of the append that it came with.
    private var atoms: [ClosedRange<Int>]
    private var places: [String: [Int]] = [:]
    private var bounds: TimeBounds
    private var violations: [HistoryViolation] = []

    /// What a history broke, in no particular order; nothing if it is as it should be.
    ///
    /// - Parameters:
    ///   - list: from the genesis on.
    ///   - orphans: the hashes of blocks that nodes have taken out of their lists.
    ///   - forgetfulNodes: those whose disks were set back, so that they do not show what they once did.
    static func violations(
        of calls: [ClientCall], list: [BlockAnswer], orphans: Set<String> = [], forgetfulNodes: Set<Int> = []
    ) -> [HistoryViolation] {
        var check = HistoryCheck(list: list)
        check.checkAppends(calls, orphans: orphans)
        check.checkReads(calls)
        check.checkOwnWrites(calls.filter { !forgetfulNodes.contains($0.node) })
        for call in calls {
            if case .unexpected(let answer) = call.outcome { check.report(.unexpected, answer) }
        }
        return check.violations + check.bounds.contradictions
    }

    private init(list: [BlockAnswer]) {
        self.list = list
        atoms = list.indices.map { $0...$0 }
        bounds = TimeBounds(heights: list.count)
        for (height, block) in list.enumerated() { places[block.data, default: []].append(height) }
    }

    private mutating func report(_ kind: HistoryViolation.Kind, _ text: String) {
        violations.append(HistoryViolation(kind, text))
    }

    // MARK: Appends

    private mutating func checkAppends(_ calls: [ClientCall], orphans: Set<String>) {
        var tries: [[String]: [ClientCall]] = [:]
        for call in calls {
            if case .append(let texts, _, _) = call.request { tries[texts, default: []].append(call) }
        }
        var sent: Set<String> = []
        for (texts, calls) in tries {
            sent.formUnion(texts)
            checkAppend(texts, calls, orphans: orphans)
        }
        for block in list.dropFirst() where !sent.contains(block.data) {
            report(.unsent, "block \(block.height) was sent by nobody")
        }
    }

    /// One append, with all tries that had its key.
    private mutating func checkAppend(_ texts: [String], _ tries: [ClientCall], orphans: Set<String>) {
        let answers = tries.compactMap { call -> [BlockAnswer]? in
            if case .appended(let blocks) = call.outcome { blocks } else { nil }
        }
        if Set(answers).count > 1 { report(.answersDiffer, "\(texts[0]): \(answers)") }
        for block in answers.first ?? [] {
            if block.height >= list.count || list[block.height] != block { report(.lost, "\(block)") }
            if orphans.contains(block.hash) { report(.orphaned, "\(block)") }
        }
        if let answer = answers.first, answer.map(\.data) != texts { report(.lost, "\(texts) became \(answer)") }
        let heights = texts.map { places[$0] ?? [] }
        guard let first = heights[0].first else {
            if heights.contains(where: { !$0.isEmpty }) { report(.torn, "\(texts): \(heights)") }
            return
        }
        for (text, heights) in zip(texts, heights) where heights.count > 1 { report(.twice, "\(text): \(heights)") }
        let last = first + texts.count - 1
        guard heights.map(\.first) == Array(first...last) else { return report(.torn, "\(texts): \(heights)") }
        for height in first...last { atoms[height] = first...last }
        let makers = tries.filter { $0.mayHaveAppended }
        guard let start = makers.map(\.startSeconds).min() else {
            return report(.refusedButThere, "\(texts[0]) is at height \(first): \(tries.map(\.outcome))")
        }
        bounds.reached(first, after: start, "\(texts[0]) was sent")
        for call in tries {
            if case .appended = call.outcome {
                bounds.reached(last, before: call.endSeconds, "\(texts[0]) was acknowledged")
            }
            if case .append(_, let lastHash?, _) = call.request, call.mayHaveAppended,
                list[first].previousHash != lastHash
            {
                report(.lastHash, "block \(first) does not follow \(lastHash)")
            }
        }
    }

    // MARK: Reads

    private mutating func checkReads(_ calls: [ClientCall]) {
        for call in calls {
            switch (call.request, call.outcome) {
            // A refusal for the sake of the head is a read of it.
            case (.append(_, let lastHash, _), .invalidLastHash(let head)):
                if head.hash == lastHash { report(.lastHash, "block \(head.height) was the head that was named") }
                checkHead(head, call, isLinearizable: true)
            case (.head(let isLinearizable), .read(let head)):
                checkHead(head, call, isLinearizable: isLinearizable)
            case (.block(let height, _), .read(let block)):
                if block.height != height { report(.unlisted, "\(block.height) for \(height)") }
                checkBlock(block, call)
            case (.block(let height, isLinearizable: true), .missing) where height < list.count:
                bounds.reached(atoms[height].lowerBound, after: call.startSeconds, "a read did not find \(height)")
            default: break
            }
        }
    }

    @discardableResult
    private mutating func checkBlock(_ block: BlockAnswer, _ call: ClientCall) -> Bool {
        guard block.height < list.count, list[block.height] == block else {
            report(.unlisted, "node \(call.node) showed \(block)")
            return false
        }
        bounds.reached(
            atoms[block.height].upperBound, before: call.endSeconds, "node \(call.node) showed \(block.height)")
        return true
    }

    private mutating func checkHead(_ head: BlockAnswer, _ call: ClientCall, isLinearizable: Bool) {
        guard checkBlock(head, call) else { return }
        if atoms[head.height].upperBound != head.height {
            report(.torn, "the head \(head.height) is inside of \(atoms[head.height])")
        }
        guard isLinearizable, head.height + 1 < list.count else { return }
        bounds.reached(
            head.height + 1, after: call.startSeconds, "node \(call.node) showed \(head.height) as the head")
    }

    /// A node shows what it acknowledged, at once and also to who asks for no more than what it has.
    private mutating func checkOwnWrites(_ calls: [ClientCall]) {
        for calls in Dictionary(grouping: calls, by: \.node).values {
            var acknowledged = calls.compactMap { call -> (height: Int, endSeconds: Double)? in
                guard case .appended(let blocks) = call.outcome, let last = blocks.last else { return nil }
                return (last.height, call.endSeconds)
            }.sorted { $0.endSeconds < $1.endSeconds }[...]
            var height = 0
            for call in calls.sorted(by: { $0.startSeconds < $1.startSeconds }) {
                while let next = acknowledged.first, next.endSeconds < call.startSeconds {
                    height = max(height, next.height)
                    acknowledged.removeFirst()
                }
                let shown: Int? =
                    switch (call.request, call.outcome) {
                    case (.head, .read(let head)): head.height
                    case (.block(let missing, _), .missing): missing - 1
                    default: nil
                    }
                if let shown, shown < height {
                    report(.invisible, "node \(call.node) had acknowledged \(height), and showed no more than \(shown)")
                }
            }
        }
    }
}

extension ClientCall {
    /// Whether the blocks of an append may come from this call.
    fileprivate var mayHaveAppended: Bool {
        switch outcome {
        case .appended, .unknown, .unexpected: true
        case .invalidLastHash, .read, .missing, .refused: false
        }
    }
}

/// What is known of when a list came to each of its heights.
private struct TimeBounds {
    private struct Bound {
        var seconds: Double
        var reason: String
    }

    private var lower: [Bound]
    private var upper: [Bound]

    init(heights: Int) {
        lower = Array(repeating: Bound(seconds: -.infinity, reason: ""), count: heights)
        upper = Array(repeating: Bound(seconds: .infinity, reason: ""), count: heights)
    }

    /// The list came to a height after a moment.
    mutating func reached(_ height: Int, after seconds: Double, _ reason: @autoclosure () -> String) {
        if seconds > lower[height].seconds { lower[height] = Bound(seconds: seconds, reason: reason()) }
    }

    /// The list had come to a height before a moment.
    mutating func reached(_ height: Int, before seconds: Double, _ reason: @autoclosure () -> String) {
        if seconds < upper[height].seconds { upper[height] = Bound(seconds: seconds, reason: reason()) }
    }

    /// The first height that cannot have come when it must have, if there is one.
    var contradictions: [HistoryViolation] {
        var latest = upper
        for height in latest.indices.dropLast().reversed() where latest[height + 1].seconds < latest[height].seconds {
            latest[height] = latest[height + 1]
        }
        var earliest = Bound(seconds: -.infinity, reason: "")
        for height in lower.indices {
            if lower[height].seconds > earliest.seconds { earliest = lower[height] }
            if earliest.seconds > latest[height].seconds {
                let text =
                    "\(latest[height].reason) until \(latest[height].seconds) s, and \(earliest.reason) after "
                    + "\(earliest.seconds) s"
                return [HistoryViolation(.order, "height \(height): \(text)")]
            }
        }
        return []
    }
}
