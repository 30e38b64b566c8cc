// The size of etcd's database while blocks pass through it.

import Foundation

/// How large etcd was when the list had so many blocks.
struct SizePoint: Codable, Sendable {
    let blocks: Int
    /// The database of each member, and what of it is in use.
    let megabytes: [Double]
    let usedMegabytes: [Double]
}

/// A quota that is far below what passes through, so that the leader has to compact.
private let quotaMegabytes = 128
private let batchBlocks = 1_000

func measureEtcdSize(_ bench: Bench) async throws -> [Row] {
    try await EngineGroup.with(
        bench, etcdArguments: ["--quota-backend-bytes", "\(quotaMegabytes << 20)"],
        arguments: ["--etcd-compact", "--etcd-quota-megabytes", "\(quotaMegabytes)"]
    ) { group in
        let stop = StopSign()
        async let sampled = sample(group, until: stop)
        let refusedCount = try await {
            defer { stop.raise() }
            return try await append(bench.scale.engineBlocks, to: group)
        }()
        let points = try await sampled
        let name = "while \(bench.scale.engineBlocks.grouped) blocks pass through"
        let remarks =
            "largest of three members; quota \(quotaMegabytes) MiB, --etcd-compact, batches of "
            + "\(batchBlocks.grouped) texts of 64 B, of which \(refusedCount) got 503 and were sent again"
        return [
            Row(
                part: .consensus, name: "etcd's database \(name)", unit: "MB",
                ours: Figures([points.flatMap(\.megabytes).max() ?? 0]),
                aim: .atMost(Double(quotaMegabytes << 20) / 1e6), remarks: remarks, sizes: points),
            Row(
                part: .consensus, name: "what of it is in use \(name)", unit: "MB",
                ours: Figures([points.flatMap(\.usedMegabytes).max() ?? 0]), remarks: remarks),
        ]
    }
}

/// Appends to all nodes.
///
/// - Returns: how many batches were refused, and sent again.
private func append(_ blocks: Int, to group: EngineGroup) async throws -> Int {
    let body = "{\"data\":[\((0..<batchBlocks).map { _ in "\"\(loadText)\"" }.joined(separator: ","))]}"
    let nodes = group.nodes
    return try await withThrowingTaskGroup(of: Int.self) { tasks in
        for (index, node) in nodes.enumerated() {
            tasks.addTask {
                var refusedCount = 0
                for _ in stride(from: index * batchBlocks, to: blocks, by: nodes.count * batchBlocks) {
                    while true {
                        let answer = try await node.exchange("POST", "/blocks/batch", body: body)
                        if answer.status == 200 { break }
                        guard answer.status == 503 else { throw MeasurementError("batch: \(answer.text)") }
                        refusedCount += 1
                        try await Task.sleep(for: .milliseconds(100))
                    }
                }
                return refusedCount
            }
        }
        return try await tasks.reduce(0, +)
    }
}

private func sample(_ group: EngineGroup, until stop: StopSign) async throws -> [SizePoint] {
    var points: [SizePoint] = []
    var isLast = false
    while !isLast {
        isLast = stop.isRaised
        let height = try await group.nodes[0].status().height
        var (megabytes, usedMegabytes): ([Double], [Double]) = ([], [])
        for port in group.etcdPorts {
            let answer = try await inThread {
                try HTTPConnection(port: port).exchange("POST", "/v3/maintenance/status", body: "{}")
            }
            let status = try JSONDecoder().decode(MemberStatus.self, from: Data(answer.body))
            megabytes.append((Double(status.dbSize) ?? 0) / 1e6)
            usedMegabytes.append((Double(status.dbSizeInUse) ?? 0) / 1e6)
        }
        points.append(SizePoint(blocks: height, megabytes: megabytes, usedMegabytes: usedMegabytes))
        try await Task.sleep(for: .milliseconds(100))
    }
    return points
}

/// The gateway writes these numbers as text.
private struct MemberStatus: Decodable {
    let dbSize: String
    let dbSizeInUse: String
}
