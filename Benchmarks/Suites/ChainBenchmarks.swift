// Suites for work on one part of the engine, with percentiles, and to compare two commits.

import Benchmark
import Chain
import Foundation

/// A list of 100,000 blocks of 64 bytes in a folder of its own.
private func makeList() async throws -> (list: BlockList, path: String) {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("chaind-suite-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let path = folder + "/chain.db"
    let list = try await BlockList.open(path: path) { 1_800_000_000 }
    let text = String(repeating: ".", count: 64)
    for _ in 0..<10 {
        _ = try await list.append(AppendRequest(drafts: (0..<10_000).map { _ in Draft(data: text) }))
    }
    return (list, path)
}

private func remove(_ path: String) throws {
    try FileManager.default.removeItem(at: URL(fileURLWithPath: path).deletingLastPathComponent())
}

let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration = .init(
        metrics: [.wallClock, .throughput], maxDuration: .seconds(5), maxIterations: 10_000)

    Benchmark("Append, one at a time") { benchmark in
        let (list, path) = try await makeList()
        benchmark.startMeasurement()
        for _ in benchmark.scaledIterations {
            _ = try await list.append(AppendRequest(drafts: [Draft(data: "one")]))
        }
        benchmark.stopMeasurement()
        try await list.close()
        try remove(path)
    }

    Benchmark("Read by height") { benchmark in
        let (list, path) = try await makeList()
        benchmark.startMeasurement()
        for iteration in benchmark.scaledIterations {
            blackHole(try await list.block(at: iteration &* 7_919 % 100_000))
        }
        benchmark.stopMeasurement()
        try await list.close()
        try remove(path)
    }

    Benchmark("Validate 100,000 blocks from the file", configuration: .init(maxIterations: 100)) { benchmark in
        let (list, path) = try await makeList()
        benchmark.startMeasurement()
        for _ in benchmark.scaledIterations { blackHole(try await list.validate()) }
        benchmark.stopMeasurement()
        try await list.close()
        try remove(path)
    }
}
