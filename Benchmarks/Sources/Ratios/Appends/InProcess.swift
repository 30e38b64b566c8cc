// Durable appends within a process: many in flight against one at a time, and on a long list against a short one.

import Chain
import Foundation

private let inFlight = 64

func measureAppendsInProcess(_ bench: Bench) async throws -> [Row] {
    let shortBlocks = 1_000
    let (appends, sample) = (bench.scale.appends, bench.sample)
    let longPath = bench.folder + "/long.db"
    try FileManager.default.copyItem(atPath: try await bench.largeList(), toPath: longPath)
    // Else it is written to the disk while appends are measured.
    sync()

    var (shortSingle, shortTogether, longSingle, longTogether) = (Figures(), Figures(), Figures(), Figures())
    // The first run is not counted.
    for run in 0...bench.scale.runs {
        // A new one each time, since it grows while it is measured. Both begin without a WAL.
        let shortPath = bench.folder + "/short-\(run).db"
        try await sample.makeList(at: shortPath, blocks: shortBlocks)
        let short = try await openList(shortPath)
        let long = try await openList(longPath)
        for list in [short, long] { try await list.validateInBackground() }
        let a = try await rate(of: appends, inFlight: 1, to: short, sample)
        let b = try await rate(of: appends, inFlight: 1, to: long, sample)
        let c = try await rate(of: inFlight * appends, inFlight: inFlight, to: short, sample)
        let d = try await rate(of: inFlight * appends, inFlight: inFlight, to: long, sample)
        try await short.close()
        try await long.close()
        if run == 0 { continue }
        shortSingle.add(a)
        longSingle.add(b)
        shortTogether.add(c)
        longTogether.add(d)
    }
    let blocks = bench.scale.blocks.grouped
    let short = { (rates: Figures) in
        Baseline(name: "with \(shortBlocks.grouped)", figures: rates.microseconds)
    }
    return [
        Row(
            part: .inProcess, name: "appends within a process, \(inFlight) in flight", unit: "/s", ours: longTogether,
            baseline: Baseline(name: "one at a time", figures: longSingle), aim: .atLeast(10),
            remarks: "one transaction for all that wait"),
        Row(
            part: .inProcess, name: "an append with \(blocks) blocks, one at a time", unit: "µs",
            ours: longSingle.microseconds, baseline: short(shortSingle), aim: .atMost(1.2), remarks: "within a process"),
        Row(
            part: .inProcess, name: "an append with \(blocks) blocks, \(inFlight) in flight", unit: "µs",
            ours: longTogether.microseconds, baseline: short(shortTogether), aim: .atMost(1.2),
            remarks: "within a process"),
    ]
}

extension Figures {
    /// The times of what these are the rates of.
    fileprivate var microseconds: Figures { Figures(values.map { 1_000_000 / $0 }) }
}

/// Appends a second, with this many waiting at any time.
private func rate(of appends: Int, inFlight: Int, to list: BlockList, _ sample: Sample) async throws -> Double {
    let texts = (0..<appends).map { sample.text($0) }
    let taken = try await seconds {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for client in 0..<inFlight {
                group.addTask {
                    for index in stride(from: client, to: texts.count, by: inFlight) {
                        _ = try await list.append(AppendRequest(drafts: [Draft(data: texts[index])]))
                    }
                }
            }
            try await group.waitForAll()
        }
    }
    return Double(appends) / taken
}
