// What a group costs: how soon a block is on the other nodes, how fast a new node catches up, what idle members cost, and
// how long nodes that all take appends need to agree.

import Foundation

/// Measures groups of real nodes on this machine.
struct GroupMeasurement {
    let chaind: String
    let folder: String

    /// Runs a body with the nodes of a group that know each other.
    private func withGroup(
        _ count: Int, name: String, _ body: ([NodeUnderLoad]) async throws -> Void
    ) async throws {
        let group = folder + "/" + name
        var nodes: [NodeUnderLoad] = []
        defer {
            for node in nodes { node.stop() }
        }
        for index in 0..<count {
            let data = group + "/node-\(index)"
            try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
            nodes.append(
                try await NodeUnderLoad(chaind: chaind, dataDirectory: data, syncFile: group + "/sync.json"))
        }
        let copies = try await nodes[0].exchange(
            "POST", "/blocks/?wait=\(count)&timeout=60", body: "{\"data\":\"all know each other\"}")
        guard copies.end.contains("\"members\":\(count)") else { throw MeasurementError("no group: \(copies.end)") }
        try await body(nodes)
    }

    /// From the answer to an append until the block is on two other idle nodes: by how much an append that waits for
    /// three copies takes longer than one that waits for its own.
    func measurePropagation(appends: Int) async throws -> Goal {
        var alone = Figures()
        var copied = Figures()
        try await withGroup(3, name: "propagation") { nodes in
            for number in 0..<appends {
                alone.add(
                    try await seconds {
                        _ = try await nodes[0].exchange("POST", "/blocks/", body: "{\"data\":\"one \(number)\"}")
                    } * 1_000)
                // Idle again.
                try await Task.sleep(for: .milliseconds(20))
                copied.add(
                    try await seconds {
                        _ = try await nodes[0].exchange(
                            "POST", "/blocks/?wait=3", body: "{\"data\":\"three \(number)\"}")
                    } * 1_000)
                try await Task.sleep(for: .milliseconds(20))
            }
        }
        print("\nan append on three idle nodes, one after the other")
        alone.show("answered by the node that took it", unit: "ms", decimals: 2)
        copied.show("on all three", unit: "ms", decimals: 2)
        print(String(format: "  99th percentile on all three: %.2f ms", copied.percentile(0.99)))
        var later = Figures()
        for (copied, alone) in zip(copied.values, alone.values) { later.add(copied - alone) }
        return Goal("  from the answer to two more copies", later, unit: "ms", atMost: 20)
    }

    /// A new node takes the whole list, validated and durable, against sending its file through a socket.
    func measureCatchUp(list path: String, blocks: Int, runs: Int) async throws -> Goal {
        var catchUp = Figures()
        var file = Figures()
        let source = folder + "/catch-up-source"
        try FileManager.default.createDirectory(atPath: source, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: path, toPath: source + "/chain.db")
        let node = try await NodeUnderLoad(chaind: chaind, dataDirectory: source)
        defer { node.stop() }
        let height = try await node.height()
        for run in 0..<runs {
            let data = folder + "/catch-up-\(run)"
            try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
            catchUp.add(
                try await seconds {
                    let new = try await NodeUnderLoad(
                        chaind: chaind, dataDirectory: data, arguments: ["--join", node.url])
                    defer { new.stop() }
                    try await new.waitForHeight(height, seconds: 600)
                })
            try FileManager.default.removeItem(atPath: data)
            file.add(
                try await seconds { try await FileTransfer.run(from: source + "/chain.db", to: folder + "/copy.db") })
        }
        print("\na new node catches up \(blocks) blocks; from its start to the last of them")
        catchUp.show("chaind", unit: "s", decimals: 3)
        file.show("the file by a socket, fsync, quick_check", unit: "s", decimals: 3)
        return Goal("  chaind to the file", catchUp, over: file, atMost: 1.5)
    }

    /// What an idle group costs one of its nodes.
    func measureIdle(nodes counts: [Int], seconds: Int) async throws {
        print("\nan idle group, one of its nodes, over \(seconds) s")
        for count in counts {
            try await withGroup(count, name: "idle-\(count)") { nodes in
                // What the start made to do is over.
                try await Task.sleep(for: .seconds(6))
                let before = try nodes[0].processorSeconds()
                try await Task.sleep(for: .seconds(seconds))
                let share = (try nodes[0].processorSeconds() - before) / Double(seconds)
                let megabytes = try nodes[0].anonymousMegabytes()
                print(
                    String(
                        format: "  %3d nodes: %.2f %% of a core, %.1f MB (its settings: %.1f requests a second)",
                        count, share * 100, megabytes, Double(2 * (count - 1)) / 5))
            }
        }
    }

    /// Three nodes take appends at once, 100 a second each.
    func measureAppendsOnAll(seconds: Int) async throws {
        try await withGroup(3, name: "all") { nodes in
            let start = ContinuousClock.now
            let count = seconds * 100
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for (index, node) in nodes.enumerated() {
                    tasks.addTask {
                        for number in 0..<count {
                            try await Task.sleep(until: start + .milliseconds(10 * number), clock: .continuous)
                            let answer = try await node.exchange(
                                "POST", "/blocks/", body: "{\"data\":\"node \(index) number \(number)\"}")
                            guard answer.isOK else { throw MeasurementError("append: \(answer.end)") }
                        }
                    }
                }
                try await tasks.waitForAll()
            }
            // The group's first block and the genesis are there too.
            let height = 3 * count + 1
            let equalSeconds = try await GroupMeasurement.secondsUntilEqual(nodes, height: height)
            let reappended = try await nodes[0].exchange("GET", "/blocks/", counting: "\"origin\":").count
            print("\nthree nodes take 100 appends a second each, for \(seconds) s")
            print(String(format: "  equal %.2f s after the last answer, all %d blocks there", equalSeconds, height))
            print("  appended again: \(reappended)")
        }
    }

    private static func secondsUntilEqual(_ nodes: [NodeUnderLoad], height: Int) async throws -> Double {
        let start = ContinuousClock.now
        for _ in 0..<6_000 {
            var heads: Set<String> = []
            for node in nodes {
                // The random id of the process is not part of the head.
                let answer = try await node.exchange("GET", "/").end
                heads.insert(answer.components(separatedBy: "\"height\":").last?.prefix(100).description ?? "")
            }
            if heads.count == 1, try await nodes[0].height() == height {
                return (ContinuousClock.now - start) / .seconds(1)
            }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw MeasurementError("the nodes are not equal at height \(height) after a minute")
    }
}
