// Packs consecutive blocks into runs, for what is appended and for small runs that are merged.

/// A run that is ready to be stored.
struct EncodedRun {
    /// The height of its first block.
    let height: Int
    let blocks: Int
    let dataSizeBytes: Int
    let content: [UInt8]
}

/// Collects consecutive blocks and cuts them into runs within `RunLimits`.
struct RunBuilder {
    private(set) var runs: [EncodedRun] = []
    private var height: Int
    private var timestamps: [UInt8] = []
    private var hashes: [UInt8] = []
    private var ends: [UInt8] = []
    private var data: [UInt8] = []
    private var origins: [[UInt8]] = []

    /// - Parameter height: the height of the first block that will be appended.
    init(height: Int) {
        self.height = height
    }

    /// Appends a block as it lies in another run, whether its hash is right or not.
    mutating func append(_ block: StoredBlock) {
        let blocks = timestamps.count / 8
        if blocks > 0 && (blocks == RunLimits.blocksMax || data.count + block.data.count > RunLimits.dataSizeBytesMax) {
            cut()
        }
        let flag = block.origin == nil ? 0 : SHA256.originFlag
        timestamps.appendBigEndian(UInt64(bitPattern: block.timestamp) | flag)
        hashes += block.hash.bytes
        data += block.data
        ends.appendBigEndian(UInt32(data.count))
        if let origin = block.origin {
            var bytes = origin.hash.bytes + origin.previousHash.bytes
            bytes.appendBigEndian(UInt64(bitPattern: origin.timestamp))
            bytes.appendBigEndian(UInt64(bitPattern: Int64(origin.height)))
            origins.append(bytes)
        }
    }

    /// Appends a block.
    mutating func append(_ block: Block) {
        var text = block.data
        text.withUTF8 { bytes in
            append(
                StoredBlock(
                    timestamp: block.timestamp, hash: block.hash, origin: block.origin,
                    data: UnsafeRawBufferPointer(bytes)))
        }
    }

    /// The runs, the last one cut where the blocks end.
    consuming func finish() -> [EncodedRun] {
        cut()
        return runs
    }

    private mutating func cut() {
        let blocks = timestamps.count / 8
        guard blocks > 0 else { return }
        let content = timestamps + hashes + ends + data + origins.reversed().joined()
        runs.append(EncodedRun(height: height, blocks: blocks, dataSizeBytes: data.count, content: content))
        height += blocks
        timestamps.removeAll(keepingCapacity: true)
        hashes.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
        data.removeAll(keepingCapacity: true)
        origins.removeAll(keepingCapacity: true)
    }
}

extension [UInt8] {
    fileprivate mutating func appendBigEndian<Number: FixedWidthInteger>(_ number: Number) {
        Swift.withUnsafeBytes(of: number.bigEndian) { append(contentsOf: $0) }
    }
}
