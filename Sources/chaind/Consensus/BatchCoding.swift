// How a batch stands in etcd: as the block stream that nodes send each other, whole or in parts.

import Chain
import NIOCore

/// Batches as bytes.
enum BatchCoding {
    /// A larger batch does not fit into one request of etcd's (`--max-request-bytes`) with all that is beside it.
    static let valueSizeBytesMax = 1_200_000
    /// What a part of a larger one has.
    static let chunkSizeBytes = 1 << 20
    /// More parts than the largest batch has.
    static let chunksMax = 64

    /// The value of a batch's key.
    enum Value: Hashable, Sendable {
        case whole(OrderedBatch)
        /// The parts stand in so many keys that begin so.
        case parts(count: Int, prefix: String)
    }

    private static let partsMagic = Array("CHNC".utf8) + [1]

    /// The bytes of a batch.
    static func encode(_ batch: OrderedBatch) -> [UInt8] {
        var buffer = ByteBuffer()
        let head = BlockPoint(height: batch.height, hash: batch.hash)
        buffer.writeStreamHeader(
            StreamHeader(
                after: BlockPoint(height: batch.previousHeight, hash: batch.previousHash), head: head,
                finalHeight: batch.height))
        for start in stride(from: 0, to: batch.tags.count, by: BlockStream.tagsMax) {
            let end = min(start + BlockStream.tagsMax, batch.tags.count)
            buffer.writeStreamPart(.tags(Array(batch.tags[start..<end])))
        }
        for run in batch.runs { buffer.writeStreamPart(.run(run)) }
        buffer.writeStreamPart(.end)
        return [UInt8](buffer.readableBytesView)
    }

    /// The bytes that stand for a batch whose parts are in other keys.
    static func encodeParts(count: Int, prefix: String) -> [UInt8] {
        partsMagic + [UInt8(truncatingIfNeeded: count)] + Array(prefix.utf8)
    }

    /// What the value of a batch's key says.
    ///
    /// - Throws: `StreamError` for what is no batch.
    static func decode(_ bytes: [UInt8]) throws(StreamError) -> Value {
        guard bytes.starts(with: partsMagic), bytes.count > partsMagic.count + 1 else {
            return .whole(try batch(bytes))
        }
        let count = Int(bytes[partsMagic.count])
        guard 1...chunksMax ~= count else { throw .notAStream }
        return .parts(count: count, prefix: String(decoding: bytes[(partsMagic.count + 1)...], as: UTF8.self))
    }

    /// The batch that bytes hold.
    static func batch(_ bytes: [UInt8]) throws(StreamError) -> OrderedBatch {
        var decoder = BlockStreamDecoder()
        decoder.append(ByteBuffer(bytes: bytes))
        guard let header = try decoder.nextHeader() else { throw .notAStream }
        var runs: [BlockRun] = []
        var tags: [AppendTag] = []
        while !decoder.isAtEnd {
            switch try decoder.nextPart() {
            case .run(let run): runs.append(run)
            case .tags(let more): tags += more
            case .end: break
            case .failed, nil: throw .short(height: header.after.height, headHeight: header.head.height)
            }
        }
        guard decoder.bufferedSizeBytes == 0 else { throw .afterEnd(height: header.head.height) }
        guard
            let batch = OrderedBatch(
                previousHeight: header.after.height, previousHash: header.after.hash, runs: runs, tags: tags)
        else { throw .short(height: header.after.height, headHeight: header.head.height) }
        return batch
    }
}
