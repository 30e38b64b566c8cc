// How long a group with an engine takes no appends when its leader is killed.

import Foundation

func measureFailOver(_ bench: Bench) async throws -> [Row] {
    // A lease of 3 s, and not of 15: it is most of what is measured.
    try await EngineGroup.with(bench, arguments: ["--interval-seconds", "1"]) { group in
        var times = Figures()
        for _ in 0..<bench.scale.failOvers {
            let leader = try await group.leader()
            let other = try group.node((leader + 1) % 3)
            try await other.ask("POST", "/blocks/", body: "{\"data\":\"before\"}")
            try group.node(leader).process.kill()
            times.add(try await seconds { try await appendOnce(to: other) })
            try await group.start(leader)
        }
        let remarks = "--interval-seconds 1, a lease of 3 s; of \(times.values.count)"
        return [
            Row(
                part: .consensus, name: "from kill -9 of the leader to an append on another node, median", unit: "s",
                ours: Figures([times.median]), remarks: remarks),
            Row(
                part: .consensus, name: "the same, worst", unit: "s", ours: Figures([times.greatest]), aim: .atMost(8),
                remarks: remarks),
        ]
    }
}

/// Sends an append until it is taken.
private func appendOnce(to node: Node) async throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline {
        if try await node.exchange("POST", "/blocks/", body: "{\"data\":\"after\"}").status == 200 { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    throw MeasurementError("no append is taken within a minute after the end of the leader")
}
