// Validation of a list from its file, against reading every byte of an ordinary table of the same blocks.

import Chain
import Foundation

func measureFileValidation(_ bench: Bench) async throws -> [Row] {
    let path = try await bench.largeList()
    let tablePath = bench.folder + "/table.db"
    let list = try await openList(path)
    let table = try await OrdinaryTable(copying: list, to: tablePath)
    try await list.close()

    let inMemory = ListInMemory(
        sizes: TextSizes(name: "", sizesBytes: [bench.sample.dataSizeBytes]),
        sizeBytesMax: bench.scale.memorySizeBytes)
    let threads = ProcessInfo.processInfo.activeProcessorCount
    var (validation, memory, sums, tool, loop) = (Figures(), Figures(), Figures(), Figures(), Figures())
    // The first run warms the page cache for all of them, and is not counted.
    for run in 0...bench.scale.runs {
        let validationSeconds = try await seconds {
            let report = try await BlockList.verify(path: path) { _ in }
            guard report.isValid, report.blocks == bench.scale.blocks + 1 else {
                throw MeasurementError("the list is not valid: \(report)")
            }
        }
        let sumSeconds = try await seconds {
            guard try table.sumOfBytes() > 0 else { throw MeasurementError("the table is empty") }
        }
        var hasTool = true
        let toolSeconds = try await seconds { hasTool = try table.readWithCommandLineTool() != nil }
        if run == 0 { continue }
        validation.add(validationSeconds)
        memory.add(try await inMemory.nanoseconds(threads: threads, lanes: .best))
        sums.add(sumSeconds)
        if hasTool { tool.add(toolSeconds) }
        loop.add(
            await HashLoop.nanoseconds(blocks: bench.scale.otherWaysBlocks, dataSizeBytes: bench.sample.dataSizeBytes))
    }
    func row(_ name: String, _ baseline: Figures?, aim: Aim? = nil, remarks: String) -> Row {
        Row(
            part: .verify, name: "validate \(bench.scale.blocks.grouped) blocks from a file in the page cache",
            unit: "ns/block", ours: validation.nanoseconds(per: bench.scale.blocks),
            baseline: Baseline(name: name, figures: baseline), aim: aim, remarks: remarks)
    }
    let others = try await measureOtherWays(bench, table: table)
    let fewer = "2 threads against 1, and \(bench.scale.otherWaysBlocks.grouped) blocks"
    return [
        row(
            "sqlite3, every byte of a plain table",
            tool.values.isEmpty ? nil : tool.nanoseconds(per: bench.scale.blocks),
            aim: .atMost(0.25), remarks: "2 threads against 1"),
        row(
            "the same by SQLite's C interface", sums.nanoseconds(per: bench.scale.blocks),
            remarks: "2 threads against 1"),
        row(
            "chaind in memory", memory, aim: .atMost(1.7),
            remarks: "\(threads) threads each, and \(inMemory.dataSizesBytes.count.grouped) blocks"),
        row("SHA256_Init, Update, Final in memory, in C", loop, remarks: fewer),
    ] + others.map { row($0.name, $0.figures, aim: $0.aim, remarks: fewer) }
}

extension Figures {
    fileprivate func nanoseconds(per blocks: Int) -> Figures { Figures(values.map { $0 * 1e9 / Double(blocks) }) }
}
