// Lines as they come out of bytes, wherever the bytes are cut.

import TestSupport
import Testing

@testable import chaind

struct LineSplitterTests {
    /// All lines of a text that arrives in chunks of one size.
    private func lines(_ bytes: [UInt8], chunkSizeBytes: Int, max: Int = 10) -> [LineSplitter.Line] {
        var splitter = LineSplitter(lineSizeBytesMax: max)
        var lines: [LineSplitter.Line] = []
        for start in stride(from: 0, to: bytes.count, by: chunkSizeBytes) {
            splitter.feed(Array(bytes[start..<min(bytes.count, start + chunkSizeBytes)]))
            while let line = splitter.next() { lines.append(line) }
        }
        if let line = splitter.end() { lines.append(line) }
        #expect(splitter.end() == nil)
        return lines
    }

    private static let cases: [(String, [LineSplitter.Content])] = [
        ("", []),
        ("\n", [.text("")]),
        ("a", [.text("a")]),
        ("a\n", [.text("a")]),
        ("a\nb", [.text("a"), .text("b")]),
        ("a\n\n\nb\n", [.text("a"), .text(""), .text(""), .text("b")]),
        ("a\r\nb\r\n\r\n", [.text("a"), .text("b"), .text("")]),
        ("a\rb\n", [.text("a\rb")]),
        ("a\r\r\n", [.text("a\r")]),
        // A CR is dropped before an LF only.
        ("a\r", [.text("a\r")]),
        ("\r", [.text("\r")]),
        ("a\u{0}b\n", [.text("a\u{0}b")]),
        ("olá\n世界🌍\n", [.text("olá"), .text("世界🌍")]),
        ("1234567890\n", [.text("1234567890")]),
        ("1234567890\r\n", [.text("1234567890")]),
        ("1234567890", [.text("1234567890")]),
        ("12345678901\nb\n", [.tooLong, .text("b")]),
        ("1234567890\r", [.tooLong]),
        ("1234567890\r\r\n", [.tooLong]),
        ("a\n123456789012345678901234567890\n\nb", [.text("a"), .tooLong, .text(""), .text("b")]),
        ("123456789012345678901234567890", [.tooLong]),
    ]

    @Test(arguments: 1...12) func findsTheSameLinesHoweverTheBytesAreCut(chunkSizeBytes: Int) {
        for (text, contents) in LineSplitterTests.cases {
            let found = lines(Array(text.utf8), chunkSizeBytes: chunkSizeBytes)
            #expect(found.map(\.content) == contents, "\(text.debugDescription)")
            #expect(found.map(\.number) == contents.indices.map { $0 + 1 })
            #expect((found.last?.endOffset ?? 0) == text.utf8.count)
        }
    }

    @Test(arguments: [1, 3, 100]) func numbersLinesThatAreNotUTF8(chunkSizeBytes: Int) {
        let bytes = Array("a\n".utf8) + [0xFF, 0x0A, 0xC3, 0x0D, 0x0A] + Array("é\n".utf8) + [0xED, 0xA0, 0x80]
        let found = lines(bytes, chunkSizeBytes: chunkSizeBytes)
        #expect(found.map(\.content) == [.text("a"), .notUTF8, .notUTF8, .text("é"), .notUTF8])
        #expect(found.map(\.number) == [1, 2, 3, 4, 5])
        #expect(found.map(\.endOffset) == [2, 4, 7, 10, 13])
    }

    @Test func goesOnFromALineInTheMiddle() {
        var splitter = LineSplitter(lineSizeBytesMax: 10, after: 41, offset: 1000)
        splitter.feed(Array("abc\n".utf8))
        #expect(splitter.next() == LineSplitter.Line(number: 42, endOffset: 1004, content: .text("abc")))
    }
}
