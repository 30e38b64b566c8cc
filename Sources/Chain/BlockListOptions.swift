// What a list is opened with, and what it says of itself.

/// The limits of a list while it is open. None of them is stored: the next one to open it may choose others.
public struct BlockListOptions: Sendable {
    /// Bytes of UTF-8 that one text may have; 1 MiB unless it is set. A larger one is
    /// ``AppendError/textTooLarge(index:sizeBytes:sizeBytesMax:)``.
    public var dataSizeBytesMax = 1024 * 1024
    /// Appends that may wait for the disk; 10,000 unless it is set. Another one is ``AppendError/queueFull``.
    public var queueAppendsMax = 10_000
    /// Bytes of text that may wait for the disk; 64 MiB unless it is set. Where nothing waits, any append is taken.
    public var queueSizeBytesMax = 64 * 1024 * 1024
    /// Connections for reading, each with a thread; 4 unless it is set, and at least one.
    public var readers = 4
    /// Hashes that are kept in memory for ``BlockList/block(hash:)``, at 10 to 15 bytes each; 20 million unless it is set,
    /// and at least 1,000. Older ones are found by a scan of the file.
    public var hashesMax = 20_000_000
    /// How stored blocks are checked; the fastest that the processor has unless it is set.
    public var lanes = HashLanes.best
    /// Who is told how long commits take, and how much they have; nobody unless it is set.
    public var commitObserver: CommitObserver?

    /// The defaults.
    public init() {}
}

/// Is told what the writer does, for measuring. It is called on the writer's thread, which waits for it, so it must not block.
public struct CommitObserver: Sendable {
    /// Gives monotonic seconds.
    let nowSeconds: @Sendable () -> Double
    /// A transaction was committed, and synced, in so many seconds.
    let committed: @Sendable (_ seconds: Double) -> Void
    /// A transaction put so many blocks at the end of the list.
    let appended: @Sendable (_ blocks: Int) -> Void

    /// Makes an observer.
    ///
    /// - Parameters:
    ///   - nowSeconds: gives monotonic seconds.
    ///   - committed: a transaction was committed, and synced, in so many seconds.
    ///   - appended: a transaction put so many blocks at the end of the list.
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
    /// Those of them whose identity is not in the list now.
    public let pendingOrphans: Int
}

/// What is known of a list without reading it.
public struct ListStatus: Hashable, Sendable {
    /// The height of the head.
    public let height: Int
    /// The hash of the head; ``Hash/zero`` if the head is damaged.
    public let headHash: Hash
    /// The timestamp of the head, in whole seconds since the Unix epoch; the genesis's if the head is damaged.
    public let headTimestamp: Int64
    /// Blocks up to this height were found good since the list was opened; `nil` before the first one was. It moves on with
    /// ``BlockList/validateInBackground()``, and then with each append.
    public let validatedHeight: Int?
    /// Blocks up to this height are settled: only an operator can have them replaced. 0 where no group keeps the list.
    public let settledHeight: Int
    /// Blocks up to this height are final: no other list replaces them. 0 where no engine of consensus orders the list.
    public let finalHeight: Int
    /// The lowest damaged heights, at most 100, ascending.
    public let damagedHeights: [Int]
    /// What is said to be wrong with the structure of the file: to be looked at by ``BlockList/rebuild(from:)``. `nil` if
    /// nothing is.
    public let structureFault: String?
    /// The last repairs, at most 10, newest first.
    public let repairs: [Repair]
    /// How often blocks gave way to others since the list was opened.
    public let reorganisations: Int
    /// The same, and how often damaged blocks were put right: whoever keeps copies of blocks looks at them again when it grows.
    public let replacements: Int
}
