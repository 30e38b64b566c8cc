// The rules for one block after another, used by every read and by the validation of the whole list.

/// Checks blocks in the order of their heights, from where it is told to begin.
struct BlockChecker {
    /// What the next block has to follow.
    struct Previous {
        /// The hash that is stored for the previous block.
        var hash: Hash
        /// The hash that the previous block's parts give, where it is not the stored one. A block that follows this
        /// one is good, and it is the stored hash of the previous block that is damaged.
        var computedHash: Hash? = nil
        /// `nil` where the previous block's timestamp is not known to be good.
        var timestamp: Int64? = nil
    }

    /// The height of the next block.
    var height: Int
    /// `nil` for the genesis, and where the block before cannot be read.
    var previous: Previous?

    /// Checks the next block, and goes on to the one after it.
    ///
    /// - Returns: what is wrong with it, and the previous hash that it was found good with.
    @inline(__always)
    mutating func check(
        _ block: StoredBlock
    ) -> (fault: ValidationFault?, previousHash: Hash) {
        let previousHash = previous?.hash ?? .zero
        let computed = block.computedHash(after: previousHash)
        guard computed == block.hash, height > 0, previous != nil, block.origin == nil, isUTF8(block.data),
            previous?.timestamp.map({ $0 <= block.timestamp }) ?? true
        else {
            return checkSlowly(block, computed: computed)
        }
        previous = Previous(hash: block.hash, computedHash: nil, timestamp: block.timestamp)
        height += 1
        return (nil, previousHash)
    }

    /// Checks the next blocks all at once, which are in one run: most lists have nothing else than plain good blocks.
    ///
    /// - Parameters:
    ///   - indices: their places in the run.
    ///   - lanes: how they are hashed.
    /// - Returns: true if all of them are plain and good, and then it goes on after them; else each has to be checked.
    mutating func pass(_ indices: Range<Int>, of view: RunView, by lanes: HashLanes) -> Bool {
        guard height > 0, let previous, !indices.isEmpty else { return false }
        var timestamp = previous.timestamp ?? 0
        for index in indices {
            guard view.plainDataSizeBytes(index) != nil, timestamp <= view.timestamp(index) else { return false }
            timestamp = view.timestamp(index)
        }
        // Lanes read texts of many sizes, or large ones, in no order that the processor foresees: to check them first, one after
        // the other, brings them into its cache. Others are there at last.
        let sizeBytes = view.dataInPlace(indices).count
        let areTextsFirst = lanes.width > 1 && sizeBytes > BlockChecker.dataInOrderSizeBytesMax * indices.count
        if areTextsFirst, !areTextsUTF8(indices, of: view) { return false }
        let confirmed = view.confirmed(indices, after: previous.hash, by: lanes)
        for index in indices where confirmed.count < indices.count && !confirmed[index] {
            let previousHash = index == indices.lowerBound ? previous.hash : view.hash(index - 1)
            guard let block = view.block(index, originsBefore: 0),
                block.computedHash(after: previousHash) == block.hash
            else { return false }
        }
        if !areTextsFirst, !areTextsUTF8(indices, of: view) { return false }
        self.previous = Previous(
            hash: view.hash(indices.upperBound - 1), computedHash: nil, timestamp: timestamp)
        height += indices.count
        return true
    }

    /// Bytes of a text, on average, up to which lanes are as fast without.
    private static let dataInOrderSizeBytesMax = 72

    /// Whether each text is UTF-8: all of them together are, and each one begins with a character.
    private func areTextsUTF8(_ indices: Range<Int>, of view: RunView) -> Bool {
        let texts = view.dataInPlace(indices)
        if isASCII(texts) { return true }
        guard isUTF8(texts) else { return false }
        return indices.allSatisfy { index in
            let text = view.dataInPlace(index)
            return text.isEmpty || text[0] & 0xC0 != 0x80
        }
    }

    /// Notes that the next block cannot be read, and goes on to the one after it.
    mutating func skip() {
        previous = nil
        height += 1
    }

    /// Goes on at a height, if the blocks up to there cannot be read.
    mutating func skip(to height: Int) {
        while self.height < height { skip() }
    }

    /// Everything that is not a plain good block.
    private mutating func checkSlowly(
        _ block: StoredBlock, computed: Hash
    ) -> (fault: ValidationFault?, previousHash: Hash) {
        var computed = computed
        var previousHash = previous?.hash ?? .zero
        if computed != block.hash, let alternative = previous?.computedHash,
            block.computedHash(after: alternative) == block.hash
        {
            computed = block.hash
            previousHash = alternative
        }
        let fault = fault(of: block, computed: computed)
        let following = height == 0 ? Block.genesis.hash : computed
        previous = Previous(
            hash: block.hash,
            computedHash: following == block.hash ? nil : following,
            timestamp: fault == nil ? block.timestamp : nil)
        height += 1
        return (fault, previousHash)
    }

    private func fault(of block: StoredBlock, computed: Hash) -> ValidationFault? {
        func fault(_ kind: ValidationFault.Kind, expected: String, found: String) -> ValidationFault {
            ValidationFault(height: height, kind: kind, expected: expected, found: found)
        }
        guard isUTF8(block.data) else { return fault(.structure, expected: "UTF-8 text", found: "other bytes") }
        if height == 0 {
            guard block.hash == Block.genesis.hash, computed == Block.genesis.hash else {
                let found = block.hash == Block.genesis.hash ? computed : block.hash
                return fault(.genesis, expected: Block.genesis.hash.hex, found: found.hex)
            }
            return nil
        }
        guard let previous else {
            return fault(.structure, expected: "a block at height \(height - 1)", found: "none that can be read")
        }
        guard computed == block.hash else {
            return fault(.hash, expected: computed.hex, found: block.hash.hex)
        }
        if let origin = block.origin {
            guard origin.timestamp >= 0, origin.height >= 0 else {
                return fault(
                    .origin, expected: "a timestamp and a height that are not negative",
                    found: "\(origin.timestamp) and \(origin.height)")
            }
            let originHash = SHA256.hashOfBlock(
                previousHash: origin.previousHash, timestamp: origin.timestamp, origin: nil, data: block.data)
            guard originHash == origin.hash else {
                return fault(.origin, expected: originHash.hex, found: origin.hash.hex)
            }
        }
        if let timestamp = previous.timestamp, block.timestamp < timestamp {
            return fault(.time, expected: "\(timestamp) or later", found: "\(block.timestamp)")
        }
        return nil
    }

    private func isASCII(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress else { return true }
        var bits: UInt64 = 0
        for word in 0..<bytes.count / 8 { bits |= base.loadUnaligned(fromByteOffset: 8 &* word, as: UInt64.self) }
        for offset in bytes.count & ~7..<bytes.count { bits |= UInt64(bytes[offset]) }
        return bits & 0x8080_8080_8080_8080 == 0
    }

    @inline(__always)
    private func isUTF8(_ data: UnsafeRawBufferPointer) -> Bool {
        do {
            _ = try UTF8Span(validating: data.assumingMemoryBound(to: UInt8.self).span)
            return true
        } catch {
            return false
        }
    }
}
