// Reads that have to see all that was answered before them, and orphans that are sent into the order again.

import Chain
import Synchronization

/// Is called once a read may be done, or with why it may not, on any thread.
typealias ReadAnswer = @Sendable (_ refusal: String?) -> Void

extension Consensus {
    /// Calls `answer` once this list has all that had been put in order when this was called, whoever answered it.
    func awaitOrder(answer: @escaping ReadAnswer) {
        if let refusal = readRefusal { return answer(refusal) }
        newReads.append(answer)
        schedule(.read)
        onChange()
    }

    /// The same for a caller that is a task; the answer is not waited for once it is cancelled.
    ///
    /// - Throws: `OrderNotKnown`; `CancellationError`.
    nonisolated func awaitOrder() async throws {
        let (answers, continuation) = AsyncStream.makeStream(of: String?.self)
        await awaitOrder { continuation.yield($0) }
        for await refusal in answers {
            if let refusal { throw OrderNotKnown(reason: refusal) }
            return
        }
        throw CancellationError()
    }

    private var readRefusal: String? {
        if isStopping { return "the node stops" }
        switch phase {
        case .entering(let reason), .blocked(let reason): return reason
        case .following: return nil
        }
    }

    /// Finds out how far the list has to be for the reads that came before: by a transaction that writes, one for all of them.
    func findReadHeight() async {
        while !newReads.isEmpty {
            let reads = exchange(&newReads, with: [])
            do throws(EtcdError) {
                try await snapshot()
                let height = view.head.value?.record.height ?? 0
                waitingReads += reads.map { (height, nowSeconds(), $0) }
                if height > list.height { schedule(.follow) }
                await answerWhatIsThere()
            } catch {
                for read in reads { read(error.description) }
            }
            giveUpOldReads()
        }
    }

    /// Where the list stays behind the order, nobody waits any more for those that came long ago.
    private func giveUpOldReads() {
        let oldest = nowSeconds() - settings.appendSeconds
        let old = waitingReads.filter { $0.sinceSeconds < oldest }
        waitingReads.removeAll { $0.sinceSeconds < oldest }
        for read in old { read.answer("this node is behind the order") }
    }

    // MARK: Orphans

    /// Sends blocks that gave way to the order, and that it lacks, to be put in order.
    func sendOrphans() async {
        guard phase == .following, inbox.refusal == nil else { return }
        do throws(AppendError) {
            var id: Int? = 0
            while let last = id {
                let page = try await list.pendingOrphans(after: last)
                for block in page.blocks where reappending.begin(block.identity) {
                    let request = AppendRequest(drafts: [Draft(data: block.data, origin: Origin(of: block))])
                    // One that was not taken is found again the next time.
                    append(request) { [reappending] _ in reappending.end(block.identity) }
                }
                id = page.lastID
            }
        } catch {
            tell("sending orphans again", error.description)
        }
    }
}

/// Why it is not known what had been put in order.
struct OrderNotKnown: Error {
    /// In a line.
    let reason: String
}

/// The identities of orphans that are on their way into the order.
final class ReappendingOrphans: Sendable {
    private static let countMax = 200
    private let identities = Mutex<Set<Hash>>([])

    /// - Returns: false if it is on its way, or enough are.
    func begin(_ identity: Hash) -> Bool {
        identities.withLock { $0.count < Self.countMax && $0.insert(identity).inserted }
    }

    func end(_ identity: Hash) { identities.withLock { _ = $0.remove(identity) } }
}
