// Puts appends in order: those that wait together are one transaction.

import Synchronization

/// Collects appends in a pool and commits the pool in one go. What arrives during one commit is the next pool, so
/// there is no timer. The pool belongs to the sequencer; the lock is held for the length of a push only.
final class Sequencer: Sendable {
    /// Takes what became of an append.
    typealias Answer = @Sendable (Result<[Block], AppendError>) -> Void

    private struct Waiter {
        let request: AppendRequest
        let dataSizeBytes: Int
        let answer: Answer
    }

    private struct Pool {
        var waiters: [Waiter] = []
        var dataSizeBytes = 0
        /// Whether somebody is committing, and will look at the pool again.
        var isCommitting = false
        var isClosed = false
        /// Waits for the last commit, once the pool is closed.
        var closer: CheckedContinuation<Void, Never>?
    }

    /// Text that one transaction takes, at most; one larger request is alone.
    private static let batchSizeBytesMax = 16 * 1024 * 1024

    private let pool = Mutex(Pool())
    private let writer: StoreWriter
    private let options: BlockListOptions
    private let now: @Sendable () -> Int64

    init(writer: StoreWriter, options: BlockListOptions, now: @escaping @Sendable () -> Int64) {
        self.writer = writer
        self.options = options
        self.now = now
    }

    /// Appends, and calls `answer` once the blocks are on disk, or at once if the request is refused.
    func append(_ request: AppendRequest, answer: @escaping Answer) {
        do throws(AppendError) {
            let dataSizeBytes = try request.checkedSizeBytes(dataSizeBytesMax: options.dataSizeBytesMax)
            let waiter = Waiter(request: request, dataSizeBytes: dataSizeBytes, answer: answer)
            if try push(waiter).get() { commitNext() }
        } catch {
            answer(.failure(error))
        }
    }

    /// Takes no more appends, and waits until those taken are answered.
    func close() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isIdle = pool.withLock { pool in
                pool.isClosed = true
                if pool.isCommitting { pool.closer = continuation }
                return !pool.isCommitting
            }
            if isIdle { continuation.resume() }
        }
    }

    /// - Returns: whether the caller has to start committing.
    private func push(_ waiter: Waiter) -> Result<Bool, AppendError> {
        pool.withLock { pool in
            if pool.isClosed { return .failure(.closed) }
            // One append is always taken, however large it is against the limit.
            guard
                pool.waiters.isEmpty
                    || pool.waiters.count < options.queueAppendsMax
                        && pool.dataSizeBytes + waiter.dataSizeBytes <= options.queueSizeBytesMax
            else { return .failure(.queueFull) }
            pool.waiters.append(waiter)
            pool.dataSizeBytes += waiter.dataSizeBytes
            defer { pool.isCommitting = true }
            return .success(!pool.isCommitting)
        }
    }

    /// Commits a batch. Whoever else wants to write has a turn before the next one.
    private func commitNext() {
        writer.perform { [self] writer in
            let batch = takeBatch()
            if batch.isEmpty { return }
            let results = writer.commit(batch.map(\.request), now: now())
            for (waiter, result) in zip(batch, results) { waiter.answer(result) }
            commitNext()
        }
    }

    /// What the next transaction takes; nothing, and the end of committing, if nobody waits.
    private func takeBatch() -> [Waiter] {
        let (batch, closer) = pool.withLock { pool -> ([Waiter], CheckedContinuation<Void, Never>?) in
            guard !pool.waiters.isEmpty else {
                pool.isCommitting = false
                defer { pool.closer = nil }
                return ([], pool.closer)
            }
            var count = 0
            var sizeBytes = 0
            for waiter in pool.waiters {
                if count > 0 && sizeBytes + waiter.dataSizeBytes > Sequencer.batchSizeBytesMax { break }
                count += 1
                sizeBytes += waiter.dataSizeBytes
            }
            let batch = Array(pool.waiters.prefix(count))
            pool.waiters.removeFirst(count)
            pool.dataSizeBytes -= sizeBytes
            return (batch, nil)
        }
        closer?.resume()
        return batch
    }
}
