// What ties blocks to the append that they came from, where an engine of consensus orders appends: so that none that is
// sent twice is made twice, whoever leads by then.

/// One append, as the node knows it that took it from a client.
public struct AppendID: Hashable, Sendable {
    /// The node's time in the group: the revision at which the engine gave it its place.
    public let session: Int
    /// Counts the node's appends.
    public let counter: Int

    /// Names an append. No two of a group have the same name.
    public init(session: Int, counter: Int) {
        self.session = session
        self.counter = counter
    }
}

/// The tag of consecutive blocks that one append made. It is not part of what their hashes cover, and may be dropped 24
/// hours after it was taken.
public struct AppendTag: Hashable, Sendable {
    /// The append.
    public let id: AppendID
    /// The height of its first block.
    public let firstHeight: Int
    /// How many blocks it made, 1 to `AppendRequest.draftsMax`.
    public let blocks: Int
    /// When the blocks were made, in whole seconds since the Unix epoch.
    public let taken: Int64
    /// What makes a retry of the client's safe, if it asked for that.
    public let idempotency: Idempotency?

    /// Makes a tag.
    public init(id: AppendID, firstHeight: Int, blocks: Int, taken: Int64, idempotency: Idempotency?) {
        self.id = id
        self.firstHeight = firstHeight
        self.blocks = blocks
        self.taken = taken
        self.idempotency = idempotency
    }

    /// The heights of its blocks.
    public var heights: Range<Int> { firstHeight..<firstHeight + blocks }
}

/// Blocks that follow the head of a list together, as an engine of consensus has ordered them or is asked to.
public struct OrderedBatch: Hashable, Sendable {
    /// The height of the block that they follow.
    public let previousHeight: Int
    /// The hash of that block.
    public let previousHash: Hash
    /// Consecutive, at least one.
    public let runs: [BlockRun]
    /// The appends that made them, in order.
    public let tags: [AppendTag]

    /// `nil` unless there are runs, each of which begins where the one before ends. Hashes are not checked.
    public init?(previousHeight: Int, previousHash: Hash, runs: [BlockRun], tags: [AppendTag]) {
        guard runs.first?.firstHeight == previousHeight + 1,
            zip(runs, runs.dropFirst()).allSatisfy({ $0.endHeight == $1.firstHeight })
        else { return nil }
        self.previousHeight = previousHeight
        self.previousHash = previousHash
        self.runs = runs
        self.tags = tags
    }

    /// The height of the last block.
    public var height: Int { runs[runs.count - 1].endHeight - 1 }

    /// The hash of the last block.
    public var hash: Hash { runs[runs.count - 1].lastHash }

    /// The blocks as values: each text is copied.
    public var blocks: [Block] {
        var blocks: [Block] = []
        for run in runs { blocks += run.blocks(after: blocks.last?.hash ?? previousHash) }
        return blocks
    }

    /// The hash of the first block.
    public var firstHash: Hash { runs[0].hash(0) }
}

/// What would become of appends if an engine of consensus orders them now.
public struct AppendPlan: Sendable {
    /// The height of the head that it was made for.
    public let headHeight: Int
    /// The hash of that head.
    public let headHash: Hash
    /// For each request, in order: its blocks, which may be in the list already, or why it is refused. Those above
    /// that head come to be with the batch.
    public let results: [Result<[Block], AppendError>]
    /// The blocks that are new; `nil` if there are none.
    public let batch: OrderedBatch?
}
