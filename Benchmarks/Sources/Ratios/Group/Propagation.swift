// From the answer to an append until the block is on two other idle nodes, and what of it is durability.

import Foundation

func measurePropagation(_ bench: Bench) async throws -> [Row] {
    let appends = bench.scale.propagationAppends
    return try await NodeGroup.with(3, chaind: bench.chaind, folder: bench.folder) { group in
        let (ports, databases) = (group.nodes.map(\.port), group.nodes.map(\.databasePath))
        let (times, commits) = try await inThread {
            try watchPropagation(of: appends, ports: ports, databases: databases)
        }
        let fsync = try DurableCommits.fsyncTimes(count: appends, folder: bench.folder)
        return [
            Row(
                part: .group, name: "from an append's answer to the block on two more idle nodes, median", unit: "ms",
                ours: Figures([times.median]),
                baseline: Baseline(name: "fdatasync of 8 KiB", figures: Figures([fsync.median])),
                remarks: "\(appends) appends; a receiver makes \(commits.short) durable commits a block"),
            Row(
                part: .group, name: "the same to two more idle nodes, 99th percentile", unit: "ms",
                ours: Figures([times.percentile(0.99)]),
                aim: .atMost(20), remarks: "that of fdatasync: \(fsync.percentile(0.99).short) ms"),
        ]
    }
}

/// - Returns: the times in milliseconds, and how many commits the second node makes for a block.
private func watchPropagation(
    of appends: Int, ports: [Int], databases: [String]
) throws -> (times: Figures, commits: Double) {
    let connections = try ports.map { try HTTPConnection(port: $0) }
    var times = Figures()
    var commits = Figures()
    for number in 0..<appends {
        let before = try DurableCommits.inWAL(of: databases[1])
        let answer = try connections[0].exchange("POST", "/blocks/", body: "{\"data\":\"propagated \(number)\"}")
        let start = ContinuousClock.now
        guard answer.status == 200 else { throw MeasurementError("append: \(answer.text)") }
        let height = try NodeStatus(try connections[0].exchange("GET", "/")).height
        var waiting = Array(connections.dropFirst())
        while !waiting.isEmpty {
            guard ContinuousClock.now < start + .seconds(60) else { throw MeasurementError("no block in a minute") }
            waiting = try waiting.filter { try NodeStatus(try $0.exchange("GET", "/")).height < height }
        }
        times.add(ContinuousClock.now.seconds(since: start) * 1_000)
        // Idle again, and what is done after the adoption is done.
        usleep(30_000)
        // A WAL that began anew in between tells nothing.
        let after = try DurableCommits.inWAL(of: databases[1])
        if after >= before { commits.add(Double(after - before)) }
    }
    return (times, commits.values.reduce(0, +) / Double(max(1, commits.values.count)))
}
