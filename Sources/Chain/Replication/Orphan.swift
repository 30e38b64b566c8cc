// What is told of a block that was replaced.

/// A block that was replaced after a fork.
public struct Orphan: Hashable, Sendable {
    /// What became of what it stands for.
    public enum State: Hashable, Sendable {
        /// It stands in the list, at this height under this hash.
        case moved(height: Int, hash: Hash)
        /// It is not in the list now, and will be appended again.
        case pending
    }

    /// Its place in the order in which blocks were replaced; 0 for a block that only another node replaced.
    public let id: Int
    /// The height that it had.
    public let height: Int
    /// The hash that it had.
    public let hash: Hash
    /// When it was replaced, in whole seconds since the Unix epoch; 0 if only another node replaced it.
    public let replaced: Int64
    /// What became of it.
    public let state: State
}

/// What one step of ``BlockList/tidy()`` did.
public enum TidyResult: Hashable, Sendable {
    /// There was nothing to do.
    case done
    /// There may be more.
    case unfinished
    /// These blocks cannot be read. They are left where they are, and not known as orphans.
    case unreadable(branch: Int, heights: Range<Int>)
}
