// Reads single blocks: those that are asked for at a time are read in one go.

import Synchronization

/// Collects the heights that are asked for. What is asked for while some are read is read next, so there is no timer, and
/// many requests cost one way to the reader's thread and one read transaction.
final class Lookups: Sendable {
    /// Takes a block; on the reader's thread.
    typealias Answer = @Sendable (Result<Block?, ReadError>) -> Void

    private struct Pool {
        var waiting: [(height: Int, answer: Answer)] = []
        /// Whether somebody is reading, and will look at the pool again.
        var isReading = false
    }

    /// Blocks in one read transaction.
    private static let batchMax = 64

    private let pool = Mutex(Pool())
    private let reader: StoreReader
    private let state: ListState

    init(reader: StoreReader, state: ListState) {
        self.reader = reader
        self.state = state
    }

    /// Reads a block that the list has, and checks it.
    func read(_ height: Int, answer: @escaping Answer) {
        let starts = pool.withLock { pool in
            pool.waiting.append((height, answer))
            defer { pool.isReading = true }
            return !pool.isReading
        }
        if starts { readNext() }
    }

    /// Reads a batch. Whoever else wants to read has a turn before the next one.
    private func readNext() {
        reader.perform { [self] reader in
            let batch = pool.withLock { pool in
                let batch = Array(pool.waiting.prefix(Lookups.batchMax))
                pool.waiting.removeFirst(batch.count)
                if batch.isEmpty { pool.isReading = false }
                return batch
            }
            if batch.isEmpty { return }
            // All are answered together: whoever waits for several wakes up once.
            for (request, result) in zip(batch, reader.blocks(at: batch.map(\.height))) {
                if case .failure(.damaged(let height)) = result { state.damaged(height) }
                request.answer(result.map { $0 })
            }
            readNext()
        }
    }
}
