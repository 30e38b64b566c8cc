// Migrations of the original service's lists: what arrives, and what is refused and why.

import Chain
import Foundation
import TestSupport
import Testing

@testable import chaind

struct OriginalImportTests {
    private let now: @Sendable () -> Int64 = { 1_800_000_000 }

    /// Migrates rows into a new folder, and gives what arrived after the genesis.
    private func migrate(
        _ rows: [OriginalRow], longestValid: Bool = false, zone: TimeZone = .gmt, max: Int = 1 << 20, sql: [String] = []
    ) async throws -> (report: OriginalImportReport, blocks: [Block]) {
        try await withTemporaryDirectory { directory in
            try OriginalRows.write(rows, to: directory.path("original.db"), sql: sql)
            let before = try directory.contents()
            let report = try await OriginalImport(
                path: directory.path("original.db"), databasePath: directory.path("chain.db"), timeZone: zone,
                takesLongestValid: longestValid, dataSizeBytesMax: max
            ).run()
            let after = try directory.contents()
            #expect(after["original.db"] == before["original.db"])
            guard after["chain.db"] != nil else {
                #expect(after == before)
                return (report, [])
            }
            #expect(after.keys.sorted() == ["chain.db", "chain.db.lock", "original.db"])
            let result = try await BlockList.verify(path: directory.path("chain.db")) { _ in }
            #expect(result.isValid)
            return (report, try await blocks(of: directory.path("chain.db")))
        }
    }

    private func blocks(of path: String) async throws -> [Block] {
        let list = try await BlockList.open(path: path, now: now)
        var blocks: [Block] = []
        for try await slice in list.slices(from: 1) { blocks += slice.blocks }
        try await list.close()
        return blocks
    }

    private let texts = ["one", "", "três 🌍", "a\u{0}b\nc", "five"]

    @Test func bringsTheWholeListInItsOrder() async throws {
        let rows = OriginalRows(texts).rows
        let (report, blocks) = try await migrate([4, 2, 0, 5, 1, 3].map { rows[$0] })
        #expect(report.end == .done)
        #expect(report.text == "imported 5 blocks: heights 1 to 5")
        #expect(blocks.map(\.data) == texts)
        #expect(blocks.map(\.timestamp) == (0..<5).map { 1_687_719_600 + $0 * 60 })
    }

    /// Hashes as Python's hashlib gives them for the original's rule.
    @Test func knowsTheOriginalsHashes() async throws {
        var rows = [OriginalRow("Genesis Block", at: "2023-06-25 18:14:00.123456", after: "0")]
        rows.append(OriginalRow("olá", at: "2023-06-25 19:00:00", after: rows[0].hash))
        rows.append(OriginalRow("", at: "2023-06-25 19:00:00.5", after: rows[1].hash))
        #expect(
            rows.map(\.hash) == [
                "c0b053d9bcac4604b84a83b00ddc2d16fc9dfef03156fae91417cc69819071b7",
                "6a540beeb9e694f0575025dd3a5912c82c5abe3871a373fc0c2b897f5296230d",
                "c15a0d0f476a8545472c3eff5d7017c2442b43362f27ba704b316008e31c2b6d",
            ])
        #expect(try await migrate(rows).blocks.map(\.data) == ["olá", ""])
    }

    @Test func bringsALongListInBatches() async throws {
        var original = OriginalRows()
        for number in 0..<25_000 { original.append("text \(number)", at: "2023-06-26 00:00:00") }
        let (report, blocks) = try await migrate(original.rows.reversed())
        #expect(report.blocks == 25_000)
        #expect(blocks.map(\.data) == (0..<25_000).map { "text \($0)" })
    }

    @Test func makesAnEmptyListOfALoneGenesis() async throws {
        let (report, blocks) = try await migrate(OriginalRows().rows)
        #expect(report.text == "imported 0 blocks")
        #expect(report.end == .done)
        #expect(blocks.isEmpty)
    }

    @Test func readsTimesInAZone() async throws {
        let zone = try #require(TimeZone(identifier: "Europe/Lisbon"))
        var original = OriginalRows()
        // The clocks are put back between the second and the third.
        for time in ["01:10:00", "01:50:00", "01:20:00", "02:00:00"] {
            original.append(time, at: "2023-10-29 \(time)")
        }
        let (report, blocks) = try await migrate(original.rows, zone: zone)
        #expect(report.end == .done)
        #expect(blocks.map(\.timestamp) == [1_698_538_200, 1_698_540_600, 1_698_542_400, 1_698_544_800])
    }

    // MARK: Faults

    /// Each fault is reported with its hash, nothing is imported, and `--longest-valid` takes what is left.
    private func expectFault(
        _ rows: [OriginalRow], _ kind: OriginalFault.Kind, about hash: String, longest: [String]?, leftOut: Int = 0,
        max: Int = 1 << 20, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let (refused, nothing) = try await migrate(rows, max: max)
        #expect(refused.end == .refused, sourceLocation: sourceLocation)
        #expect(refused.faults.first.map(\.kind) == [kind], sourceLocation: sourceLocation)
        #expect(refused.faults.first.map(\.hash) == [hash], sourceLocation: sourceLocation)
        #expect(nothing.isEmpty, sourceLocation: sourceLocation)
        let (report, blocks) = try await migrate(rows, longestValid: true, max: max)
        #expect(report.end == (longest == nil ? .refused : .done), sourceLocation: sourceLocation)
        #expect(blocks.map(\.data) == longest ?? [], sourceLocation: sourceLocation)
        #expect(report.leftOut == leftOut, sourceLocation: sourceLocation)
    }

    @Test func reportsAWrongHash() async throws {
        var rows = OriginalRows(texts).rows
        rows[3].data = Array("forged".utf8)
        try await expectFault(rows, .hash, about: rows[3].hash, longest: ["one", ""], leftOut: 3)
    }

    @Test func reportsAHashInUpperCase() async throws {
        var rows = OriginalRows(["one"]).rows
        rows[1].hash = rows[1].hash.uppercased()
        try await expectFault(rows, .hash, about: rows[1].hash, longest: [], leftOut: 1)
    }

    @Test func reportsAFork() async throws {
        var rows = OriginalRows(texts).rows
        rows.append(OriginalRow("fork", at: "2023-06-25 20:00:00", after: rows[2].hash))
        try await expectFault(rows, .fork, about: rows[2].hash, longest: texts, leftOut: 1)
    }

    @Test func takesTheSmallerHeadOfEquallyLongLists() async throws {
        var rows = OriginalRows(["one"]).rows
        for number in 0..<4 { rows.append(OriginalRow("\(number)", at: "2023-06-25 20:00:00", after: rows[1].hash)) }
        let smallest = try #require(rows.suffix(4).min { $0.hash < $1.hash })
        try await expectFault(
            rows, .fork, about: rows[1].hash, longest: ["one", String(decoding: smallest.data, as: UTF8.self)],
            leftOut: 3)
    }

    @Test func reportsARowThatIsThereTwice() async throws {
        let rows = OriginalRows(texts).rows
        try await expectFault(rows + [rows[3]], .fork, about: rows[2].hash, longest: texts, leftOut: 1)
    }

    @Test func reportsAGap() async throws {
        var rows = OriginalRows(texts).rows
        rows.remove(at: 3)
        try await expectFault(rows, .gap, about: rows[3].hash, longest: ["one", ""], leftOut: 2)
    }

    @Test func reportsAPreviousHashThatIsNone() async throws {
        var rows = OriginalRows(["one"]).rows
        rows.append(OriginalRow("stray", at: "2023-06-25 20:00:00", after: String(repeating: "0", count: 64)))
        try await expectFault(rows, .gap, about: rows[2].hash, longest: ["one"], leftOut: 1)
        rows[2] = OriginalRow("stray", at: "2023-06-25 20:00:00", after: "00")
        try await expectFault(rows, .gap, about: rows[2].hash, longest: ["one"], leftOut: 1)
    }

    @Test func reportsAMissingGenesis() async throws {
        let (refused, _) = try await migrate([])
        #expect(refused.faults.first.map(\.kind) == [.genesis])
        #expect(try await migrate([], longestValid: true).report.end == .refused)
    }

    @Test func reportsTwoGeneses() async throws {
        let rows = OriginalRows(texts).rows
        let other = OriginalRow("other genesis", at: "2022-01-01 00:00:00", after: "0")
        let (refused, _) = try await migrate(rows + [other])
        #expect(refused.end == .refused)
        #expect(Set(refused.faults.first.map(\.hash)) == [rows[0].hash, other.hash])
        #expect(refused.faults.first.map(\.kind) == [.genesis, .genesis])
        let (report, blocks) = try await migrate(rows + [other], longestValid: true)
        #expect(blocks.map(\.data) == texts)
        #expect(report.leftOut == 1)
    }

    @Test func reportsAMalformedTimestamp() async throws {
        var rows = OriginalRows(["one", "two"])
        rows.append("three", at: "2023-06-25T20:00:00")
        rows.append("four", at: "2023-06-25 21:00:00")
        try await expectFault(rows.rows, .timestamp, about: rows.rows[3].hash, longest: ["one", "two"], leftOut: 2)
    }

    @Test func reportsATimeThatGoesBack() async throws {
        var rows = OriginalRows(["one"])
        rows.append("same second", at: "2023-06-25 19:00:00.000001")
        rows.append("back", at: "2023-06-25 18:59:59.999999")
        try await expectFault(rows.rows, .time, about: rows.rows[3].hash, longest: ["one", "same second"], leftOut: 1)
    }

    @Test func reportsAFirstBlockBeforeOurGenesis() async throws {
        var rows = OriginalRows()
        rows.append("early", at: "2023-06-25 18:13:59.999999")
        try await expectFault(rows.rows, .time, about: rows.rows[1].hash, longest: [], leftOut: 1)
        var exact = OriginalRows()
        exact.append("in time", at: "2023-06-25 18:14:00")
        #expect(try await migrate(exact.rows).blocks.map(\.timestamp) == [1_687_716_840])
    }

    @Test func reportsTextThatIsNotUTF8() async throws {
        var rows = OriginalRows(["one", "two"]).rows
        rows[2].data = [0x61, 0xFF]
        rows[2].sign()
        try await expectFault(rows, .text, about: rows[2].hash, longest: ["one"], leftOut: 1)
    }

    @Test func reportsTextOverTheLimit() async throws {
        let rows = OriginalRows(["one", String(repeating: "x", count: 101)]).rows
        try await expectFault(rows, .tooLong, about: rows[2].hash, longest: ["one"], leftOut: 1, max: 100)
    }

    @Test func reportsTheFirstFaultsAndCountsAll() async throws {
        var rows = OriginalRows((0..<50).map { "text \($0)" }).rows
        for index in 10..<40 { rows[index].data = [] }
        let (report, _) = try await migrate(rows)
        #expect(report.faults.count == 30)
        #expect(report.faults.first.map(\.hash) == rows[10..<30].map(\.hash))
        let lines = report.refusal(path: "p")
        #expect(lines.count == 21)
        #expect(lines.last?.hasPrefix("p: 30 faults (the first 20 are above), nothing was imported") == true)
    }

    @Test func bringsNothingAfterAForgedGenesis() async throws {
        var rows = OriginalRows(["one"]).rows
        rows[0].data = Array("forged".utf8)
        try await expectFault(rows, .hash, about: rows[0].hash, longest: nil)
    }
}

extension TemporaryDirectory {
    /// The names in the folder with the bytes of the files.
    fileprivate func contents() throws -> [String: Data] {
        var contents: [String: Data] = [:]
        for name in try names() { contents[name] = try Data(contentsOf: URL(fileURLWithPath: path(name))) }
        return contents
    }
}
