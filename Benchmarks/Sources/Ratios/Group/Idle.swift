// What an idle group costs one of its nodes.

import Foundation

func measureIdleGroups(_ bench: Bench) async throws -> [Row] {
    var rows: [Row] = []
    for count in bench.scale.idleNodes {
        rows.append(try await measureIdleGroup(bench, of: count, name: "one of \(count) idle nodes"))
    }
    let list = bench.folder + "/idle.db"
    try await bench.sample.makeList(at: list, blocks: bench.scale.idleBlocks)
    let name = "one of 10 idle nodes, \(bench.scale.idleBlocks.grouped) blocks"
    rows.append(try await measureIdleGroup(bench, of: 10, name: name, list: list))
    rows.append(
        try await measureIdleGroup(
            bench, of: 10, name: name + ", no scrub", list: list, arguments: ["--scrub-megabytes-per-second", "0"]))
    return rows
}

private func measureIdleGroup(
    _ bench: Bench, of count: Int, name: String, list: String? = nil, arguments: [String] = []
) async throws -> Row {
    try await NodeGroup.with(
        count, chaind: bench.chaind, folder: bench.folder, list: list, arguments: arguments
    ) { group in
        // What the start made to do is over.
        try await Task.sleep(for: .seconds(6))
        let node = group.nodes[0].process
        let (processorSeconds, requests) = (try node.processorSeconds(), group.proxy.requests)
        try await Task.sleep(for: .seconds(bench.scale.groupSeconds))
        let perSecond = group.proxy.requests
            .map { (name: $0.key, rate: Double($0.value - (requests[$0.key] ?? 0)) / Double(bench.scale.groupSeconds)) }
            .filter { $0.rate > 0 }.sorted { $0.rate > $1.rate }
        let share = (try node.processorSeconds() - processorSeconds) / Double(bench.scale.groupSeconds)
        let kinds = perSecond.map { "\($0.name) \($0.rate.short)" }.joined(separator: ", ")
        return Row(
            part: .group, name: name + ": requests that reach it", unit: "/s",
            ours: Figures([perSecond.reduce(0) { $0 + $1.rate }]),
            remarks: "\((share * 100).short) % of a core, \(try node.anonymousMegabytes().short) MB; \(kinds)")
    }
}
