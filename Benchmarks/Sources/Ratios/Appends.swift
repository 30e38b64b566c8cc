// Durable appends: 64 in flight against one at a time, and on a long list against a short one.

import Chain
import Foundation

private let inFlight = 64

func measureAppends(
    _ sample: Sample, list path: String, folder: String, appends: Int, runs: Int
) async throws -> [Goal] {
    let shortBlocks = 1_000

    var (shortSingle, shortTogether, longSingle, longTogether) = (Figures(), Figures(), Figures(), Figures())
    // The first run is not counted.
    for run in 0...runs {
        // A new one each time, since it grows while it is measured. Both begin without a WAL.
        let shortPath = folder + "/short-\(run).db"
        try await sample.makeList(at: shortPath, blocks: shortBlocks)
        let short = try await openList(shortPath)
        let long = try await openList(path)
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

    print("\nappends a second, each on disk before it is answered")
    longSingle.show("one at a time", unit: "/s", decimals: 0)
    longTogether.show("\(inFlight) in flight", unit: "/s", decimals: 0)
    let together = Goal("  \(inFlight) in flight to one at a time", longTogether, over: longSingle, atLeast: 10)
    print("\ntime of an append on a list of \(sample.blocks) blocks, against on one that begins with \(shortBlocks)")
    // The rates the other way round are the times.
    let single = Goal("  long to short list, one at a time", shortSingle, over: longSingle, atMost: 1.2)
    let many = Goal("  long to short list, \(inFlight) in flight", shortTogether, over: longTogether, atMost: 1.2)
    return [together, single, many]
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
