// Measures what the project promises, each figure as a ratio to a baseline that runs in turn with it.

import ArgumentParser
import Chain
import Foundation

@main
struct Ratios: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure validation, appends and memory.",
        discussion: "Each row: ours and the baseline in turn, the median of the ratios, and the least and greatest.")

    @Option(help: "The blocks of the large list.")
    var blocks = 1_000_000

    @Option(help: "How often each side runs.")
    var runs = 5

    @Option(help: "The program to run as a node.")
    var chaind: String

    func run() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("chaind-bench-\(getpid())").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer {
            do {
                try FileManager.default.removeItem(atPath: folder)
            } catch {
                print("left behind: \(folder): \(error)")
            }
        }
        print(
            "\(blocks) blocks of 64 B, \(runs) runs of each side, \(ProcessInfo.processInfo.activeProcessorCount) cores"
        )
        let path = folder + "/chain.db"
        try await Lists.create(path: path, blocks: blocks)
        try await measureValidation(of: path, folder: folder)
        try await measureAppends(largePath: path, folder: folder)
        try await measureMemory(folder: folder)
    }

    private func measureValidation(of path: String, folder: String) async throws {
        let table = try PlainTable(path: folder + "/plain.db")
        try await table.fill(from: path)
        var pairs = Pairs()
        for _ in 0..<runs {
            let ours = try await seconds {
                let report = try await BlockList.verify(path: path) { _ in }
                guard report.isValid else { throw ValidationError("the list is invalid") }
            }
            pairs.add(ours: ours, baseline: try await seconds { try table.readEveryByte() })
        }
        pairs.report(
            "validate from the file, all cores / SQLite reading an ordinary table, one thread", unit: "s", aim: "≤ 0.5")
    }

    private func measureAppends(largePath: String, folder: String) async throws {
        let small = try await BlockList.open(path: folder + "/small.db") { 1_800_000_000 }
        try await Lists.append(1_000, to: small)
        let large = try await BlockList.open(path: largePath) { 1_800_000_000 }
        // As many for every number in flight as take about a second.
        let count = min(4_000, blocks)

        var inFlight = Pairs()
        var size = Pairs()
        for _ in 0..<runs {
            let single = try await seconds { try await Lists.appendOneByOne(count, to: small, inFlight: 1) }
            let many = try await seconds { try await Lists.appendOneByOne(count * 16, to: small, inFlight: 64) }
            inFlight.add(ours: Double(count * 16) / many, baseline: Double(count) / single)
        }
        inFlight.report("appends a second, 64 in flight / 1", unit: "/s", aim: "≥ 10")
        for _ in 0..<runs {
            let atLarge = try await seconds { try await Lists.appendOneByOne(count, to: large, inFlight: 1) }
            let atSmall = try await seconds { try await Lists.appendOneByOne(count, to: small, inFlight: 1) }
            size.add(ours: atLarge / Double(count), baseline: atSmall / Double(count))
        }
        size.report("time of an append at \(blocks) blocks / at \(small.status.height)", unit: "s", aim: "≤ 1.2")
        try await small.close()
        try await large.close()
    }

    private func measureMemory(folder: String) async throws {
        let peakBytes = try await NodeMemory.peakBytes(chaind: chaind, folder: folder)
        print(
            "RssAnon of a node that streams, validates and appends at once, peak: \(peakBytes / 1_000_000) MB (aim: < 100)"
        )
    }

    private func seconds(_ work: () async throws -> Void) async rethrows -> Double {
        let clock = ContinuousClock()
        return try await clock.measure(work) / .seconds(1)
    }
}
