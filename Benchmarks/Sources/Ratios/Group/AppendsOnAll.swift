// Three nodes take appends at once, 100 a second each.

import Foundation

func measureAppendsOnAll(_ bench: Bench) async throws -> [Row] {
    let (perSecond, seconds) = (100, bench.scale.groupSeconds)
    return try await NodeGroup.with(3, chaind: bench.chaind, folder: bench.folder) { group in
        let texts = group.nodes.indices.map { node in (0..<(seconds * perSecond)).map { "node \(node) text \($0)" } }
        let start = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for (node, texts) in zip(group.nodes, texts) {
                tasks.addTask {
                    for (number, text) in texts.enumerated() {
                        try await Task.sleep(
                            until: start + .milliseconds(1_000 * number / perSecond), clock: .continuous)
                        try await node.ask("POST", "/blocks/", body: "{\"data\":\"\(text)\"}")
                    }
                }
            }
            try await tasks.waitForAll()
        }
        let appendingSeconds = ContinuousClock.now.seconds(since: start)
        let sent = texts.joined()
        // The genesis has no height of its own, and one block made the nodes meet.
        let equalSeconds = try await group.secondsUntilEqual(height: sent.count + 1)
        var appendedAgain = 0
        for node in group.nodes {
            let blocks = try await blocks(of: node)
            guard blocks.map(\.data).sorted() == (sent + ["Genesis Block", "all know each other"]).sorted() else {
                throw MeasurementError("not every text stands in the list once")
            }
            appendedAgain = blocks.count { $0.origin != nil }
        }
        let remarks = "\(sent.count.grouped) appends in \(appendingSeconds.short) s; on each node every text once"
        return [
            Row(
                part: .group, name: "three nodes that took \(perSecond) appends/s each are equal after the last answer",
                unit: "s", ours: Figures([equalSeconds]), remarks: remarks),
            Row(
                part: .group, name: "blocks of these that a fork had appended again", unit: "",
                ours: Figures([Double(appendedAgain)]), remarks: remarks),
        ]
    }
}

private struct WholeList: Decodable {
    struct Block: Decodable {
        let data: String
        let origin: Origin?
    }

    struct Origin: Decodable {
        let height: Int
    }

    let blocks: [Block]
}

private func blocks(of node: Node) async throws -> [WholeList.Block] {
    let answer = try await node.ask("GET", "/blocks/", keepingBytesMax: 256 << 20)
    return try JSONDecoder().decode(WholeList.self, from: Data(answer.body)).blocks
}
