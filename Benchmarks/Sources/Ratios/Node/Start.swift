// From the start of a process to its first answer, with a long list and with a short one.

import Foundation

func measureStart(_ bench: Bench) async throws -> [Row] {
    let shortBlocks = 1_000
    let short = bench.folder + "/short"
    try FileManager.default.createDirectory(atPath: short, withIntermediateDirectories: true)
    try await bench.sample.makeList(at: short + "/chain.db", blocks: shortBlocks)
    _ = try await bench.largeList()

    var (longTimes, shortTimes) = (Figures(), Figures())
    // The first run is not counted.
    for run in 0...(2 * bench.scale.runs) {
        let longSeconds = try await secondsToFirstAnswer(bench, folder: bench.largeFolder)
        let shortSeconds = try await secondsToFirstAnswer(bench, folder: short)
        if run == 0 { continue }
        longTimes.add(longSeconds * 1_000)
        shortTimes.add(shortSeconds * 1_000)
    }
    return [
        Row(
            part: .start, name: "from the start to the first answer, \(bench.scale.blocks.grouped) blocks", unit: "ms",
            ours: longTimes, baseline: Baseline(name: "with \(shortBlocks.grouped)", figures: shortTimes),
            aim: .atMost(1.2), remarks: "in the page cache")
    ]
}

private func secondsToFirstAnswer(_ bench: Bench, folder: String) async throws -> Double {
    let start = ContinuousClock.now
    let node = try await Node(chaind: bench.chaind, dataDirectory: folder)
    defer { node.stop() }
    _ = try await node.status()
    return ContinuousClock.now.seconds(since: start)
}
