// Validation of a list from its file, against reading every byte of an ordinary table of the same blocks.

import Chain

func measureValidation(of sample: Sample, list path: String, folder: String, runs: Int) async throws -> [Goal] {
    let list = try await openList(path)
    let table = try await OrdinaryTable(copying: list, to: folder + "/table.db")
    try await list.close()

    var validation = Figures()
    var sums = Figures()
    var tool = Figures()
    // The first run warms the page cache for all of them, and is not counted.
    for run in 0...runs {
        let validationSeconds = try await seconds {
            let report = try await BlockList.verify(path: path) { _ in }
            guard report.isValid, report.blocks == sample.blocks + 1 else {
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
        sums.add(sumSeconds)
        if hasTool { tool.add(toolSeconds) }
    }

    print("\nvalidation, all cores, from a file in the page cache")
    validation.show("chaind", unit: "s", decimals: 3)
    sums.show("SQLite, C interface, all bytes summed", unit: "s", decimals: 3)
    var goals = [Goal("  chaind to the C interface", validation, over: sums, atMost: 0.5)]
    if !tool.values.isEmpty {
        tool.show("sqlite3, instr and hex over all bytes", unit: "s", decimals: 3)
        goals.append(Goal("  chaind to sqlite3", validation, over: tool, atMost: 0.5))
    }
    return goals
}
