// Confirms the stored hashes of a run, many at once.

/// The blocks of a run whose parts give the hash that is stored for them.
struct ConfirmedBlocks {
    private var bits = SIMD4<UInt64>()

    /// None.
    init() {}

    /// Whether the block at a place in the run is one of them.
    @inline(__always)
    subscript(_ index: Int) -> Bool { bits[index >> 6] >> UInt64(index & 63) & 1 != 0 }

    fileprivate mutating func insert(_ index: Int) { bits[index >> 6] |= 1 << UInt64(index & 63) }
}

extension RunView {
    /// Hashes blocks of the run, each after the hash that is stored for the one before it.
    ///
    /// - Parameters:
    ///   - indices: places within the run.
    ///   - previousHash: the hash before the first of them.
    /// - Returns: those that hash to what is stored. Not all that do: what cannot be hashed in lanes is left out.
    func confirmed(_ indices: Range<Int>, after previousHash: Hash, by lanes: HashLanes) -> ConfirmedBlocks {
        guard indices.count >= lanes.messagesMin else { return ConfirmedBlocks() }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: RunLimits.blocksMax) { order in
            let count = sortBySize(indices, into: order)
            var batch = LaneBatch(view: self, first: indices.lowerBound, previousHash: previousHash, lanes: lanes)
            var start = 0
            while count - start >= lanes.messagesMin {
                let end = min(count, start + lanes.width)
                batch.confirm(order[start..<end])
                start = end
            }
            return batch.confirmed
        }
    }

    /// Puts the places of the blocks that lanes can hash in the order of their numbers of SHA-256 blocks, so that lanes
    /// that are filled together end together.
    ///
    /// - Returns: how many there are.
    private func sortBySize(_ indices: Range<Int>, into order: UnsafeMutableBufferPointer<UInt8>) -> Int {
        // Those that are larger than all classes are in one; they are few in a run.
        var starts = [65 of Int](repeating: 0)
        for index in indices {
            if let sizeClass = sizeClass(index) { starts[sizeClass + 1] += 1 }
        }
        for sizeClass in 1...64 { starts[sizeClass] += starts[sizeClass - 1] }
        let count = starts[64]
        for index in indices {
            guard let sizeClass = sizeClass(index) else { continue }
            order[starts[sizeClass]] = UInt8(truncatingIfNeeded: index)
            starts[sizeClass] += 1
        }
        return count
    }

    @inline(__always)
    private func sizeClass(_ index: Int) -> Int? {
        plainDataSizeBytes(index).map { min(63, LaneMessage.blocks(dataSizeBytes: $0)) }
    }
}

/// A block's preimage in a lane: what is put together in a buffer, then whole SHA-256 blocks that are hashed where they
/// lie, then the end with its padding, in the buffer again. All of a small one is put together at once.
private enum LaneMessage {
    /// Previous hash and timestamp.
    static let headerSizeBytes = 40
    /// A message of more blocks has all but the first and the end hashed where they lie.
    static let smallBlocksMax = 3
    static let bufferSizeBytes = smallBlocksMax * 64
    /// Bytes of data in a block with the header.
    static let dataBesideHeaderSizeBytes = 64 - headerSizeBytes

    /// How many blocks a message has, with its padding.
    @inline(__always)
    static func blocks(dataSizeBytes: Int) -> Int { (headerSizeBytes + dataSizeBytes + 9 + 63) >> 6 }
}

/// Hashes as many blocks of a run as there are lanes.
private struct LaneBatch {
    /// For as many lanes as the widest way has.
    private typealias Places = [16 of UnsafePointer<UInt8>?]
    private typealias Counts = [16 of UInt32]

    let view: RunView
    /// The first place that is to be confirmed, and the hash before it.
    let first: Int
    let previousHash: Hash
    let lanes: HashLanes
    var confirmed = ConfirmedBlocks()

    init(view: RunView, first: Int, previousHash: Hash, lanes: HashLanes) {
        self.view = view
        self.first = first
        self.previousHash = previousHash
        self.lanes = lanes
    }

    /// Confirms the blocks at these places, no more than there are lanes.
    mutating func confirm(_ indices: Slice<UnsafeMutableBufferPointer<UInt8>>) {
        let width = lanes.width
        withUnsafeTemporaryAllocation(byteCount: width * LaneMessage.bufferSizeBytes, alignment: 64) { buffers in
            withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 8 * width) { states in
                guard let base = buffers.baseAddress, let states = states.baseAddress else { return }
                hash(indices, in: base, states)
                for (lane, index) in indices.enumerated() {
                    func word(_ number: Int) -> UInt32 { states[number * width + lane] }
                    let hash = Hash(
                        stateWords: (word(0), word(1), word(2), word(3), word(4), word(5), word(6), word(7)))
                    if hash == view.hash(Int(index)) { confirmed.insert(Int(index)) }
                }
            }
        }
    }

    private func hash(
        _ indices: Slice<UnsafeMutableBufferPointer<UInt8>>, in buffers: UnsafeMutableRawPointer,
        _ states: UnsafeMutablePointer<UInt32>
    ) {
        // Lanes without a message, or without this part of one, read the first lane's buffer.
        let idle = UnsafePointer(buffers.assumingMemoryBound(to: UInt8.self))
        var beginnings = Places(repeating: idle)
        var beginningBlocks = Counts(repeating: 0)
        var middles = Places(repeating: idle)
        var middleBlocks = Counts(repeating: 0)
        var ends = Places(repeating: idle)
        var endBlocks = Counts(repeating: 0)
        var isLarge = false
        for (lane, place) in indices.enumerated() {
            let index = Int(place)
            let buffer = buffers + lane * LaneMessage.bufferSizeBytes
            let bytes = UnsafePointer(buffer.assumingMemoryBound(to: UInt8.self))
            let data = view.dataInPlace(index)
            let blocks = LaneMessage.blocks(dataSizeBytes: data.count)
            beginnings[lane] = bytes
            if blocks <= LaneMessage.smallBlocksMax {
                pad(buffer, blocks: blocks, dataSizeBytes: data.count)
                writeHeader(of: index, to: buffer)
                copy(data, to: buffer + LaneMessage.headerSizeBytes)
                buffer.storeBytes(of: 0x80, toByteOffset: LaneMessage.headerSizeBytes + data.count, as: UInt8.self)
                beginningBlocks[lane] = UInt32(blocks)
                continue
            }
            isLarge = true
            writeHeader(of: index, to: buffer)
            let besideHeader = LaneMessage.dataBesideHeaderSizeBytes
            copy(UnsafeRawBufferPointer(rebasing: data[..<besideHeader]), to: buffer + LaneMessage.headerSizeBytes)
            beginningBlocks[lane] = 1
            let middleEnd = besideHeader + (data.count - besideHeader) & ~63
            middles[lane] = data.baseAddress.map { ($0 + besideHeader).assumingMemoryBound(to: UInt8.self) }
            middleBlocks[lane] = UInt32((middleEnd - besideHeader) >> 6)
            let rest = UnsafeRawBufferPointer(rebasing: data[middleEnd...])
            let restBlocks = rest.count + 9 <= 64 ? 1 : 2
            pad(buffer + 64, blocks: restBlocks, dataSizeBytes: data.count)
            copy(rest, to: buffer + 64)
            buffer.storeBytes(of: 0x80, toByteOffset: 64 + rest.count, as: UInt8.self)
            ends[lane] = bytes + 64
            endBlocks[lane] = UInt32(restBlocks)
        }
        for word in 0..<8 {
            (states + word * lanes.width).initialize(repeating: LaneBatch.initialState[word], count: lanes.width)
        }
        compress(states, beginnings, beginningBlocks)
        guard isLarge else { return }
        compress(states, middles, middleBlocks)
        compress(states, ends, endBlocks)
    }

    @inline(__always)
    private func compress(_ states: UnsafeMutablePointer<UInt32>, _ places: Places, _ blocks: Counts) {
        places.span.withUnsafeBufferPointer { places in
            blocks.span.withUnsafeBufferPointer { blocks in
                guard let places = places.baseAddress, let blocks = blocks.baseAddress else { return }
                lanes.compress(states, places, blocks)
            }
        }
    }

    @inline(__always)
    private func writeHeader(of index: Int, to buffer: UnsafeMutableRawPointer) {
        if index == first {
            previousHash.store(to: buffer)
        } else {
            view.hash(index - 1).store(to: buffer)
        }
        buffer.storeBytes(of: view.timestamp(index).bigEndian, toByteOffset: Hash.sizeBytes, as: Int64.self)
    }

    /// Writes the zeros and the length with which a message of so many blocks ends, before what comes before them: of
    /// the last two blocks, the first may have less of the message than fills it.
    @inline(__always)
    private func pad(_ buffer: UnsafeMutableRawPointer, blocks: Int, dataSizeBytes: Int) {
        let zeros = SIMD64<UInt8>(repeating: 0)
        let last = buffer + (blocks - 1) * 64
        if blocks > 1 { (last - 64).storeBytes(of: zeros, as: SIMD64<UInt8>.self) }
        last.storeBytes(of: zeros, as: SIMD64<UInt8>.self)
        let sizeBits = UInt64(LaneMessage.headerSizeBytes + dataSizeBytes) * 8
        last.storeBytes(of: sizeBits.bigEndian, toByteOffset: 56, as: UInt64.self)
    }

    @inline(__always)
    private func copy(_ data: UnsafeRawBufferPointer, to target: UnsafeMutableRawPointer) {
        guard let source = data.baseAddress, data.count > 0 else { return }
        target.copyMemory(from: source, byteCount: data.count)
    }

    /// The words that SHA-256 begins with (FIPS 180-4, 5.3.3).
    private static let initialState: [8 of UInt32] = [
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
    ]
}
