// A run of blocks on its way between two nodes: the bytes that it has in a database.

/// Consecutive blocks as the bytes that they are in the file and between nodes (docs/format.md, "The content of a run"). The
/// columns are whole; nothing else is checked: that is ``firstFault(after:timestamp:lanes:)``.
public struct BlockRun: Hashable, Sendable {
    /// The height of the first block.
    public let firstHeight: Int
    /// How many blocks there are, 1 to 256.
    public let count: Int
    /// The columns, one after the other: timestamps, hashes, where each text ends, texts, origins.
    public let content: [UInt8]

    /// Takes bytes that came from elsewhere; `nil` unless the columns of so many blocks take exactly these bytes, and are
    /// within the limits of a run: 256 blocks and 64 KiB of text, or one block.
    public init?(firstHeight: Int, count: Int, content: [UInt8]) {
        let isWhole = content.withUnsafeBytes { bytes in
            guard let view = RunView(bytes, count: count) else { return false }
            return view.areBlocksWithin && view.isWhole
                && (count == 1 || view.dataSizeBytes <= RunLimits.dataSizeBytesMax)
        }
        guard isWhole, 0..<RunKey.heightsMax ~= firstHeight else { return nil }
        self.firstHeight = firstHeight
        self.count = count
        self.content = content
    }

    init(_ run: EncodedRun) {
        firstHeight = run.height
        count = run.blocks
        content = run.content
    }

    /// The height after the last block.
    public var endHeight: Int { firstHeight + count }

    /// The hash that the last block says it has.
    public var lastHash: Hash { hash(count - 1) }

    /// What is wrong with the first block that is bad; `nil` if all are good. Identities are not compared.
    ///
    /// - Parameters:
    ///   - previousHash: the hash of the block before, which is good.
    ///   - timestamp: that block's timestamp.
    ///   - lanes: for blocks that OpenSSL has hashed before; ``HashLanes/none`` for what comes from elsewhere.
    public func firstFault(
        after previousHash: Hash, timestamp: Int64, lanes: HashLanes = .none
    ) -> ValidationFault? {
        content.withUnsafeBytes { bytes in
            guard let view = RunView(bytes, count: count) else { return nil }
            var checker = BlockChecker(
                height: firstHeight, previous: .init(hash: previousHash, timestamp: timestamp))
            if checker.pass(0..<count, of: view, by: lanes) { return nil }
            var fault: ValidationFault?
            view.forEachBlock { _, block in
                if fault == nil { fault = checker.check(block).fault }
            }
            return fault
        }
    }

    /// The bytes of all texts.
    var dataSizeBytes: Int {
        content.withUnsafeBytes { RunView($0, count: count)?.dataSizeBytes ?? 0 }
    }

    func hash(_ index: Int) -> Hash {
        content.withUnsafeBytes { RunView($0, count: count)?.hash(index) ?? .zero }
    }

    func timestamp(_ index: Int) -> Int64 {
        content.withUnsafeBytes { RunView($0, count: count)?.timestamp(index) ?? 0 }
    }

    /// The blocks as values, the first one after this hash.
    func blocks(after previousHash: Hash) -> [Block] {
        var blocks: [Block] = []
        var previousHash = previousHash
        forEachBlock { index, block in
            blocks.append(
                Block(
                    height: firstHeight + index, timestamp: block.timestamp,
                    data: String(decoding: block.data, as: UTF8.self), previousHash: previousHash, hash: block.hash,
                    origin: block.origin))
            previousHash = block.hash
        }
        return blocks
    }

    /// Calls `body` with each block and its place.
    func forEachBlock<Failure: Error>(_ body: (Int, StoredBlock) throws(Failure) -> Void) throws(Failure) {
        // The buffer's closure can't throw a typed error, so it is carried out by hand.
        let result: Result<Void, Failure> = content.withUnsafeBytes { bytes in
            guard let view = RunView(bytes, count: count) else { return .success(()) }
            do throws(Failure) {
                try view.forEachBlock(body)
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    /// Those of the blocks that stand at a height or below; `nil` if there are none.
    public func part(upTo height: Int) -> BlockRun? { part(firstHeight..<max(firstHeight, height + 1)) }

    /// Those of the blocks that stand at these heights; `nil` if there are none.
    func part(_ heights: Range<Int>) -> BlockRun? {
        let heights = heights.clamped(to: firstHeight..<endHeight)
        guard !heights.isEmpty else { return nil }
        if heights.count == count { return self }
        var builder = RunBuilder(height: heights.lowerBound)
        forEachBlock { index, block in
            if heights.contains(firstHeight + index) { builder.append(block, acknowledged: false) }
        }
        return builder.finish().first.map(BlockRun.init)
    }

    /// Consecutive blocks as runs, each as long as it may be. The first one's height and what each block follows is for the
    /// caller to see to.
    public static func runs(of blocks: [Block]) -> [BlockRun] {
        guard let first = blocks.first else { return [] }
        var builder = RunBuilder(height: first.height)
        for block in blocks { builder.append(block, acknowledged: false) }
        return builder.finish().map(BlockRun.init)
    }

    /// What a slice of the list holds.
    public init(_ slice: BlockSlice) {
        self = slice.run
    }
}

extension BlockSlice {
    /// The slice as a run: its bytes as they are, if it is a whole one.
    fileprivate var run: BlockRun {
        if firstIndex == 0, count == runBlocks,
            let whole = BlockRun(firstHeight: firstHeight, count: count, content: content)
        {
            return whole
        }
        var builder = RunBuilder(height: firstHeight)
        forEachBlock { block in
            builder.append(
                StoredBlock(timestamp: block.timestamp, hash: block.hash, origin: block.origin, data: block.data),
                acknowledged: false)
        }
        // A slice has at least one block and no more than a run.
        return BlockRun(builder.finish()[0])
    }
}

extension EncodedRun {
    /// A run that this node received, and so acknowledged to nobody.
    init(_ run: BlockRun) {
        self.init(
            height: run.firstHeight, blocks: run.count, dataSizeBytes: run.dataSizeBytes, content: run.content,
            acknowledged: .some([]))
    }
}
