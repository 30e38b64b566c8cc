// Validation of a list in memory, by each way to hash that the processor has, against the loop in C.

import Chain
import Foundation

func measureMemoryValidation(_ bench: Bench) async throws -> [Row] {
    var rows: [Row] = []
    for sizes in TextSizes.all {
        let list = ListInMemory(sizes: sizes, sizeBytesMax: bench.scale.memorySizeBytes)
        for lanes in HashLanes.all {
            var (ours, both, loop) = (Figures(), Figures(), Figures())
            for _ in 0..<bench.scale.runs {
                ours.add(try await list.nanoseconds(threads: 1, lanes: lanes))
                if lanes.name == HashLanes.best.name { both.add(try await list.nanoseconds(threads: 2, lanes: lanes)) }
                loop.add(await HashLoop.nanoseconds(dataSizesBytes: list.dataSizesBytes))
            }
            func row(_ figures: Figures, threads: Int, aim: Aim?) -> Row {
                Row(
                    part: .verify, name: "validate in memory, \(sizes.name), \(lanes.name)", unit: "ns/block",
                    ours: figures, baseline: Baseline(name: "SHA256_Init, Update, Final in C", figures: loop), aim: aim,
                    remarks: "\(threads) thread\(threads == 1 ? "" : "s") against 1")
            }
            rows.append(row(ours, threads: 1, aim: sizes.aim(lanes)))
            if !both.values.isEmpty {
                rows.append(row(both, threads: 2, aim: lanes.name == "avx512" ? .atMost(1 / 5.0) : nil))
            }
        }
    }
    return rows
}

/// How long the texts of a list in memory are.
struct TextSizes {
    let name: String
    /// In turn.
    let sizesBytes: [Int]

    static let all =
        [0, 16, 64, 256, 1_024, 16_384].map { TextSizes(name: "\($0.grouped) B", sizesBytes: [$0]) } + [mixed]

    /// Mostly lines of some tens of bytes, now and then one of some hundred, as in the log of a server.
    private static let mixed = TextSizes(
        name: "mixed", sizesBytes: [72, 95, 81, 110, 64, 83, 240, 77, 98, 121, 69, 88, 650, 93, 74, 102])

    /// So much faster than the loop, as a part of its time.
    func aim(_ lanes: HashLanes) -> Aim? {
        let isSmall = (sizesBytes.max() ?? 0) <= 256 || sizesBytes.count > 1
        return switch lanes.name {
        case "avx512": .atMost(1 / (isSmall ? 2.5 : 1.4))
        case "avx2": .atMost(1 / (isSmall ? 1.8 : 1))
        case "sha-ni": .atMost(1 / (isSmall ? 1.6 : 1))
        default: .atMost(1 / (isSmall ? 1.1 : 1))
        }
    }
}

/// Valid runs of blocks.
struct ListInMemory: Sendable {
    let runs: [BlockRun]
    let dataSizesBytes: [Int]

    /// - Parameter sizeBytesMax: of all texts and what each block takes beside its text.
    init(sizes: TextSizes, sizeBytesMax: Int) {
        var blocks = [Block.genesis]
        var dataSizesBytes: [Int] = []
        var sizeBytes = 0
        for size in (0...).lazy.map({ sizes.sizesBytes[$0 % sizes.sizesBytes.count] }) {
            sizeBytes += size + 104
            guard sizeBytes <= sizeBytesMax else { break }
            let last = blocks[blocks.count - 1]
            blocks.append(
                Block(
                    height: blocks.count, timestamp: 1_700_000_000, data: String(repeating: "x", count: size),
                    previousHash: last.hash))
            dataSizesBytes.append(size)
        }
        runs = BlockRun.runs(of: Array(blocks[1...]))
        self.dataSizesBytes = dataSizesBytes
    }

    /// - Returns: nanoseconds a block.
    func nanoseconds(threads: Int, lanes: HashLanes) async throws -> Double {
        let share = (runs.count + threads - 1) / threads
        let seconds = try await seconds {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for first in stride(from: 0, to: runs.count, by: share) {
                    group.addTask { try check(first..<min(runs.count, first + share), lanes: lanes) }
                }
                try await group.waitForAll()
            }
        }
        return seconds * 1e9 / Double(dataSizesBytes.count)
    }

    private func check(_ part: Range<Int>, lanes: HashLanes) throws {
        var previousHash = part.lowerBound == 0 ? Block.genesis.hash : runs[part.lowerBound - 1].lastHash
        for run in runs[part] {
            if let fault = run.firstFault(after: previousHash, timestamp: 0, lanes: lanes) {
                throw MeasurementError("block \(fault.height) is not valid")
            }
            previousHash = run.lastHash
        }
    }
}
