// Benchmarks for work on one part of the engine: `swift package --package-path Benchmarks benchmark`.

import Benchmark
import Chain
import Foundation

let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration = .init(metrics: [.wallClock, .throughput], maxDuration: .seconds(2))

    Benchmark("Hash a block of 64 B", configuration: .init(scalingFactor: .kilo)) { benchmark in
        let text = String(repeating: "x", count: 64)
        for height in benchmark.scaledIterations {
            blackHole(Block(height: height, timestamp: 0, data: text, previousHash: .zero))
        }
    }

    Benchmark("Validate 100,000 blocks of 64 B from a file") { (_, list: SampleList) in
        blackHole(try await list.list.validate())
    } setup: {
        try await SampleList(blocks: 100_000)
    } teardown: {
        try SampleList.remove()
    }

    Benchmark("Append, one at a time") { (_, list: SampleList) in
        try await list.append(appends: 1)
    } setup: {
        try await SampleList(blocks: 1_000)
    } teardown: {
        try SampleList.remove()
    }

    Benchmark("Append 64 blocks, all in flight") { (_, list: SampleList) in
        try await list.append(appends: 64)
    } setup: {
        try await SampleList(blocks: 1_000)
    } teardown: {
        try SampleList.remove()
    }

    Benchmark("Read a block by its height", configuration: .init(scalingFactor: .kilo)) {
        (benchmark, list: SampleList) in
        for iteration in benchmark.scaledIterations {
            blackHole(try await list.list.block(at: iteration * 7_919 % 100_000))
        }
    } setup: {
        try await SampleList(blocks: 100_000)
    } teardown: {
        try SampleList.remove()
    }

    Benchmark("Stream 100,000 blocks") { (_, list: SampleList) in
        for try await slice in list.list.slices(from: 0) { blackHole(slice.lastHash) }
    } setup: {
        try await SampleList(blocks: 100_000)
    } teardown: {
        try SampleList.remove()
    }
}
