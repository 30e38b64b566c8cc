// The blocks that follow one of the list, as server-sent events. Who follows the end of the list asks for the same ones at about
// the same time, so they are read and written once for all.

import Chain
import NIOCore
import OrderedCollections

/// Reads the list for those who listen to it.
actor LiveTail {
    /// Blocks that follow each other, as events.
    struct Chunk: Sendable {
        let events: ByteBuffer
        /// The last of the blocks.
        let end: BlockPoint
    }

    /// What follows a block.
    enum Answer: Sendable {
        case chunk(Chunk)
        /// Nothing yet: the block is the head.
        case nothing
        /// The block is not in the list, or not any more.
        case notListed
    }

    /// A chunk ends with the slice that makes it larger than this.
    private static let chunkSizeBytesMin = 192 << 10
    private static let chunkBlocksMax = 4_096
    /// Chunks that are kept for whoever else asks.
    private static let keptMax = 32
    private static let keptSizeBytesMax = 8 << 20

    private let list: BlockList
    private var kept: OrderedDictionary<BlockPoint, Chunk> = [:]
    private var keptSizeBytes = 0
    private var reads: [BlockPoint: Task<Result<Answer, ReadError>, Never>] = [:]
    /// What is kept holds as long as no more blocks were replaced than these.
    private var replacements = 0

    init(list: BlockList) {
        self.list = list
    }

    /// What follows a block, which is at the height -1 before the genesis.
    func next(after point: BlockPoint) async throws(ReadError) -> Answer {
        forgetWhatWasReplaced()
        if let chunk = kept[point] { return .chunk(chunk) }
        if let read = reads[point] { return try await read.value.get() }
        let replacements = list.status.replacements
        let read = Task { await self.read(after: point) }
        reads[point] = read
        let result = await read.value
        reads[point] = nil
        if case .success(.chunk(let chunk)) = result, list.status.replacements == replacements {
            keep(chunk, after: point)
        }
        return try result.get()
    }

    private func read(after point: BlockPoint) async -> Result<Answer, ReadError> {
        var events = ByteBuffer()
        var end = point
        do throws(ReadError) {
            var slices = list.slices(from: point.height + 1, limit: Self.chunkBlocksMax).makeAsyncIterator()
            while events.readableBytes < Self.chunkSizeBytesMin, let slice = try await slices.next() {
                guard slice.previousHash == end.hash else { break }
                slice.forEachBlock { events.writeEvent($0) }
                end = BlockPoint(height: slice.endHeight - 1, hash: slice.lastHash)
            }
        } catch {
            // What was read before is good.
            if end == point { return .failure(error) }
        }
        if end != point { return .success(.chunk(Chunk(events: events, end: end))) }
        return .success(list.status.headHash == point.hash ? .nothing : .notListed)
    }

    private func forgetWhatWasReplaced() {
        guard list.status.replacements != replacements else { return }
        replacements = list.status.replacements
        kept = [:]
        keptSizeBytes = 0
    }

    private func keep(_ chunk: Chunk, after point: BlockPoint) {
        forgetWhatWasReplaced()
        kept[point] = chunk
        keptSizeBytes += chunk.events.readableBytes
        while kept.count > Self.keptMax || keptSizeBytes > Self.keptSizeBytesMax, let first = kept.elements.first {
            keptSizeBytes -= first.value.events.readableBytes
            kept.removeFirst()
        }
    }
}

extension ByteBuffer {
    fileprivate mutating func writeEvent(_ block: BlockView) {
        writeString("id: \(BlockPoint(height: block.height, hash: block.hash).eventID)\nevent: block\ndata: ")
        writeJSON(
            height: block.height, timestamp: block.timestamp, data: block.data, previousHash: block.previousHash,
            hash: block.hash, origin: block.origin)
        writeStaticString("\n\n")
    }
}

extension BlockPoint {
    /// What the genesis follows.
    static let beforeGenesis = BlockPoint(height: -1, hash: .zero)
    static let genesis = BlockPoint(height: 0, hash: Block.genesis.hash)

    /// As the id of an event, `HEIGHT-HASH`.
    var eventID: String { "\(height)-\(hash)" }

    /// `nil` if it is not the id of an event.
    init?(eventID: String) {
        let parts = eventID.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, 1...18 ~= parts[0].utf8.count,
            parts[0].utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }),
            let height = Int(parts[0]), let hash = Hash(hex: String(parts[1]))
        else { return nil }
        self.init(height: height, hash: hash)
    }
}
