// A run as it is stored: the columns of up to 256 consecutive blocks in one BLOB. docs/format.md describes each byte.
//
//     timestamps   8 bytes a block, big-endian, the top bit set where the block has an origin
//     hashes      32 bytes a block
//     data ends    4 bytes a block, big-endian, counted from where the data begins
//     data        plain UTF-8, one text after the other
//     origins     80 bytes each (hash, previous hash, timestamp, height), the first one last
//
// Each block's parts are found from columns before it and from the two ends of the BLOB, so a damaged byte shows at
// the block that it belongs to and not at an earlier one.

/// The limits of a run.
enum RunLimits {
    /// Blocks in a run.
    static let blocksMax = 256
    /// Bytes of data in a run of more than one block; a larger block is alone in its run.
    static let dataSizeBytesMax = 64 * 1024
    /// Bytes that a block takes in the columns of fixed width.
    static let fixedSizeBytes = 8 + Hash.sizeBytes + 4
    /// Bytes that an origin takes.
    static let originSizeBytes = Hash.sizeBytes + Hash.sizeBytes + 8 + 8
}

/// A block's parts, as they lie in a run. The data is valid as long as the bytes of the run are.
struct StoredBlock {
    var timestamp: Int64
    var hash: Hash
    var origin: Origin?
    var data: UnsafeRawBufferPointer

    /// The hash that the parts give after `previousHash`.
    @inline(__always)
    func computedHash(after previousHash: Hash) -> Hash {
        SHA256.hashOfBlock(previousHash: previousHash, timestamp: timestamp, origin: origin, data: data)
    }
}

/// The bytes of a run, read in place. It must not outlive them.
struct RunView {
    let bytes: UnsafeRawBufferPointer
    let count: Int
    private let base: UnsafeRawPointer

    private var hashesStart: Int { 8 * count }
    private var endsStart: Int { (8 + Hash.sizeBytes) * count }
    private var dataStart: Int { RunLimits.fixedSizeBytes * count }

    /// `nil` unless the columns of fixed width fit into the bytes.
    init?(_ bytes: UnsafeRawBufferPointer, count: Int) {
        guard count > 0, count <= RunLimits.blocksMax, bytes.count >= RunLimits.fixedSizeBytes * count,
            let base = bytes.baseAddress
        else {
            return nil
        }
        self.base = base
        self.bytes = bytes
        self.count = count
    }

    /// The hash that is stored for a block.
    @inline(__always)
    func hash(_ index: Int) -> Hash { Hash(loading: hashInPlace(index)) }

    /// The bytes of that hash.
    @inline(__always)
    func hashInPlace(_ index: Int) -> UnsafeRawPointer { base + hashesStart + index * Hash.sizeBytes }

    /// The timestamp of a block, without the flag for its origin.
    @inline(__always)
    func timestamp(_ index: Int) -> Int64 {
        Int64(bitPattern: storedTimestamp(index) & ~SHA256.originFlag)
    }

    @inline(__always)
    private func storedTimestamp(_ index: Int) -> UInt64 {
        UInt64(bigEndian: base.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
    }

    @inline(__always)
    private func dataEnd(_ index: Int) -> Int {
        Int(UInt32(bigEndian: base.loadUnaligned(fromByteOffset: endsStart + index * 4, as: UInt32.self)))
    }

    /// How many of the blocks before `index` have an origin.
    func origins(before index: Int) -> Int {
        var origins = 0
        for earlier in 0..<index where storedTimestamp(earlier) & SHA256.originFlag != 0 { origins += 1 }
        return origins
    }

    /// The bytes of all texts, as the last block's end says.
    var dataSizeBytes: Int { dataEnd(count - 1) }

    /// Whether the columns take exactly the bytes that there are.
    var isWhole: Bool {
        dataStart + dataEnd(count - 1) + RunLimits.originSizeBytes * origins(before: count) == bytes.count
    }

    /// The parts of a block; `nil` if they do not lie within the run.
    ///
    /// - Parameter originsBefore: how many of the blocks before this one have an origin.
    @inline(__always)
    func block(_ index: Int, originsBefore: Int) -> StoredBlock? {
        let stored = storedTimestamp(index)
        let hasOrigin = stored & SHA256.originFlag != 0
        let start = index == 0 ? 0 : dataEnd(index - 1)
        let end = dataEnd(index)
        let limit = bytes.count - RunLimits.originSizeBytes * (originsBefore + (hasOrigin ? 1 : 0))
        guard start <= end, dataStart + end <= limit else { return nil }
        return StoredBlock(
            timestamp: Int64(bitPattern: stored & ~SHA256.originFlag),
            hash: hash(index),
            origin: hasOrigin ? origin(at: limit) : nil,
            data: UnsafeRawBufferPointer(rebasing: bytes[(dataStart + start)..<(dataStart + end)])
        )
    }

    /// The size of a block's text; `nil` if the block has an origin, or does not lie within the run.
    @inline(__always)
    func plainDataSizeBytes(_ index: Int) -> Int? {
        let start = index == 0 ? 0 : dataEnd(index - 1)
        let end = dataEnd(index)
        guard storedTimestamp(index) & SHA256.originFlag == 0, start <= end, dataStart + end <= bytes.count else {
            return nil
        }
        return end - start
    }

    /// The text of a block for which `plainDataSizeBytes` is not `nil`.
    @inline(__always)
    func dataInPlace(_ index: Int) -> UnsafeRawBufferPointer {
        let start = index == 0 ? 0 : dataEnd(index - 1)
        return UnsafeRawBufferPointer(start: base + dataStart + start, count: dataEnd(index) - start)
    }

    /// The bytes of the texts of blocks for all of which `plainDataSizeBytes` is not `nil`.
    @inline(__always)
    func dataInPlace(_ indices: Range<Int>) -> UnsafeRawBufferPointer {
        let start = indices.lowerBound == 0 ? 0 : dataEnd(indices.lowerBound - 1)
        let end = indices.isEmpty ? start : dataEnd(indices.upperBound - 1)
        return UnsafeRawBufferPointer(start: base + dataStart + start, count: end - start)
    }

    /// The parts of a block, found without knowing the blocks before it.
    func block(_ index: Int) -> StoredBlock? {
        block(index, originsBefore: origins(before: index))
    }

    /// Whether the parts of every block lie within the run.
    var areBlocksWithin: Bool {
        var originsBefore = 0
        return (0..<count).allSatisfy { index in
            guard let block = block(index, originsBefore: originsBefore) else { return false }
            if block.origin != nil { originsBefore += 1 }
            return true
        }
    }

    /// Calls `body` with each block and its place. One whose parts do not lie within the run comes with what stands in columns
    /// of its own, and without a text, which is not what its hash says: the ones after it are good all the same.
    func forEachBlock<Failure: Error>(_ body: (Int, StoredBlock) throws(Failure) -> Void) throws(Failure) {
        var originsBefore = 0
        for index in 0..<count {
            let block =
                block(index, originsBefore: originsBefore)
                ?? StoredBlock(
                    timestamp: timestamp(index), hash: hash(index), origin: nil, data: .init(start: nil, count: 0))
            if storedTimestamp(index) & SHA256.originFlag != 0 { originsBefore += 1 }
            try body(index, block)
        }
    }

    private func origin(at offset: Int) -> Origin {
        let start = base + offset
        return Origin(
            hash: Hash(loading: start),
            previousHash: Hash(loading: start + 32),
            timestamp: Int64(bigEndian: start.loadUnaligned(fromByteOffset: 64, as: Int64.self)),
            height: Int(Int64(bigEndian: start.loadUnaligned(fromByteOffset: 72, as: Int64.self)))
        )
    }
}
