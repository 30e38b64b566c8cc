// What a list is opened with, and what it says of itself.

/// The limits of a list.
public struct BlockListOptions: Sendable {
    /// Bytes of UTF-8 that one text may have.
    public var dataSizeBytesMax = 1024 * 1024
    /// Appends that may wait for the disk.
    public var queueAppendsMax = 10_000
    /// Bytes of text that may wait for the disk.
    public var queueSizeBytesMax = 64 * 1024 * 1024
    /// Connections for reading, each with a thread.
    public var readers = 4
    /// Hashes that are kept in memory for `BlockList.block(hash:)`, at 10 to 15 bytes each and at least 1,000; older
    /// ones are found by a scan.
    public var hashesMax = 20_000_000
    /// How stored blocks are checked.
    public var lanes = HashLanes.best
    /// Who is told how long commits take, and how much they have.
    public var commitObserver: CommitObserver?

    /// The defaults.
    public init() {}
}

/// Is told what the writer does, on its thread, which waits for it.
public struct CommitObserver: Sendable {
    /// Gives monotonic seconds.
    let nowSeconds: @Sendable () -> Double
    /// A transaction was committed, and synced, in so many seconds.
    let committed: @Sendable (_ seconds: Double) -> Void
    /// A transaction put so many blocks at the end of the list.
    let appended: @Sendable (_ blocks: Int) -> Void

    /// An observer with the clock that it measures by.
    public init(
        nowSeconds: @escaping @Sendable () -> Double, committed: @escaping @Sendable (_ seconds: Double) -> Void,
        appended: @escaping @Sendable (_ blocks: Int) -> Void
    ) {
        self.nowSeconds = nowSeconds
        self.committed = committed
        self.appended = appended
    }
}

/// What a database has counted since it was made.
public struct ListCounts: Hashable, Sendable {
    /// Blocks that were ever repaired.
    public let repairs: Int
    /// Blocks that were ever replaced after a fork.
    public let orphans: Int
    /// Those whose identity is not in the list.
    public let pendingOrphans: Int
}

/// What is known of a list without reading it.
public struct ListStatus: Hashable, Sendable {
    /// The height of the head.
    public let height: Int
    /// The hash of the head; 32 zero bytes if the head is damaged.
    public let headHash: Hash
    /// The timestamp of the head.
    public let headTimestamp: Int64
    /// Blocks up to this height were found good since the list was opened; `nil` before the first one was.
    public let validatedHeight: Int?
    /// Blocks up to this height are settled: only an operator can have them replaced.
    public let settledHeight: Int
    /// Blocks up to this height are final: nobody can.
    public let finalHeight: Int
    /// The lowest damaged heights, at most 100, ascending.
    public let damagedHeights: [Int]
    /// What is said to be wrong with the structure of the file: to be looked at by `BlockList.rebuild`. `nil` if nothing is.
    public let structureFault: String?
    /// The last repairs, at most 10, newest first.
    public let repairs: [Repair]
    /// How often blocks gave way to others since the list was opened.
    public let reorganisations: Int
    /// The same, and how often damaged blocks were put right: whoever keeps blocks looks at them again.
    public let replacements: Int
}
