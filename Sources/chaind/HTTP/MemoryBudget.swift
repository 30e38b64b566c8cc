// Bounds the memory that the requests and answers under way take together.

import Synchronization

/// An amount of memory that requests and answers share. Each takes a share and gives it back when it goes away.
final class MemoryBudget: Sendable {
    private let sizeBytesMax: Int
    private let usedBytes = Mutex(0)

    /// A budget with nothing taken.
    init(sizeBytesMax: Int) {
        self.sizeBytesMax = sizeBytesMax
    }

    /// What is taken at the moment, in bytes.
    var takenBytes: Int { usedBytes.withLock { $0 } }

    /// A share of this budget, empty at first. It belongs to whoever holds it and is given back with it.
    func share() -> Share { Share(of: self) }

    /// What one request or answer has taken.
    final class Share: Sendable {
        private let budget: MemoryBudget
        private let sizeBytes = Mutex(0)

        fileprivate init(of budget: MemoryBudget) {
            self.budget = budget
        }

        /// Takes more.
        ///
        /// - Returns: false if the budget does not have that much; nothing is taken then.
        func grow(by bytes: Int) -> Bool {
            let fits = budget.usedBytes.withLock { used in
                guard bytes <= budget.sizeBytesMax - used else { return false }
                used += bytes
                return true
            }
            if fits { sizeBytes.withLock { $0 += bytes } }
            return fits
        }

        deinit {
            let bytes = sizeBytes.withLock { $0 }
            budget.usedBytes.withLock { $0 -= bytes }
        }
    }
}
