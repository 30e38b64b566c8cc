// Clients that append on every node of a group, whatever happens to it.

import TestSupport
import Testing

/// The clients of one test.
actor GroupLoad {
    /// What they were told.
    let ledger = GroupLedger()
    /// Appends with a key: what was sent, to which node, and whether there was an answer.
    private var keyed: [String: (texts: [String], node: Int, isAnswered: Bool)] = [:]
    private var lastNumber = 0
    private var isOver = false

    /// Appends on all nodes until `end()`: on each, single texts, batches, and appends with a key that are tried again.
    func run(on group: NodeGroup, pauseMilliseconds: Int = 10) async {
        await withDiscardingTaskGroup { clients in
            for index in group.nodes.indices {
                for counts in [[1], [1, 1, 5, 60]] {
                    clients.addTask {
                        await self.append(counts, on: group.nodes[index], pauseMilliseconds: pauseMilliseconds)
                    }
                }
                clients.addTask {
                    await self.appendWithKeys(
                        on: group.nodes[index], index: index, pauseMilliseconds: pauseMilliseconds)
                }
            }
        }
    }

    /// Lets the clients come to their end.
    func end() { isOver = true }

    private func append(_ counts: [Int], on node: NodeProcess, pauseMilliseconds: Int) async {
        var turn = 0
        while !isOver {
            let blocks = await ledger.append(texts(counts[turn % counts.count]), to: node)
            turn += 1
            await pause(milliseconds: blocks == nil ? 100 : pauseMilliseconds)
        }
    }

    private func appendWithKeys(on node: NodeProcess, index: Int, pauseMilliseconds: Int) async {
        var key: String?
        while !isOver {
            let current = key ?? newKey(node: index)
            let isAnswered = await send(current, to: node) != nil
            key = isAnswered ? nil : current
            await pause(milliseconds: isAnswered ? pauseMilliseconds : 100)
        }
    }

    private func newKey(node: Int) -> String {
        let key = "key-\(lastNumber + 1)"
        keyed[key] = (texts(lastNumber % 3 + 1), node, false)
        return key
    }

    private func send(_ key: String, to node: NodeProcess) async -> [BlockAnswer]? {
        guard let texts = keyed[key]?.texts else { return nil }
        let blocks = await ledger.append(texts, key: key, to: node)
        if blocks != nil { keyed[key]?.isAnswered = true }
        return blocks
    }

    private func pause(milliseconds: Int) async {
        // A test that is over its time cancels its clients.
        do { try await Task.sleep(for: .milliseconds(milliseconds)) } catch { isOver = true }
    }

    /// Sends what had no answer again until each has one.
    func finish(on group: NodeGroup) async throws {
        for (key, append) in keyed where !append.isAnswered {
            try await eventually("an append is taken with its key") {
                await self.send(key, to: group.nodes[append.node]) != nil
            }
        }
    }

    /// Sends appends with a key once more, and expects the blocks where they stand in the list.
    func checkKeys(on group: NodeGroup, list: [BlockAnswer], countMax: Int = 100) async throws {
        for (key, append) in keyed.prefix(countMax) {
            let blocks = try #require(await send(key, to: group.nodes[append.node]))
            for block in blocks { #expect(block.height < list.count && list[block.height] == block) }
        }
    }

    private func texts(_ count: Int) -> [String] {
        (0..<count).map { _ in
            lastNumber += 1
            return "text \(lastNumber) " + String(repeating: "é", count: lastNumber % 100)
        }
    }
}
