// Batches of lines, read from real files.

import Foundation
import TestSupport
import Testing

@testable import chaind

struct LineBatchesTests {
    private func batches(_ bytes: [UInt8], max: Int = 8 << 20, skipsInvalid: Bool = false) async throws -> [LineBatch] {
        try await withTemporaryDirectory { directory in
            try Data(bytes).write(to: URL(fileURLWithPath: directory.path("text")))
            var reader = LineBatches(
                file: try InputFile(path: directory.path("text")), lineSizeBytesMax: max, skipsInvalid: skipsInvalid)
            var batches: [LineBatch] = []
            while let batch = try await reader.next() { batches.append(batch) }
            return batches
        }
    }

    @Test func endAfterAThousandLines() async throws {
        let text = (1...2500).map { "line \($0)\n" }.joined()
        let found = try await batches(Array(text.utf8))
        #expect(found.map(\.texts.count) == [1000, 1000, 500])
        #expect(found.map(\.firstLine) == [1, 1001, 2001])
        #expect(found.map(\.lastLine) == [1000, 2000, 2500])
        #expect(found.flatMap(\.texts) == (1...2500).map { "line \($0)" })
        #expect(found.last?.endOffset == text.utf8.count)
    }

    @Test func endBeforeTheyExceedFourMebibytes() async throws {
        let mebibyte = String(repeating: "m", count: 1 << 20)
        let long = String(repeating: "l", count: 5 << 20)
        let lines = [mebibyte, mebibyte, mebibyte, mebibyte, "a", long, "b", mebibyte]
        let found = try await batches(Array(lines.joined(separator: "\n").utf8))
        #expect(found.map(\.texts) == [Array(lines[0..<4]), ["a"], [long], ["b", mebibyte]])
        #expect(found.map(\.firstLine) == [1, 5, 6, 7])
        #expect(found[1].endOffset == (4 << 20) + 4 + 2)
    }

    @Test func stopAtALineThatIsNoBlock() async throws {
        await #expect { try await batches(Array("a\nb\n".utf8) + [0xFF, 0x0A]) } throws: { error in
            "\(error)".hasPrefix("line 3 is not UTF-8")
        }
        await #expect { try await batches(Array("a\n12345\n".utf8), max: 4) } throws: { error in
            "\(error)".hasPrefix("line 2 is longer than 4 bytes")
        }
    }

    @Test func skipLinesThatAreNoBlocks() async throws {
        let bytes = Array("a\n".utf8) + [0xFF, 0x0A] + Array("12345\nb\n".utf8)
        let found = try await batches(bytes, max: 4, skipsInvalid: true)
        #expect(found.map(\.texts) == [["a", "b"]])
        #expect(found.map(\.lines) == [[1, 4]])
    }

    @Test func areTheSameFromThePlaceWhereOneEnds() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.path("text")
            try Data((1...2500).map { "line \($0)\r\n" }.joined().utf8).write(to: URL(fileURLWithPath: path))
            let file = try InputFile(path: path)
            var whole = LineBatches(file: file, lineSizeBytesMax: 100, skipsInvalid: false)
            let first = try #require(try await whole.next())
            let second = try #require(try await whole.next())
            try file.seek(to: first.endOffset)
            var rest = LineBatches(
                file: file, lineSizeBytesMax: 100, skipsInvalid: false, after: first.lastLine, offset: first.endOffset)
            let again = try #require(try await rest.next())
            #expect(again.texts == second.texts)
            #expect(again.lines == second.lines)
            #expect(again.endOffset == second.endOffset)
        }
    }
}
