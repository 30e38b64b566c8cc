// What is known of the list without reading it: shared by the writer, the readers and the validation.

import Synchronization

/// The last block, as the writer knows it.
struct Head: Sendable {
    var height: Int
    var hash: Hash
    var timestamp: Int64
}

/// The head, how far the list was validated, and which blocks are known to be damaged. Owned by the list; locked for
/// the length of a copy only.
final class ListState: Sendable {
    /// Damaged heights that are remembered, the lowest ones.
    static let damagedMax = 10_000

    private struct Values {
        var head: Head
        var openedEndHeight = 1
        var validatedHeight: Int?
        var damaged: Set<Int> = []
    }

    private let values: Mutex<Values>

    /// Begins with the genesis, as every list does, until the writer has read the head.
    init() {
        let genesis = Block.genesis
        values = Mutex(
            Values(head: Head(height: genesis.height, hash: genesis.hash, timestamp: genesis.timestamp)))
    }

    var head: Head { values.withLock { $0.head } }

    /// The height after the last block that was there when the list was opened.
    var openedEndHeight: Int { values.withLock { $0.openedEndHeight } }

    var validatedHeight: Int? { values.withLock { $0.validatedHeight } }

    /// The damaged heights, ascending.
    var damagedHeights: [Int] { values.withLock { $0.damaged }.sorted() }

    /// The head that was there when the list was opened.
    func opened(with head: Head) {
        values.withLock { values in
            values.head = head
            values.openedEndHeight = head.height + 1
        }
    }

    /// A new head, whose block was made by this process: it counts as validated where everything before it was.
    func advance(to head: Head) {
        values.withLock { values in
            if values.validatedHeight == values.head.height { values.validatedHeight = head.height }
            values.head = head
        }
    }

    /// Blocks up to `height` were validated; below 0, none.
    func validated(upTo height: Int) {
        guard height >= 0 else { return }
        values.withLock { $0.validatedHeight = max($0.validatedHeight ?? 0, height) }
    }

    /// Every block up to `height` was validated, and `damaged` are those that are not good.
    func validatedAll(upTo height: Int, damaged: [Int]) {
        values.withLock { values in
            values.damaged = values.damaged.filter { $0 > height }.union(damaged.prefix(ListState.damagedMax))
            if let first = values.damaged.min() {
                values.validatedHeight = first > 0 ? first - 1 : nil
            } else {
                // What follows was appended by this process.
                values.validatedHeight = values.head.height
            }
        }
    }

    /// A read found a block damaged.
    func damaged(_ height: Int) {
        values.withLock { values in
            guard values.damaged.count < ListState.damagedMax else { return }
            values.damaged.insert(height)
            if let validated = values.validatedHeight, validated >= height {
                values.validatedHeight = height > 0 ? height - 1 : nil
            }
        }
    }
}
