// Measures the ratios that the project promises, each against a baseline in the same run: `make bench`.

import ArgumentParser
import Foundation

@main
struct Ratios: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure chaind against its baselines, in alternating runs.")

    @Option(help: "The program; built for release, as this one.")
    var chaind: String
    @Option(help: "Blocks of the large list.")
    var blocks = 1_000_000
    @Option(help: "Bytes of data of each block.")
    var dataSizeBytes = 64
    @Option(help: "Alternating runs of each measurement.")
    var runs = 5
    @Option(help: "Single appends that are timed at once; 64 times as many are timed with 64 in flight.")
    var appends = 300
    @Option(help: "A folder on the disk that is to be measured; the files are removed at the end.")
    var directory = ".build"
    @Option(help: "Nodes of the idle groups that are measured, each on its own.")
    var idleNodes: [Int] = [3, 10, 30]
    @Option(help: "Seconds for which an idle group is watched, and for which three nodes take appends.")
    var groupSeconds = 30
    @Option(help: "What is measured: all, one (a node alone) or group.")
    var only = "all"
    @Flag(inversion: .prefixedNo, help: "Exit with status 1 if a goal is missed.")
    var check = true

    func validate() throws {
        guard ["all", "one", "group"].contains(only), groupSeconds >= 1, idleNodes.allSatisfy({ 2...100 ~= $0 }) else {
            throw ValidationError("only is all, one or group; idle nodes are 2 to 100; group seconds at least 1")
        }
        guard blocks >= 10_000, runs >= 1, appends >= 1, 0...1_000_000 ~= dataSizeBytes else {
            throw ValidationError("blocks is at least 10000, runs and appends at least 1, data at most 1000000 bytes")
        }
    }

    func run() async throws {
        let folder = directory + "/ratios-\(ProcessInfo.processInfo.processIdentifier)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let missed: [String]
        do {
            missed = try await measure(in: folder)
        } catch {
            try FileManager.default.removeItem(atPath: folder)
            throw error
        }
        try FileManager.default.removeItem(atPath: folder)
        if check && !missed.isEmpty {
            print("\nmissed: \(missed.joined(separator: "; "))")
            throw ExitCode.failure
        }
    }

    /// - Returns: the goals that were missed.
    private func measure(in folder: String) async throws -> [String] {
        let sample = Sample(blocks: blocks, dataSizeBytes: dataSizeBytes)
        print("\(blocks) blocks of \(dataSizeBytes) B, \(runs) alternating runs; min / median / max")
        let listPath = folder + "/chain.db"
        try await sample.makeList(at: listPath)
        var goals: [Goal] = []
        if only != "group" {
            goals += try await measureValidation(of: sample, list: listPath, folder: folder, runs: runs)
            goals += try await measureAppends(sample, list: listPath, folder: folder, appends: appends, runs: runs)
            goals.append(try await measureMemory(list: listPath, chaind: chaind, folder: folder, blocks: blocks))
        }
        if only != "one" {
            let group = GroupMeasurement(chaind: chaind, folder: folder)
            goals.append(try await group.measurePropagation(appends: appends))
            // Shown against its aim, which is not promised yet.
            _ = try await group.measureCatchUp(list: listPath, blocks: blocks, runs: runs)
            try await group.measureIdle(nodes: idleNodes, seconds: groupSeconds)
            try await group.measureAppendsOnAll(seconds: groupSeconds)
        }
        return goals.filter { !$0.isMet }.map(\.name)
    }
}
