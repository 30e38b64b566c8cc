// Lists and block streams for the tests of what nodes say to each other.

import Chain
import NIOCore
import TestSupport

@testable import chaind

/// A list after the genesis and the parts of a stream that carry it.
struct StreamSample {
    let blocks: [Block]
    let header: StreamHeader
    let parts: [StreamPart]

    /// Random blocks, some of them with an origin, in runs of random sizes.
    init(seed: UInt64, blocks count: Int, runBlocksMax: Int = 40) {
        var random = SeededGenerator(seed: seed)
        var texts = RandomList(seed: seed)
        var blocks = [Block.genesis]
        while blocks.count <= count {
            let last = blocks[blocks.count - 1]
            let data = String(texts.text().prefix(1_000))
            let first = Block(height: 7, timestamp: last.timestamp, data: data, previousHash: last.hash)
            blocks.append(
                Block(
                    height: last.height + 1, timestamp: last.timestamp + Int64.random(in: 0...2, using: &random),
                    data: data, previousHash: last.hash,
                    origin: Int.random(in: 0..<5, using: &random) == 0 ? Origin(of: first) : nil))
        }
        var parts: [StreamPart] = []
        var rest = blocks[1...]
        while !rest.isEmpty {
            let piece = rest.prefix(Int.random(in: 1...runBlocksMax, using: &random))
            parts += StreamSample.run(of: Array(piece)).map { [.run($0)] } ?? []
            rest = rest.dropFirst(piece.count)
        }
        self.blocks = blocks
        self.parts = parts + [.end]
        header = StreamHeader(after: blocks[0].point, head: blocks[blocks.count - 1].point, finalHeight: 0)
    }

    /// The run of consecutive blocks, packed by the reference of the format.
    static func run(of blocks: [Block]) -> BlockRun? {
        BlockRun(
            firstHeight: blocks[0].height, count: blocks.count, content: ReferenceList.encode(blocks.map(\.reference)))
    }

    /// The stream of `hello` after the genesis.
    static var hello: StreamSample { StreamSample(blocks: [.genesis, .hello]) }

    private init(blocks: [Block]) {
        self.blocks = blocks
        header = StreamHeader(after: blocks[0].point, head: blocks[blocks.count - 1].point, finalHeight: 0)
        parts = (StreamSample.run(of: Array(blocks[1...])).map { [.run($0)] } ?? []) + [.end]
    }

    /// The whole stream.
    var bytes: [UInt8] { StreamSample.bytes(header, parts) }

    static func bytes(_ header: StreamHeader, _ parts: [StreamPart]) -> [UInt8] {
        var buffer = ByteBuffer()
        buffer.writeStreamHeader(header)
        for part in parts { buffer.writeStreamPart(part) }
        return Array(buffer.readableBytesView)
    }

    /// The stream as a sender makes it.
    var outgoing: OutgoingStream { OutgoingStream(header: header, parts: parts) }
}

extension OutgoingStream {
    /// A stream of parts that are there already.
    init(header: StreamHeader, parts: [StreamPart]) {
        let rest = Rest(parts)
        self.init(header: header, next: { await rest.next() })
    }

    private actor Rest {
        private var parts: ArraySlice<StreamPart>

        init(_ parts: [StreamPart]) { self.parts = parts[...] }

        func next() -> StreamPart? { parts.popFirst() }
    }
}

extension IncomingStream {
    /// All parts.
    func collect() async throws(PeerError) -> [StreamPart] {
        var parts: [StreamPart] = []
        while let part = try await next() { parts.append(part) }
        return parts
    }
}

extension Block {
    static let hello = Block(height: 1, timestamp: 1_700_000_000, data: "hello", previousHash: Block.genesis.hash)

    var point: BlockPoint { BlockPoint(height: height, hash: hash) }

    var reference: ReferenceBlock {
        ReferenceBlock(
            timestamp: UInt64(timestamp), hash: hash.bytes, data: Array(data.utf8),
            origin: origin.map {
                .init(
                    hash: $0.hash.bytes, previousHash: $0.previousHash.bytes, timestamp: UInt64($0.timestamp),
                    height: UInt64($0.height))
            })
    }
}

/// What a decoder makes of bytes that come in pieces.
struct DecodedStream: Equatable {
    var header: StreamHeader?
    var parts: [StreamPart] = []
    var error: StreamError?
    var isAtEnd = false

    /// - Parameter pieceSizes: the sizes of the pieces, the last one for the rest too.
    init(_ bytes: [UInt8], pieceSizes: [Int] = [Int.max]) {
        var decoder = BlockStreamDecoder()
        var rest = bytes[...]
        var sizes = pieceSizes[...]
        do throws(StreamError) {
            while !rest.isEmpty {
                let size = sizes.count > 1 ? sizes.removeFirst() : sizes[sizes.startIndex]
                decoder.append(ByteBuffer(bytes: rest.prefix(size)))
                rest = rest.dropFirst(size)
                if let header = try decoder.nextHeader() { self.header = header }
                while let part = try decoder.nextPart() { parts.append(part) }
            }
        } catch {
            self.error = error
        }
        isAtEnd = decoder.isAtEnd
    }
}
