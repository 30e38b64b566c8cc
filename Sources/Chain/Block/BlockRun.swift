// A run on its way between nodes: consecutive blocks as the bytes of their columns, which nobody has checked yet.

/// Up to 256 consecutive blocks, their columns one after the other as docs/format.md describes the content of a run.
///
/// The columns are whole, so each block's parts can be found; whether hashes, origins and times are right is for
/// whoever takes the run to check.
public struct BlockRun: Hashable, Sendable {
    /// The height of the first block.
    public let firstHeight: Int
    /// How many blocks there are, 1 to 256.
    public let count: Int
    /// The columns.
    public let content: [UInt8]

    /// `nil` unless there are 1 to 256 blocks and their parts take exactly the bytes that there are.
    public init?(firstHeight: Int, count: Int, content: [UInt8]) {
        guard content.withUnsafeBytes({ BlockRun.isWhole($0, count: count) }) else { return nil }
        self.firstHeight = firstHeight
        self.count = count
        self.content = content
    }

    /// The blocks of a slice. The bytes are taken as they are where the slice is all of a run, else packed again.
    public init(_ slice: BlockSlice) {
        if let content = slice.wholeRun,
            let run = BlockRun(firstHeight: slice.firstHeight, count: slice.count, content: content)
        {
            self = run
            return
        }
        var builder = RunBuilder(height: slice.firstHeight)
        slice.forEachBlock { block in
            builder.append(
                StoredBlock(timestamp: block.timestamp, hash: block.hash, origin: block.origin, data: block.data))
        }
        // A slice has at least one block, and never more than one run of the file had.
        let run = builder.finish().first
        firstHeight = slice.firstHeight
        count = run?.blocks ?? 0
        content = run?.content ?? []
    }

    /// The height after the last block.
    public var endHeight: Int { firstHeight + count }

    /// The hash that is stored for the last block.
    public var lastHash: Hash {
        content.withUnsafeBytes { RunView($0, count: count)?.hash(count - 1) } ?? .zero
    }

    /// The timestamp of the first block.
    public var firstTimestamp: Int64 {
        content.withUnsafeBytes { RunView($0, count: count)?.timestamp(0) } ?? 0
    }

    /// Whether the columns take exactly the bytes that there are, and each block's parts lie within its own columns.
    private static func isWhole(_ bytes: UnsafeRawBufferPointer, count: Int) -> Bool {
        guard let view = RunView(bytes, count: count), view.isWhole else { return false }
        var originsBefore = 0
        for index in 0..<count {
            guard let block = view.block(index, originsBefore: originsBefore) else { return false }
            if block.origin != nil { originsBefore += 1 }
        }
        return true
    }
}
