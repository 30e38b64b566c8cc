// Past saturation: more appends than the node can take are refused with 503, those that it takes are as many as ever, and
// none of them is lost.

import Chain
import Foundation

func measureSaturation(_ bench: Bench) async throws -> [Row] {
    let folder = bench.folder + "/saturation"
    let seconds = bench.scale.latencySeconds
    let node = try await Node(
        chaind: bench.chaind, dataDirectory: folder, arguments: ["--queue-appends-max", "128"])
    var load = Load(
        ports: [node.port], connections: 128, requests: [.post("/blocks/", "{\"data\":\"\(loadText)\"}")])
    let acknowledged: (usual: Set<Int>, beyond: Set<Int>)
    let (usual, beyond): (LoadResult, LoadResult)
    do {
        defer { node.stop() }
        usual = try await load.run(seconds: seconds)
        acknowledged.usual = Set(usual.statuses.indices.filter { usual.statuses[$0] == 200 })
        load.firstNumber = usual.statuses.count
        load.connections = 768
        beyond = try await load.run(seconds: seconds, rate: 2 * usual.ratePerSecond)
        acknowledged.beyond = Set(
            beyond.statuses.indices.filter { beyond.statuses[$0] == 200 }.map { $0 + usual.statuses.count })
    }
    let found = try await numbers(in: node.databasePath)
    let lost = acknowledged.usual.union(acknowledged.beyond).filter { found[$0] != 1 }
    guard lost.isEmpty else { throw MeasurementError("\(lost.count) acknowledged appends are not there once") }
    return [
        Row(
            part: .latency, name: "durable appends, twice as many sent as it takes", unit: "/s",
            ours: Figures([beyond.ratePerSecond]),
            baseline: Baseline(name: "as many sent as it takes", figures: Figures([usual.ratePerSecond])),
            aim: .atLeast(0.9),
            remarks:
                "room for 128; of \(beyond.statuses.count.grouped) \(beyond.count(of: 503).grouped) got 503; each of "
                + "\((acknowledged.usual.count + acknowledged.beyond.count).grouped) acknowledged is there once")
    ]
}

/// How often each number stands in a list.
private func numbers(in path: String) async throws -> [Int: Int] {
    let list = try await openList(path)
    var counts: [Int: Int] = [:]
    for try await slice in list.slices(from: 1) {
        try slice.forEachBlock { block throws(MeasurementError) in
            let digits = String(decoding: UnsafeRawBufferPointer(block.data).dropFirst(5).prefix(12), as: UTF8.self)
            guard let number = Int(digits) else { throw MeasurementError("a text that nobody sent") }
            counts[number, default: 0] += 1
        }
    }
    try await list.close()
    return counts
}
