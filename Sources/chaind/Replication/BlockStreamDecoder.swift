// Reads a block stream as its bytes come in. The state belongs to whoever reads the stream.

import Chain
import NIOCore

/// An incremental reader of one stream. Who takes the parts between appending buffers keeps no more than one part and
/// one buffer in memory; a part that cannot be right is refused by its first bytes.
struct BlockStreamDecoder {
    private var buffer = ByteBuffer()
    private var header: StreamHeader?
    /// The last block so far.
    private var last = BlockPoint(height: 0, hash: .zero)
    /// Whether the last part was taken.
    private(set) var isAtEnd = false
    /// How many bytes were appended.
    private(set) var takenSizeBytes = 0

    /// Whether all of the next part was appended.
    var isNextThere: Bool {
        guard let length = buffer.getInteger(at: buffer.readerIndex + 1, as: UInt32.self) else { return false }
        return buffer.readableBytes >= BlockStream.partHeadSizeBytes + Int(length)
    }

    /// How many bytes wait to be taken as parts.
    var bufferedSizeBytes: Int { buffer.readableBytes }

    /// Takes the next bytes.
    mutating func append(_ bytes: ByteBuffer) {
        takenSizeBytes += bytes.readableBytes
        if buffer.readableBytes == 0 {
            buffer = bytes
        } else {
            // Not each time: what waits would be moved as often.
            if buffer.readerIndex > buffer.readableBytes { buffer.discardReadBytes() }
            buffer.writeImmutableBuffer(bytes)
        }
    }

    /// The header; `nil` until it is there.
    mutating func nextHeader() throws(StreamError) -> StreamHeader? {
        if let header { return header }
        guard buffer.readableBytesView.starts(with: BlockStream.magic.prefix(buffer.readableBytes)) else {
            throw .notAStream
        }
        guard buffer.readableBytes >= BlockStream.headerSizeBytes else { return nil }
        buffer.moveReaderIndex(forwardBy: BlockStream.magic.count)
        guard let after = buffer.readPoint(), let head = buffer.readPoint(),
            let finalHeight = buffer.readHeight(), let settledHeight = buffer.readHeight()
        else {
            throw .invalidHeader("a height is too large")
        }
        guard after.height <= head.height else { throw .invalidHeader("it goes up to a height before its first one") }
        guard after.height < head.height || after == head else { throw .invalidHeader("two hashes for one height") }
        guard finalHeight <= head.height else { throw .invalidHeader("it is final beyond its head") }
        guard settledHeight <= head.height else { throw .invalidHeader("it is settled beyond its head") }
        let found = StreamHeader(after: after, head: head, finalHeight: finalHeight, settledHeight: settledHeight)
        header = found
        last = after
        return found
    }

    /// The next part; `nil` until it is there, and after the last one.
    mutating func nextPart() throws(StreamError) -> StreamPart? {
        guard let header = try nextHeader() else { return nil }
        guard !isAtEnd else {
            guard buffer.readableBytes == 0 else { throw .afterEnd(height: last.height) }
            return nil
        }
        let start = buffer.readerIndex
        guard let kind = buffer.getInteger(at: start, as: UInt8.self),
            let length = buffer.getInteger(at: start + 1, as: UInt32.self).map({ Int($0) })
        else {
            return nil
        }
        switch kind {
        case BlockStream.runKind: return try nextRun(length: length, header: header)
        case BlockStream.tagsKind: return try nextTags(length: length, header: header)
        case BlockStream.endKind:
            guard length == 0 else { throw .tooLarge(sizeBytes: length, height: last.height) }
            guard last.height == header.head.height else {
                throw .short(height: last.height, headHeight: header.head.height)
            }
            buffer.moveReaderIndex(forwardBy: BlockStream.partHeadSizeBytes)
            isAtEnd = true
            return .end
        case BlockStream.errorKind:
            guard length <= BlockStream.errorSizeBytesMax else {
                throw .tooLarge(sizeBytes: length, height: last.height)
            }
            guard buffer.readableBytes >= BlockStream.partHeadSizeBytes + length else { return nil }
            buffer.moveReaderIndex(forwardBy: BlockStream.partHeadSizeBytes)
            isAtEnd = true
            return .failed(oneLine(buffer.readString(length: length) ?? ""))
        default: throw .unknownKind(kind, height: last.height)
        }
    }

    private mutating func nextTags(length: Int, header: StreamHeader) throws(StreamError) -> StreamPart? {
        guard length <= 2 + BlockStream.tagsMax * BlockStream.tagSizeBytesMax else {
            throw .tooLarge(sizeBytes: length, height: last.height)
        }
        guard buffer.readableBytes >= BlockStream.partHeadSizeBytes + length else { return nil }
        buffer.moveReaderIndex(forwardBy: BlockStream.partHeadSizeBytes)
        guard var content = buffer.readSlice(length: length), let count = content.readInteger(as: UInt16.self),
            1...BlockStream.tagsMax ~= Int(count)
        else { throw .notWhole(height: last.height) }
        var tags: [AppendTag] = []
        for _ in 0..<count {
            guard let tag = content.readTag(), tag.firstHeight > header.after.height,
                tag.firstHeight <= header.head.height
            else { throw .notWhole(height: last.height) }
            tags.append(tag)
        }
        guard content.readableBytes == 0 else { throw .notWhole(height: last.height) }
        return .tags(tags)
    }

    /// Checks what the first bytes of a run say before the rest of it is waited for.
    private mutating func nextRun(length: Int, header: StreamHeader) throws(StreamError) -> StreamPart? {
        let next = last.height + 1
        guard length <= BlockStream.runSizeBytesMax else { throw .tooLarge(sizeBytes: length, height: next) }
        guard length >= BlockStream.runHeadSizeBytes else { throw .notWhole(height: next) }
        let start = buffer.readerIndex + BlockStream.partHeadSizeBytes
        guard let firstHeight = buffer.getInteger(at: start, as: UInt64.self),
            let count = buffer.getInteger(at: start + 8, as: UInt16.self).map({ Int($0) })
        else {
            return nil
        }
        guard firstHeight == UInt64(next) else {
            throw .gap(expectedHeight: next, foundHeight: Int(clamping: firstHeight))
        }
        guard 1...BlockStream.runBlocksMax ~= count else { throw .notWhole(height: next) }
        guard last.height + count <= header.head.height else {
            throw .beyondHead(height: last.height + count, headHeight: header.head.height)
        }
        let sizeBytes = length - BlockStream.runHeadSizeBytes
        guard count == 1 || sizeBytes <= BlockStream.runDataSizeBytesMax + count * BlockStream.blockSizeBytesMax else {
            throw .tooLarge(sizeBytes: length, height: next)
        }
        guard buffer.readableBytes >= BlockStream.partHeadSizeBytes + length else { return nil }
        buffer.moveReaderIndex(forwardBy: BlockStream.partHeadSizeBytes + BlockStream.runHeadSizeBytes)
        guard let content = buffer.readBytes(length: sizeBytes),
            let run = BlockRun(firstHeight: next, count: count, content: content)
        else {
            throw .notWhole(height: next)
        }
        last = BlockPoint(height: run.endHeight - 1, hash: run.lastHash)
        guard last.height < header.head.height || last == header.head else { throw .anotherHead(height: last.height) }
        return .run(run)
    }
}

extension ByteBuffer {
    /// Reads a height; `nil` if there is less, or it is too large.
    fileprivate mutating func readHeight() -> Int? {
        guard let height = readInteger(as: UInt64.self), height <= MessageLimits.heightMax else { return nil }
        return Int(height)
    }

    /// Reads a tag; `nil` if there is less, or a number is beyond its limits.
    fileprivate mutating func readTag() -> AppendTag? {
        guard let firstHeight = readHeight(), let blocks = readInteger(as: UInt32.self),
            1...AppendRequest.draftsMax ~= Int(blocks), let session = readInteger(as: Int.self), session >= 0,
            let counter = readInteger(as: Int.self), counter >= 0, let taken = readInteger(as: Int64.self),
            taken >= 0, let keySizeBytes = readInteger(as: UInt8.self), keySizeBytes <= 64
        else { return nil }
        var idempotency: Idempotency?
        if keySizeBytes > 0 {
            guard let found = readIdempotency(keySizeBytes: Int(keySizeBytes)) else { return nil }
            idempotency = found
        }
        return AppendTag(
            id: AppendID(session: session, counter: counter), firstHeight: firstHeight, blocks: Int(blocks),
            taken: taken, idempotency: idempotency)
    }

    /// Reads a key and the hash of its request; `nil` if there is less, or the key is not UTF-8: it would be another one,
    /// and a longer one, once it is read.
    mutating func readIdempotency(keySizeBytes: Int) -> Idempotency? {
        guard let bytes = readBytes(length: keySizeBytes), let key = String(validating: bytes, as: UTF8.self),
            let hash = readBytes(length: Hash.sizeBytes).flatMap({ Hash(bytes: $0) })
        else { return nil }
        return Idempotency(key: key, requestHash: hash)
    }

    /// Reads a height and a hash; `nil` if there is less, or the height is too large.
    fileprivate mutating func readPoint() -> BlockPoint? {
        guard let height = readHeight(), let hash = readBytes(length: Hash.sizeBytes).flatMap({ Hash(bytes: $0) })
        else {
            return nil
        }
        return BlockPoint(height: height, hash: hash)
    }
}
