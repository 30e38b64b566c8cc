// Packs consecutive blocks into runs, for what is appended and for small runs that are merged.

/// A run that is ready to be stored.
struct EncodedRun {
    /// The height of its first block.
    let height: Int
    let blocks: Int
    let dataSizeBytes: Int
    let content: [UInt8]
    let acknowledged: AcknowledgedBlocks

    /// Its blocks that have an origin.
    var origins: [IdentityAt] {
        content.withUnsafeBytes { bytes in
            var origins: [IdentityAt] = []
            RunView(bytes, count: blocks)?.forEachBlock { index, block in
                guard let origin = block.origin else { return }
                origins.append(IdentityAt(identity: origin.hash, height: height + index))
            }
            return origins
        }
    }
}

/// Which blocks of a run this node acknowledged to a client; those are the ones that it appends again with an adoption.
enum AcknowledgedBlocks {
    /// Every one: stored as NULL, since most lists have no other runs.
    case all
    /// Some, by their place in the run.
    case some([Bool])

    /// Reads what `stored` gave: a bit a block, the first one highest.
    init(stored bits: [UInt8]) {
        self = .some(bits.flatMap { byte in (0..<8).map { byte >> (7 - $0) & 1 != 0 } })
    }

    init(_ marks: [Bool]) {
        self = marks.allSatisfy { $0 } ? .all : .some(marks)
    }

    /// Whether the block at a place in the run was acknowledged.
    func contains(_ index: Int) -> Bool {
        switch self {
        case .all: true
        case .some(let marks): index < marks.count && marks[index]
        }
    }

    /// The bytes for the column; `nil` for NULL.
    var stored: [UInt8]? {
        guard case .some(let marks) = self else { return nil }
        guard let last = marks.lastIndex(of: true) else { return [] }
        return stride(from: 0, through: last, by: 8).map { start in
            (0..<8).reduce(0) { $0 << 1 | (start + $1 < marks.count && marks[start + $1] ? 1 : 0) }
        }
    }
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
    private var acknowledged: [Bool] = []

    /// - Parameter height: the height of the first block that will be appended.
    init(height: Int) {
        self.height = height
    }

    /// Appends a block as it lies in another run, whether its hash is right or not.
    mutating func append(_ block: StoredBlock, acknowledged isAcknowledged: Bool) {
        let blocks = timestamps.count / 8
        if blocks > 0 && (blocks == RunLimits.blocksMax || data.count + block.data.count > RunLimits.dataSizeBytesMax) {
            cut()
        }
        let flag = block.origin == nil ? 0 : SHA256.originFlag
        timestamps.appendBigEndian(UInt64(bitPattern: block.timestamp) | flag)
        hashes += block.hash.bytes
        data += block.data
        ends.appendBigEndian(UInt32(data.count))
        acknowledged.append(isAcknowledged)
        if let origin = block.origin {
            var bytes = origin.hash.bytes + origin.previousHash.bytes
            bytes.appendBigEndian(UInt64(bitPattern: origin.timestamp))
            bytes.appendBigEndian(UInt64(bitPattern: Int64(origin.height)))
            origins.append(bytes)
        }
    }

    /// Appends a block.
    mutating func append(_ block: Block, acknowledged: Bool) {
        var text = block.data
        text.withUTF8 { bytes in
            append(
                StoredBlock(
                    timestamp: block.timestamp, hash: block.hash, origin: block.origin,
                    data: UnsafeRawBufferPointer(bytes)),
                acknowledged: acknowledged)
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
        runs.append(
            EncodedRun(
                height: height, blocks: blocks, dataSizeBytes: data.count, content: content,
                acknowledged: AcknowledgedBlocks(acknowledged)))
        height += blocks
        timestamps.removeAll(keepingCapacity: true)
        hashes.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
        data.removeAll(keepingCapacity: true)
        origins.removeAll(keepingCapacity: true)
        acknowledged.removeAll(keepingCapacity: true)
    }
}

extension [UInt8] {
    fileprivate mutating func appendBigEndian<Number: FixedWidthInteger>(_ number: Number) {
        Swift.withUnsafeBytes(of: number.bigEndian) { append(contentsOf: $0) }
    }
}
