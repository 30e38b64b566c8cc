// The block stream: what is sent is what is received, and everything else is refused with its height.

import Chain
import NIOCore
import TestSupport
import Testing

@testable import chaind

@Suite struct BlockStreamTests {
    @Test(arguments: [1, 7, 64, 4_096, Int.max])
    func whatIsSentIsReceivedHoweverItIsCut(pieceSize: Int) {
        let sample = StreamSample(seed: 11, blocks: 300)
        let decoded = DecodedStream(sample.bytes, pieceSizes: [pieceSize])
        #expect(decoded.error == nil && decoded.isAtEnd)
        #expect(decoded.header == sample.header)
        #expect(decoded.parts == sample.parts)
    }

    @Test func buffersThatAreMadeOnDemandAreTheSameBytes() async {
        let sample = StreamSample(seed: 12, blocks: 2_000)
        var bytes: [UInt8] = []
        var buffers = 0
        for await buffer in OutgoingBuffers(stream: sample.outgoing) {
            bytes += buffer.readableBytesView
            buffers += 1
        }
        #expect(bytes == sample.bytes)
        #expect(2...(sample.bytes.count >> 16) + 1 ~= buffers)
        var one = 0
        for await _ in OutgoingBuffers(stream: StreamSample.hello.outgoing) { one += 1 }
        #expect(one == 1)
    }

    @Test func aStreamMayBeEmpty() {
        let header = StreamHeader(after: Block.hello.point, head: Block.hello.point, finalHeight: 1, settledHeight: 1)
        let decoded = DecodedStream(StreamSample.bytes(header, [.end]))
        #expect(decoded.error == nil && decoded.isAtEnd && decoded.header == header && decoded.parts == [.end])
    }

    @Test func theSenderMayGiveUp() {
        let sample = StreamSample(seed: 13, blocks: 100)
        let parts = Array(sample.parts.prefix(2)) + [.failed("reorganised")]
        let decoded = DecodedStream(StreamSample.bytes(sample.header, parts), pieceSizes: [10])
        #expect(decoded.error == nil && decoded.isAtEnd && decoded.parts == parts)
    }

    @Test func aLongReasonIsCutBetweenCharacters() throws {
        let parts: [StreamPart] = [.failed("x" + String(repeating: "é", count: 600))]
        let bytes = StreamSample.bytes(StreamSample.hello.header, parts)
        #expect(bytes.count == BlockStream.headerSizeBytes + 5 + 999)
        #expect(DecodedStream(bytes).error == nil)
        #expect(DecodedStream(bytes).isAtEnd)
    }

    @Test func aStreamThatIsCutIsNotAtItsEnd() {
        let sample = StreamSample(seed: 14, blocks: 60)
        for length in 0..<sample.bytes.count {
            let decoded = DecodedStream(Array(sample.bytes.prefix(length)))
            #expect(decoded.error == nil && !decoded.isAtEnd)
            #expect(decoded.parts == Array(sample.parts.prefix(decoded.parts.count)))
        }
    }

    /// A part that cannot be right is refused before it is there.
    @Test func oneLargeBlockIsTakenAndNothingLarger() throws {
        let text = String(repeating: "x", count: 16 << 20)
        let block = Block(height: 1, timestamp: 1_700_000_000, data: text, previousHash: Block.genesis.hash)
        let run = try #require(StreamSample.run(of: [block]))
        let header = StreamHeader(after: Block.genesis.point, head: block.point, finalHeight: 0)
        #expect(DecodedStream(StreamSample.bytes(header, [.run(run), .end]), pieceSizes: [1 << 16]).isAtEnd)

        let head = Array(StreamSample.bytes(header, []))
        let tooLong = DecodedStream(head + part(1, [], length: 17 << 20 + 1))
        #expect(tooLong.error == .tooLarge(sizeBytes: 17 << 20 + 1, height: 1))
    }

    // MARK: Refusals

    private func part(_ kind: UInt8, _ content: [UInt8], length: Int? = nil) -> [UInt8] {
        var buffer = ByteBuffer()
        buffer.writeInteger(kind)
        buffer.writeInteger(UInt32(length ?? content.count))
        buffer.writeBytes(content)
        return Array(buffer.readableBytesView)
    }

    private func run(_ firstHeight: UInt64, _ count: UInt16, _ content: [UInt8]) -> [UInt8] {
        var buffer = ByteBuffer()
        buffer.writeInteger(firstHeight)
        buffer.writeInteger(count)
        buffer.writeBytes(content)
        return part(1, Array(buffer.readableBytesView))
    }

    /// Bytes after the header of `hello`, and what they are refused for.
    @Test func everythingElseIsRefused() throws {
        let sample = StreamSample.hello
        guard case .run(let hello) = sample.parts[0] else { return }
        let content = hello.content
        let good = run(1, 1, content)
        let end = part(2, [])
        let tag: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1] + [UInt8](repeating: 0, count: 25)
        let cases: [([UInt8], StreamError)] = [
            (part(0, []), .unknownKind(0, height: 0)),
            (good + part(5, []), .unknownKind(5, height: 1)),
            (part(4, []), .notWhole(height: 0)),
            (part(4, [0, 0]), .notWhole(height: 0)),
            (part(4, [0, 1] + tag.dropLast()), .notWhole(height: 0)),
            (part(4, [0, 1] + tag + [0]), .notWhole(height: 0)),
            (part(4, [0, 2] + tag), .notWhole(height: 0)),
            // A key that is no UTF-8.
            (part(4, [0, 1] + tag.dropLast() + [1, 0xFF] + Hash.zero.bytes), .notWhole(height: 0)),
            (part(4, [], length: 100_000), .tooLarge(sizeBytes: 100_000, height: 0)),
            (end, .short(height: 0, headHeight: 1)),
            (part(2, [0]), .tooLarge(sizeBytes: 1, height: 0)),
            (part(3, [], length: 1_001), .tooLarge(sizeBytes: 1_001, height: 0)),
            (part(1, [], length: 9), .notWhole(height: 1)),
            (run(1, 0, content), .notWhole(height: 1)),
            (run(1, 257, content), .notWhole(height: 1)),
            (run(1, 1, Array(content.dropLast())), .notWhole(height: 1)),
            (run(1, 1, content + [0]), .notWhole(height: 1)),
            (run(1, 1, []), .notWhole(height: 1)),
            (run(0, 1, content), .gap(expectedHeight: 1, foundHeight: 0)),
            (run(2, 1, content), .gap(expectedHeight: 1, foundHeight: 2)),
            (run(.max, 1, content), .gap(expectedHeight: 1, foundHeight: .max)),
            (run(1, 2, content), .beyondHead(height: 2, headHeight: 1)),
            (good + good, .gap(expectedHeight: 2, foundHeight: 1)),
            (good + run(2, 1, content), .beyondHead(height: 2, headHeight: 1)),
            (good + end + [0], .afterEnd(height: 1)),
            (good + end + end, .afterEnd(height: 1)),
            (part(3, []) + good, .afterEnd(height: 0)),
        ]
        let head = StreamSample.bytes(sample.header, [])
        for (bytes, error) in cases {
            for pieceSizes in [[1], [Int.max]] {
                let decoded = DecodedStream(head + bytes, pieceSizes: pieceSizes)
                #expect(decoded.error == error)
                #expect(!error.description.contains("\n"))
            }
        }
    }

    @Test func aRunOfManyBlocksIsNoLargerThanItMayBe() {
        let blocks = StreamSample(seed: 15, blocks: 3).blocks
        let header = StreamHeader(after: blocks[0].point, head: blocks[3].point, finalHeight: 0)
        let length = 10 + 2 * 124 + 65_536
        let bytes = part(1, [0, 0, 0, 0, 0, 0, 0, 1, 0, 2], length: length)
        #expect(DecodedStream(StreamSample.bytes(header, []) + bytes).error == nil)
        let more = part(1, [0, 0, 0, 0, 0, 0, 0, 1, 0, 2], length: length + 1)
        #expect(
            DecodedStream(StreamSample.bytes(header, []) + more).error == .tooLarge(sizeBytes: length + 1, height: 1))
    }

    @Test func theLastBlockIsTheHeadThatTheHeaderNames() {
        let sample = StreamSample(seed: 16, blocks: 50)
        let other = StreamHeader(
            after: sample.header.after, head: BlockPoint(height: 50, hash: Block.hello.hash), finalHeight: 0)
        let decoded = DecodedStream(StreamSample.bytes(other, sample.parts))
        #expect(decoded.error == .anotherHead(height: 50))
        #expect(decoded.parts == Array(sample.parts.dropLast(2)))
    }

    @Test func headersThatContradictThemselvesAreRefused() {
        let genesis = Block.genesis.point
        let hello = Block.hello.point
        let large = BlockPoint(height: 1 << 40, hash: hello.hash)
        let headers = [
            StreamHeader(after: hello, head: genesis, finalHeight: 0),
            StreamHeader(after: BlockPoint(height: 1, hash: genesis.hash), head: hello, finalHeight: 0),
            StreamHeader(after: genesis, head: hello, finalHeight: 2),
            StreamHeader(after: genesis, head: hello, finalHeight: 0, settledHeight: 2),
            StreamHeader(after: genesis, head: large, finalHeight: 0),
            StreamHeader(after: genesis, head: hello, finalHeight: 1 << 40),
        ]
        for header in headers {
            guard case .invalidHeader = DecodedStream(StreamSample.bytes(header, [.end])).error else {
                Issue.record("\(header) was taken")
                continue
            }
        }
    }

    @Test(arguments: ["", "C", "CHNS\u{2}", "CHNT\u{1}", "{\"blocks\":[]}", "HTTP/1.1 200 OK"])
    func whatBeginsOtherwiseIsNoStream(text: String) {
        let decoded = DecodedStream(Array(text.utf8))
        #expect(decoded.error == ("CHNS\u{1}".hasPrefix(text) ? nil : .notAStream))
        #expect(decoded.header == nil)
    }
}
