// Bounds the memory that the requests and answers under way take together, and how much of it one client may have.

import Synchronization

/// An amount of memory that requests and answers share. Each takes a share and gives it back when it goes away.
final class MemoryBudget: Sendable {
    private struct Used {
        var bytes = 0
        var bytesByClient: [ClientAddress: Int] = [:]
    }

    private let sizeBytesMax: Int
    private let used = Mutex(Used())

    /// A budget with nothing taken.
    init(sizeBytesMax: Int) {
        self.sizeBytesMax = sizeBytesMax
    }

    /// What is taken at the moment, in bytes.
    var takenBytes: Int { used.withLock { $0.bytes } }

    /// A share of this budget, empty at first. It belongs to whoever holds it and is given back with it.
    ///
    /// - Parameter client: may have half of the budget; `nil` may have all of it.
    func share(for client: ClientAddress? = nil) -> Share { Share(of: self, for: client) }

    private func take(_ bytes: Int, for client: ClientAddress?) -> Bool {
        used.withLock { used in
            guard bytes <= sizeBytesMax - used.bytes else { return false }
            if let client {
                let taken = used.bytesByClient[client, default: 0]
                guard bytes <= sizeBytesMax / 2 - taken else { return false }
                used.bytesByClient[client] = taken + bytes
            }
            used.bytes += bytes
            return true
        }
    }

    private func giveBack(_ bytes: Int, of client: ClientAddress?) {
        used.withLock { used in
            used.bytes -= bytes
            guard let client, let taken = used.bytesByClient[client] else { return }
            used.bytesByClient[client] = taken > bytes ? taken - bytes : nil
        }
    }

    /// What one request or answer has taken.
    final class Share: Sendable {
        private let budget: MemoryBudget
        private let client: ClientAddress?
        private let sizeBytes = Mutex(0)

        fileprivate init(of budget: MemoryBudget, for client: ClientAddress?) {
            self.budget = budget
            self.client = client
        }

        /// Takes more.
        ///
        /// - Returns: false if the budget, or the client's part of it, does not have that much; nothing is taken then.
        func grow(by bytes: Int) -> Bool {
            guard budget.take(bytes, for: client) else { return false }
            sizeBytes.withLock { $0 += bytes }
            return true
        }

        deinit {
            budget.giveBack(sizeBytes.withLock { $0 }, of: client)
        }
    }
}
