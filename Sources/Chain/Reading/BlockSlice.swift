// A piece of the list that was read and checked, kept as the bytes of its run.

/// Consecutive blocks, checked: at most one run of the file, so at most 256 blocks, or 64 KiB of text, or one block.
public struct BlockSlice: Sendable {
    /// The height of the first block.
    public let firstHeight: Int
    /// How many blocks there are, at least one.
    public let count: Int
    /// The hash before the first block.
    public let previousHash: Hash

    let content: [UInt8]
    let runBlocks: Int
    let firstIndex: Int

    /// - Parameters:
    ///   - content: the bytes of a run whose blocks from `firstIndex` on were checked.
    ///   - runBlocks: how many blocks the run has.
    init(
        firstHeight: Int, count: Int, previousHash: Hash, content: [UInt8], runBlocks: Int, firstIndex: Int
    ) {
        self.firstHeight = firstHeight
        self.count = count
        self.previousHash = previousHash
        self.content = content
        self.runBlocks = runBlocks
        self.firstIndex = firstIndex
    }

    /// The height after the last block.
    public var endHeight: Int { firstHeight + count }

    /// The hash of the last block.
    public var lastHash: Hash {
        content.withUnsafeBytes { bytes in
            RunView(bytes, count: runBlocks)?.hash(firstIndex + count - 1) ?? previousHash
        }
    }

    /// The timestamp of the last block.
    var lastTimestamp: Int64? {
        content.withUnsafeBytes { bytes in RunView(bytes, count: runBlocks)?.timestamp(firstIndex + count - 1) }
    }

    /// Calls `body` with each block in turn, without copying texts. What it is given is valid during the call only.
    ///
    /// - Throws: what `body` throws, which ends the walk.
    public func forEachBlock<Failure: Error>(_ body: (BlockView) throws(Failure) -> Void) throws(Failure) {
        // The buffer's closure can't throw a typed error, so it is carried out by hand.
        let result: Result<Void, Failure> = content.withUnsafeBytes { bytes in
            guard let view = RunView(bytes, count: runBlocks) else { return .success(()) }
            var originsBefore = view.origins(before: firstIndex)
            var previousHash = previousHash
            for index in firstIndex..<(firstIndex + count) {
                guard let block = view.block(index, originsBefore: originsBefore) else { break }
                if block.origin != nil { originsBefore += 1 }
                let blockView = BlockView(
                    height: firstHeight + index - firstIndex, timestamp: block.timestamp, previousHash: previousHash,
                    hash: block.hash, origin: block.origin, data: block.data)
                do throws(Failure) {
                    try body(blockView)
                } catch {
                    return .failure(error)
                }
                previousHash = block.hash
            }
            return .success(())
        }
        try result.get()
    }

    /// The blocks as values of their own: each text is copied.
    public var blocks: [Block] {
        var blocks: [Block] = []
        blocks.reserveCapacity(count)
        forEachBlock { blocks.append($0.block) }
        return blocks
    }
}

/// A block whose text is still among the bytes that it was read from: see ``BlockSlice/forEachBlock(_:)``.
public struct BlockView {
    /// The place of the block in the list.
    public let height: Int
    /// Whole seconds since the Unix epoch.
    public let timestamp: Int64
    /// The hash of the block before.
    public let previousHash: Hash
    /// The hash of the block.
    public let hash: Hash
    /// Where the text was acknowledged first, if it was appended again.
    public let origin: Origin?
    /// The text as UTF-8, valid as long as the view may be used.
    public let data: UnsafeRawBufferPointer

    /// The block as a value of its own: its text is copied.
    public var block: Block {
        Block(
            height: height, timestamp: timestamp, data: String(decoding: data, as: UTF8.self),
            previousHash: previousHash, hash: hash, origin: origin)
    }
}

/// The pieces of a range, a few read at once as they are asked for, so that a walk over any list takes little memory.
///
/// Iterating throws ``ReadError``: ``ReadError/damaged(height:)`` where a block fails its check, and
/// ``ReadError/listChanged`` where blocks were replaced meanwhile, so that what follows does not continue what was read.
public struct BlockSlices: AsyncSequence, Sendable {
    /// A piece.
    public typealias Element = BlockSlice

    let list: BlockList
    let firstHeight: Int
    let limit: Int?

    /// Starts at the first piece.
    public func makeAsyncIterator() -> Iterator {
        Iterator(list: list, nextHeight: firstHeight, remaining: limit)
    }

    /// Reads the next pieces while those before them are used, and checks that each continues the last one.
    public struct Iterator: AsyncIteratorProtocol, Sendable {
        let list: BlockList
        var nextHeight: Int
        var remaining: Int?
        var lastHash: Hash?
        /// What was read, the next one last.
        private var ahead: [BlockSlice] = []
        /// The read of what follows that.
        private var following: Task<Result<[BlockSlice], ReadError>, Never>?

        init(list: BlockList, nextHeight: Int, remaining: Int?) {
            self.list = list
            self.nextHeight = nextHeight
            self.remaining = remaining
        }

        /// The next piece; `nil` at the end of the range or of the list.
        ///
        /// - Throws: ``ReadError``. Whoever asks again after that reads the same piece again.
        public mutating func next() async throws(ReadError) -> BlockSlice? {
            if ahead.isEmpty { try await readOn() }
            guard let slice = ahead.popLast() else { return nil }
            if let lastHash, slice.previousHash != lastHash { throw .listChanged }
            nextHeight = slice.endHeight
            lastHash = slice.lastHash
            remaining = remaining.map { $0 - slice.count }
            return slice
        }

        private mutating func readOn() async throws(ReadError) {
            let slices: [BlockSlice]
            if let following {
                // Whoever asks again after an error has it read again.
                self.following = nil
                slices = try await following.value.get()
            } else {
                slices = try await list.slices(from: nextHeight, blocksMax: remaining ?? Int.max)
            }
            ahead = slices.reversed()
            guard let endHeight = slices.last?.endHeight, endHeight <= list.height else { return }
            let blocksMax = remaining.map { $0 - (endHeight - nextHeight) } ?? Int.max
            guard blocksMax > 0 else { return }
            // Who leaves a stream leaves one small read behind.
            following = Task { [list] in
                do throws(ReadError) {
                    return .success(try await list.slices(from: endHeight, blocksMax: blocksMax))
                } catch {
                    return .failure(error)
                }
            }
        }
    }
}
