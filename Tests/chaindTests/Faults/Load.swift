// Clients that append as fast as they are answered.

import TestSupport
import Testing

/// The clients of one test. Their texts are told apart by a number that no two share.
actor Load {
    /// What the clients were told.
    let ledger = Ledger()
    /// Appends with a key that had no answer yet, to be sent again.
    private var unanswered: [(key: String, texts: [String])] = []
    private var lastNumber = 0

    /// Starts single appends, batches, and appends that are tried again, and lets them run until the node does not
    /// answer any more or the time is over.
    func run(on node: NodeProcess, seconds: Double) async {
        let deadline = ContinuousClock.now + .seconds(seconds)
        await withTaskGroup(of: Void.self) { clients in
            for _ in 0..<4 { clients.addTask { await self.append(counts: [1], on: node, until: deadline) } }
            clients.addTask { await self.append(counts: [2, 40, 300], on: node, until: deadline) }
            for _ in 0..<2 { clients.addTask { await self.appendWithKeys(on: node, until: deadline) } }
        }
    }

    private func append(counts: [Int], on node: NodeProcess, until deadline: ContinuousClock.Instant) async {
        var turn = 0
        while ContinuousClock.now < deadline {
            let status = await ledger.append(texts(counts[turn % counts.count]), to: node)
            if status == nil { return }
            turn += 1
        }
    }

    private func appendWithKeys(on node: NodeProcess, until deadline: ContinuousClock.Instant) async {
        while ContinuousClock.now < deadline {
            let append = unanswered.popLast() ?? ("key-\(lastNumber + 1)", texts(lastNumber % 2 + 1))
            let status = await ledger.append(append.1, key: append.0, to: node)
            if status != 200 { unanswered.append(append) }
            if status == nil { return }
        }
    }

    /// Sends what had no answer again, until each has one.
    func finish(on node: NodeProcess) async throws {
        for append in unanswered {
            let status = await ledger.append(append.texts, key: append.key, to: node)
            try #require(status == 200)
        }
        unanswered = []
    }

    private func texts(_ count: Int) -> [String] {
        (0..<count).map { _ in
            lastNumber += 1
            return "text \(lastNumber) " + String(repeating: "é", count: lastNumber % 100)
        }
    }
}
