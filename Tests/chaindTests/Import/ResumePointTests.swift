// Where an import goes on, against histories of which the truth is known.

import Chain
import TestSupport
import Testing

@testable import chaind

/// A list of texts in memory, which notes from where it was read.
private final class ListOfTexts: ImportDestination {
    let texts: [String]

    /// - Parameter texts: those after the genesis.
    init(_ texts: [String]) { self.texts = texts }

    func headHeight() -> Int { texts.count }

    func append(_ batch: LineBatch, number: Int) throws -> ClosedRange<Int> {
        throw TestSupportError("nothing is appended here")
    }

    func forEachTextHash(in heights: ClosedRange<Int>, _ body: (Hash) -> Void) {
        for height in heights { body(hash(texts[height - 1])) }
    }

    func close() {}

    private func hash(_ text: String) -> Hash {
        var text = text
        return text.withUTF8 { Hash(sha256: UnsafeRawBufferPointer($0)) }
    }
}

struct ResumePointTests {
    private func index(_ batches: [[String]]) -> BatchIndex {
        var index = BatchIndex()
        for batch in batches { index.append(LineBatch(texts: batch, lines: Array(1...batch.count))) }
        return index
    }

    private func imported(_ batches: [[String]], in texts: [String]) async throws -> Int {
        try await ListOfTexts(texts).importedBatches(of: index(batches)) { _, _ in }
    }

    private let abc = [["a1", "a2"], ["b1", "b2"], ["c1"]]

    @Test func isTheBeginningWhereNothingIsThere() async throws {
        #expect(try await imported(abc, in: []) == 0)
        #expect(try await imported(abc, in: ["x", "a1", "x", "a2", "b1", "b2", "c1"]) == 0)
        #expect(try await imported([], in: ["x"]) == 0)
    }

    @Test func followsTheBatches() async throws {
        #expect(try await imported(abc, in: ["x", "a1", "a2"]) == 1)
        #expect(try await imported(abc, in: ["a1", "a2", "b1", "b2"]) == 2)
        #expect(try await imported(abc, in: ["a1", "a2", "b1", "b2", "c1"]) == 3)
    }

    @Test func passesOverBlocksOfOthers() async throws {
        #expect(try await imported(abc, in: ["x", "a1", "a2", "y", "b1", "z", "b1", "b2", "x", "x"]) == 2)
        #expect(try await imported(abc, in: ["a1", "a2", "c1", "b1", "b2"]) == 2)
        // A batch is a group or it is not there.
        #expect(try await imported(abc, in: ["a1", "a2", "b1", "y", "b2"]) == 1)
    }

    @Test func isInTheImportThatBeganLast() async throws {
        let whole = abc.flatMap { $0 }
        #expect(try await imported(abc, in: whole + ["a1", "a2"]) == 1)
        #expect(try await imported(abc, in: whole + whole) == 3)
        #expect(try await imported(abc, in: ["a1", "a2", "b1", "b2", "y", "a1", "a2"]) == 1)
    }

    @Test func followsATextThatRepeatsItself() async throws {
        let same = [["x", "x"], ["x", "x"], ["x"]]
        for copies in 0..<3 {
            for part in 0...3 {
                let prefix = same.prefix(part).flatMap { $0 }
                let texts = (0..<copies).flatMap { _ in same.flatMap { $0 } } + prefix
                // Whole copies alone are whole.
                let expected = part == 0 && copies > 0 ? 3 : part
                #expect(try await imported(same, in: texts) == expected, "\(copies) copies and \(part) batches")
            }
        }
        let comesBack = [["a"], ["b"], ["a"], ["d"]]
        #expect(try await imported(comesBack, in: ["a", "b", "a", "y"]) == 3)
    }

    /// Histories with a text whose batches all differ: whole copies, then a part of one, with others' blocks anywhere
    /// but within a batch, and not the text's first batch among them.
    @Test(arguments: 0..<300 as Range<UInt64>) func isRightInEveryHistory(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let isUnique = Bool.random(using: &random)
        let words = isUnique ? 12 : 2
        func text(_ random: inout SeededGenerator) -> String { "\(Int.random(in: 0..<words, using: &random))" }
        let lines = Int.random(in: 1...4, using: &random)
        let batches = (0..<Int.random(in: 1...5, using: &random)).map { number in
            (isUnique ? ["batch \(number)"] : []) + (0..<lines).map { _ in text(&random) }
        }
        // Others interleave only where batches can be told from what they append.
        func others(_ random: inout SeededGenerator) -> [String] {
            guard isUnique else { return [] }
            return (0..<Int.random(in: 0...3, using: &random)).map { _ in text(&random) }
        }
        var texts = others(&random)
        let copies = Int.random(in: 0...2, using: &random)
        let part = Int.random(in: 0...batches.count, using: &random)
        for batch in (0..<copies).flatMap({ _ in batches }) + batches.prefix(part) {
            texts += batch + others(&random)
        }
        let expected = part == 0 && copies > 0 ? batches.count : part
        #expect(try await imported(batches, in: texts) == expected, "\(batches) in \(texts)")
    }

    /// The rule of `ResumeScan`, said with arrays and without hashes, in lists of few different texts.
    @Test(arguments: 0..<300 as Range<UInt64>) func isWhatTheRuleSays(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        func texts(_ range: ClosedRange<Int>) -> [String] {
            (0..<Int.random(in: range, using: &random)).map { _ in Bool.random(using: &random) ? "x" : "y" }
        }
        let batches = (0..<Int.random(in: 1...4, using: &random)).map { _ in texts(1...3) }
        let list = texts(0...40)
        var (position, expected) = (0, 0)
        while position < list.count {
            let candidates = (expected < batches.count ? [expected, 0] : [0])
            if let next = candidates.first(where: { list[position...].starts(with: batches[$0]) }) {
                expected = next + 1
                position += batches[next].count
            } else {
                position += 1
            }
        }
        var scan = ResumeScan(index(batches))
        if !list.isEmpty { ListOfTexts(list).forEachTextHash(in: 1...list.count) { scan.append($0) } }
        scan.end()
        #expect(scan.batches == expected, "\(batches) in \(list)")
    }

    @Test func findsAnImportFarBack() async throws {
        let list = ["x", "a1", "a2", "b1", "b2"] + (0..<1000).map { "other \($0)" }
        #expect(try await imported(abc, in: list) == 2)
    }

    @Test func readsTheTailOnlyWhereThatDecides() async throws {
        let reads = Reads()
        let list = (0..<1000).map { "other \($0)" } + ["a1", "a2", "b1", "b2"]
        _ = try await ListOfTexts(list).importedBatches(of: index(abc)) { blocks, total in reads.note(total) }
        #expect(reads.totals == [11])
        // The first batch comes again in the text: only the whole list decides.
        let again = index([["a1"], ["b1"], ["a1"]])
        let more = Reads()
        _ = try await ListOfTexts(list).importedBatches(of: again) { blocks, total in more.note(total) }
        #expect(more.totals == [1004])
    }

    @Test func knowsWhetherTheFirstBatchComesAgain() {
        #expect(!index(abc).firstBatchRecurs)
        #expect(index([["a", "b"], ["c", "a"], ["b", "d"]]).firstBatchRecurs)
        #expect(index([["x", "x"], ["x"]]).firstBatchRecurs)
        #expect(!index([["x", "x"], ["y", "x"], ["y", "x"]]).firstBatchRecurs)
        #expect(!index([["x", "x"]]).firstBatchRecurs)
    }
}

/// The sizes of the reads that were reported.
private final class Reads {
    private(set) var totals: [Int] = []

    func note(_ total: Int) {
        if totals.last != total { totals.append(total) }
    }
}
