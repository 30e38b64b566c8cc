// Writes a block stream. docs/protocol.md describes each byte.
//
//     stream  "CHNS", 0x01, header, part ...
//     header  after height 8, after hash 32, head height 8, head hash 32, final height 8, settled height 8
//     part    kind 1, length 4, as many bytes
//     run     first height 8, count 2, the columns as docs/format.md describes the content of a run
//     tags    count 2, for each: first height 8, blocks 4, session 8, counter 8, taken 8, key length 1, key, and where there
//             is one the hash of its request 32
//
// All numbers are big-endian.

import Chain
import NIOCore

/// The numbers of the format, and the limits that a receiver holds a sender to.
enum BlockStream {
    static let magic: [UInt8] = Array("CHNS".utf8) + [1]
    static let headerSizeBytes = magic.count + 4 * 8 + 2 * Hash.sizeBytes
    static let partHeadSizeBytes = 1 + 4
    static let runHeadSizeBytes = 8 + 2

    static let runKind: UInt8 = 1
    static let endKind: UInt8 = 2
    static let errorKind: UInt8 = 3
    static let tagsKind: UInt8 = 4

    /// A run of one block of 16 MiB, and some more.
    static let runSizeBytesMax = 17 << 20
    static let runBlocksMax = 256
    /// Bytes of text in a run of more than one block.
    static let runDataSizeBytesMax = 64 << 10
    /// What a block takes beside its text: timestamp, hash, end and an origin.
    static let blockSizeBytesMax = 8 + Hash.sizeBytes + 4 + 80
    static let errorSizeBytesMax = 1_000
    static let tagsMax = 256
    static let tagSizeBytesMax = 37 + 64 + Hash.sizeBytes
}

extension ByteBuffer {
    /// Writes what a stream begins with.
    mutating func writeStreamHeader(_ header: StreamHeader) {
        writeBytes(BlockStream.magic)
        writePoint(header.after)
        writePoint(header.head)
        writeInteger(UInt64(header.finalHeight))
        writeInteger(UInt64(header.settledHeight))
    }

    /// Writes a part.
    mutating func writeStreamPart(_ part: StreamPart) {
        switch part {
        case .run(let run):
            writeInteger(BlockStream.runKind)
            writeInteger(UInt32(BlockStream.runHeadSizeBytes + run.content.count))
            writeInteger(UInt64(run.firstHeight))
            writeInteger(UInt16(run.count))
            writeBytes(run.content)
        case .tags(let tags):
            writeInteger(BlockStream.tagsKind)
            writeLengthPrefixed { buffer in
                buffer.writeInteger(UInt16(tags.count))
                for tag in tags { buffer.writeTag(tag) }
            }
        case .end:
            writeInteger(BlockStream.endKind)
            writeInteger(UInt32(0))
        case .failed(let reason):
            let text = reason.prefix(withUTF8Max: BlockStream.errorSizeBytesMax)
            writeInteger(BlockStream.errorKind)
            writeInteger(UInt32(text.utf8.count))
            writeSubstring(text)
        }
    }

    /// Writes the number of bytes that `body` writes, and then them.
    private mutating func writeLengthPrefixed(_ body: (inout ByteBuffer) -> Void) {
        let start = writerIndex
        writeInteger(UInt32(0))
        body(&self)
        setInteger(UInt32(writerIndex - start - 4), at: start)
    }

    private mutating func writeTag(_ tag: AppendTag) {
        writeInteger(UInt64(tag.firstHeight))
        writeInteger(UInt32(tag.blocks))
        writeInteger(UInt64(tag.id.session))
        writeInteger(UInt64(tag.id.counter))
        writeInteger(tag.taken)
        let key = tag.idempotency?.key ?? ""
        writeInteger(UInt8(key.utf8.count))
        guard let idempotency = tag.idempotency else { return }
        writeString(key)
        writeBytes(idempotency.requestHash.bytes)
    }

    private mutating func writePoint(_ point: BlockPoint) {
        writeInteger(UInt64(point.height))
        writeBytes(point.hash.bytes)
    }
}

extension String {
    /// The first characters, as many as fit into so many bytes.
    fileprivate func prefix(withUTF8Max sizeBytesMax: Int) -> Substring {
        var end = startIndex
        while end < endIndex {
            let next = index(after: end)
            guard utf8.distance(from: startIndex, to: next) <= sizeBytesMax else { break }
            end = next
        }
        return self[..<end]
    }
}
