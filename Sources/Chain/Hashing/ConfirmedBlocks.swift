// Confirms the stored hashes of a run, many at once.

/// The blocks of a run whose parts give the hash that is stored for them.
struct ConfirmedBlocks {
    /// How many there are.
    private(set) var count = 0
    // A bit a block, in variables of their own: a vector whose elements are changed one by one goes through memory.
    private var bits: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    /// None.
    init() {}

    /// Whether the block at a place in the run is one of them.
    @inline(__always)
    subscript(_ index: Int) -> Bool {
        let word =
            switch index >> 6 {
            case 0: bits.0
            case 1: bits.1
            case 2: bits.2
            default: bits.3
            }
        return word >> UInt64(index & 63) & 1 != 0
    }

    /// - Parameter index: of a block that is not among them yet.
    @inline(__always)
    fileprivate mutating func insert(_ index: Int) {
        let bit = UInt64(1) << UInt64(index & 63)
        switch index >> 6 {
        case 0: bits.0 |= bit
        case 1: bits.1 |= bit
        case 2: bits.2 |= bit
        default: bits.3 |= bit
        }
        count += 1
    }
}

extension RunView {
    /// Hashes blocks of the run, each after the hash that is stored for the one before it.
    ///
    /// - Parameters:
    ///   - indices: places within the run.
    ///   - previousHash: the hash before the first of them.
    /// - Returns: those that hash to what is stored. Not all that do: what cannot be hashed in lanes is left out.
    func confirmed(_ indices: Range<Int>, after previousHash: Hash, by lanes: HashLanes) -> ConfirmedBlocks {
        guard indices.count >= lanes.messagesMin || indices.count >= lanes.others.first?.messagesMin ?? .max else {
            return ConfirmedBlocks()
        }
        return withUnsafeTemporaryAllocation(byteCount: LaneScratch.sizeBytes, alignment: 64) { bytes in
            guard let base = bytes.baseAddress else { return ConfirmedBlocks() }
            let scratch = LaneScratch(base)
            let count = sortBySize(indices, into: scratch)
            var batch = LaneBatch(view: self, first: indices.lowerBound, previousHash: previousHash, scratch: scratch)
            var start = 0
            func confirm(by lanes: HashLanes) {
                while count - start >= lanes.messagesMin {
                    let end = min(count, start + lanes.width)
                    batch.confirm(UnsafeBufferPointer(start: scratch.order + start, count: end - start), by: lanes)
                    start = end
                }
            }
            confirm(by: lanes)
            for lanes in lanes.others { confirm(by: lanes) }
            return batch.confirmed
        }
    }

    /// Puts the places of the blocks that lanes can hash in the order of their numbers of SHA-256 blocks, so that lanes
    /// that are filled together end together.
    ///
    /// - Returns: how many there are.
    private func sortBySize(_ indices: Range<Int>, into scratch: LaneScratch) -> Int {
        // Those that are larger than all classes are in one, as they are few in a run; class 0 is for what is left out.
        var starts = [65 of Int](repeating: 0)
        for index in indices {
            let sizeClass = plainDataSizeBytes(index).map { min(63, LaneMessage.blocks(dataSizeBytes: $0)) } ?? 0
            scratch.classes[index] = UInt8(truncatingIfNeeded: sizeClass)
            starts[sizeClass + 1] += 1
        }
        starts[1] = 0
        for sizeClass in 2...64 { starts[sizeClass] += starts[sizeClass - 1] }
        let count = starts[64]
        for index in indices {
            let sizeClass = Int(scratch.classes[index])
            guard sizeClass > 0 else { continue }
            scratch.order[starts[sizeClass]] = UInt8(truncatingIfNeeded: index)
            starts[sizeClass] += 1
        }
        return count
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

/// What the lanes read and write, for one run after the other, in memory that is taken once a run.
private struct LaneScratch {
    /// As many lanes as the widest way has.
    static let widthMax = 16
    static let sizeBytes =
        widthMax * (LaneMessage.bufferSizeBytes + Hash.sizeBytes) + 3 * LanePart.sizeBytes + 2 * RunLimits.blocksMax

    /// A buffer a lane.
    let buffers: UnsafeMutableRawPointer
    /// SHA-256's words, one of all lanes after the other.
    let states: UnsafeMutablePointer<UInt32>
    let beginnings: LanePart
    let middles: LanePart
    let ends: LanePart
    /// The places of a run's blocks, in the order in which they are hashed.
    let order: UnsafeMutablePointer<UInt8>
    /// The number of SHA-256 blocks of each.
    let classes: UnsafeMutablePointer<UInt8>

    init(_ base: UnsafeMutableRawPointer) {
        buffers = base
        let states = base + LaneScratch.widthMax * LaneMessage.bufferSizeBytes
        self.states = states.bindMemory(to: UInt32.self, capacity: LaneScratch.widthMax * 8)
        let parts = states + LaneScratch.widthMax * Hash.sizeBytes
        beginnings = LanePart(parts)
        middles = LanePart(parts + LanePart.sizeBytes)
        ends = LanePart(parts + 2 * LanePart.sizeBytes)
        order = (parts + 3 * LanePart.sizeBytes).bindMemory(to: UInt8.self, capacity: 2 * RunLimits.blocksMax)
        classes = order + RunLimits.blocksMax
    }
}

/// Where each lane reads a part of its message, and how many SHA-256 blocks.
private struct LanePart {
    static let sizeBytes = LaneScratch.widthMax * 12

    let places: UnsafeMutablePointer<UnsafePointer<UInt8>?>
    let blocks: UnsafeMutablePointer<UInt32>

    init(_ base: UnsafeMutableRawPointer) {
        places = base.bindMemory(to: UnsafePointer<UInt8>?.self, capacity: LaneScratch.widthMax)
        blocks = (base + LaneScratch.widthMax * 8).bindMemory(to: UInt32.self, capacity: LaneScratch.widthMax)
    }

    /// Lanes without this part read what may be read.
    @inline(__always)
    func reset(_ idle: UnsafeMutableRawPointer) {
        for lane in 0..<LaneScratch.widthMax { set(lane, idle, 0) }
    }

    @inline(__always)
    func set(_ lane: Int, _ place: UnsafeRawPointer?, _ count: Int) {
        places[lane] = place?.assumingMemoryBound(to: UInt8.self)
        blocks[lane] = UInt32(truncatingIfNeeded: count)
    }
}

/// Hashes as many blocks of a run as there are lanes.
private struct LaneBatch {
    let view: RunView
    /// The first place that is to be confirmed, and the hash before it.
    let first: Int
    let previousHash: Hash
    let scratch: LaneScratch
    var confirmed = ConfirmedBlocks()

    init(view: RunView, first: Int, previousHash: Hash, scratch: LaneScratch) {
        self.view = view
        self.first = first
        self.previousHash = previousHash
        self.scratch = scratch
    }

    /// Confirms the blocks at these places, no more than there are lanes.
    mutating func confirm(_ indices: UnsafeBufferPointer<UInt8>, by lanes: HashLanes) {
        hash(indices, by: lanes)
        let states = scratch.states
        let width = lanes.width
        for lane in 0..<indices.count {
            func word(_ number: Int) -> UInt32 { states[number &* width &+ lane] }
            let hash = Hash(stateWords: (word(0), word(1), word(2), word(3), word(4), word(5), word(6), word(7)))
            let index = Int(indices[lane])
            if hash == view.hash(index) { confirmed.insert(index) }
        }
    }

    private func hash(_ indices: UnsafeBufferPointer<UInt8>, by lanes: HashLanes) {
        scratch.beginnings.reset(scratch.buffers)
        var isLarge = false
        for lane in 0..<indices.count {
            let index = Int(indices[lane])
            let buffer = scratch.buffers + lane &* LaneMessage.bufferSizeBytes
            let data = view.dataInPlace(index)
            let blocks = LaneMessage.blocks(dataSizeBytes: data.count)
            if blocks > LaneMessage.smallBlocksMax {
                if !isLarge {
                    isLarge = true
                    scratch.middles.reset(scratch.buffers)
                    scratch.ends.reset(scratch.buffers)
                }
                layOut(index, data, in: buffer, lane: lane)
                continue
            }
            pad(buffer, blocks: blocks, dataSizeBytes: data.count)
            writeHeader(of: index, to: buffer)
            copy(data, to: buffer + LaneMessage.headerSizeBytes)
            buffer.storeBytes(of: 0x80, toByteOffset: LaneMessage.headerSizeBytes &+ data.count, as: UInt8.self)
            scratch.beginnings.set(lane, buffer, blocks)
        }
        for word in 0..<8 {
            (scratch.states + word &* lanes.width).update(repeating: LaneBatch.initialState[word], count: lanes.width)
        }
        lanes.compress(scratch.states, scratch.beginnings.places, scratch.beginnings.blocks)
        guard isLarge else { return }
        lanes.compress(scratch.states, scratch.middles.places, scratch.middles.blocks)
        lanes.compress(scratch.states, scratch.ends.places, scratch.ends.blocks)
    }

    /// Puts the beginning and the end of a large message into the buffer; what is between is read where it lies.
    private func layOut(_ index: Int, _ data: UnsafeRawBufferPointer, in buffer: UnsafeMutableRawPointer, lane: Int) {
        writeHeader(of: index, to: buffer)
        let besideHeader = LaneMessage.dataBesideHeaderSizeBytes
        copy(UnsafeRawBufferPointer(rebasing: data[..<besideHeader]), to: buffer + LaneMessage.headerSizeBytes)
        scratch.beginnings.set(lane, buffer, 1)
        let middleEnd = besideHeader + (data.count - besideHeader) & ~63
        scratch.middles.set(lane, data.baseAddress.map { $0 + besideHeader }, (middleEnd - besideHeader) >> 6)
        let rest = UnsafeRawBufferPointer(rebasing: data[middleEnd...])
        let restBlocks = rest.count + 9 <= 64 ? 1 : 2
        pad(buffer + 64, blocks: restBlocks, dataSizeBytes: data.count)
        copy(rest, to: buffer + 64)
        buffer.storeBytes(of: 0x80, toByteOffset: 64 + rest.count, as: UInt8.self)
        scratch.ends.set(lane, buffer + 64, restBlocks)
    }

    @inline(__always)
    private func writeHeader(of index: Int, to buffer: UnsafeMutableRawPointer) {
        if index == first {
            previousHash.store(to: buffer)
        } else {
            buffer.copyMemory(from: view.hashInPlace(index - 1), byteCount: Hash.sizeBytes)
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
