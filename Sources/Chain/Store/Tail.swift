// The small runs at the end of the list, and how they become large ones.

/// What stands in small runs at the end of the list. The writer keeps it, so that a merge needs no search.
struct Tail {
    /// The branch that the end of the list belongs to, and that new runs go to.
    private(set) var branch = 0
    /// The height of the first small run.
    private var firstHeight = 0
    private var blocks = 0
    private var dataSizeBytes = 0
    private var runs = 0

    /// An empty tail, for a database that is not open.
    init() {}

    /// Finds the small runs of a database, going back from the last run to one that is not small.
    init(on connection: Connection) throws(SQLiteError) {
        let endHeight = try RunStatements.endHeight(on: connection)
        firstHeight = endHeight
        // That of the next block: the last segment may be empty.
        branch = try SegmentStatements.branch(at: endHeight, on: connection)
        while firstHeight > 0, blocks < RunLimits.blocksMax, dataSizeBytes < RunLimits.dataSizeBytesMax {
            let run: (height: Int, blocks: Int, dataSizeBytes: Int)?
            do throws(SQLiteError) {
                run = try RunStatements.withRun(at: firstHeight - 1, on: connection) { row, view in
                    (row.height, view.count, view.dataSizeBytes)
                }
            } catch {
                // A damaged run stays as it is; the tail begins after it.
                guard error.isDamage else { throw error }
                return
            }
            guard let run, Tail.isSmall(blocks: run.blocks, dataSizeBytes: run.dataSizeBytes),
                run.height + run.blocks == firstHeight
            else { return }
            firstHeight = run.height
            blocks += run.blocks
            dataSizeBytes += run.dataSizeBytes
            runs += 1
        }
    }

    private static func isSmall(blocks: Int, dataSizeBytes: Int) -> Bool {
        blocks < RunLimits.blocksMax && dataSizeBytes < RunLimits.dataSizeBytesMax / 2
    }

    /// Stores new blocks within a transaction: as one more small run, or together with the small runs before them
    /// once they fill a large one.
    ///
    /// - Parameters:
    ///   - acknowledged: whether this node acknowledged them to a client.
    ///   - tail: describes the runs after the transaction; to be read again if it is rolled back.
    static func store(
        _ newBlocks: [Block], acknowledged: Bool, merging tail: inout Tail, on connection: Connection
    ) throws(SQLiteError) {
        guard let first = newBlocks.first else { return }
        let newSizeBytes = newBlocks.reduce(0) { $0 + $1.data.utf8.count }
        let isFull =
            tail.blocks + newBlocks.count >= RunLimits.blocksMax
            || tail.dataSizeBytes + newSizeBytes >= RunLimits.dataSizeBytesMax
        var builder = RunBuilder(height: first.height)
        if isFull {
            if tail.runs > 0, let merged = try tail.merged(upTo: first.height, on: connection) {
                builder = merged
                try tail.takeOut(below: first.height, on: connection)
            }
            tail.begin(at: first.height)
        }
        for block in newBlocks { builder.append(block, acknowledged: acknowledged) }
        for run in builder.finish() { try tail.insert(run, on: connection) }
    }

    /// Stores a run that comes from elsewhere within a transaction; a large one as it is.
    ///
    /// - Parameter tail: as for `store`.
    static func store(
        _ run: BlockRun, after previousHash: Hash, merging tail: inout Tail, on connection: Connection
    ) throws(SQLiteError) {
        let encoded = EncodedRun(run)
        if isSmall(blocks: run.count, dataSizeBytes: encoded.dataSizeBytes) {
            try store(run.blocks(after: previousHash), acknowledged: false, merging: &tail, on: connection)
        } else {
            try tail.insert(encoded, on: connection)
        }
    }

    /// The blocks of the small runs as they are, good or damaged; `nil` if their columns are not to be made out.
    private func merged(upTo end: Int, on connection: Connection) throws(SQLiteError) -> RunBuilder? {
        var builder = RunBuilder(height: firstHeight)
        var height = firstHeight
        try RunStatements.forEachRun(from: firstHeight, below: end, on: connection) { row throws(SQLiteError) in
            guard row.height == height, let view = row.view, view.isWhole else { return false }
            let acknowledged = try row.acknowledged()
            view.forEachBlock { index, block in
                builder.append(block, acknowledged: acknowledged.contains(index))
            }
            height = row.endHeight
            return true
        }
        return height == end ? builder : nil
    }

    /// Deletes the small runs, whose blocks go into the branch of the tail.
    private func takeOut(below end: Int, on connection: Connection) throws(SQLiteError) {
        for segment in try SegmentStatements.all(from: firstHeight, below: end, on: connection) {
            let heights = max(segment.first, firstHeight)..<min(segment.end, end)
            if segment.branch != branch { try moveOrigins(heights, from: segment.branch, on: connection) }
            try RunStatements.delete(heights, branch: segment.branch, on: connection)
        }
        try SegmentStatements.replace(from: firstHeight, by: branch, on: connection)
    }

    private func moveOrigins(
        _ heights: Range<Int>, from other: Int, on connection: Connection
    ) throws(SQLiteError) {
        var origins: [IdentityAt] = []
        try RunStatements.forEachRun(heights, branch: other, on: connection) { row in
            row.view?.forEachBlock { index, block in
                guard let origin = block.origin else { return }
                origins.append(IdentityAt(identity: origin.hash, height: row.height + index))
            }
            return true
        }
        for origin in origins {
            try OriginStatements.delete(origin.identity, at: origin.height, branch: other, on: connection)
            try OriginStatements.insert(origin.identity, at: origin.height, branch: branch, on: connection)
        }
    }

    private mutating func insert(_ run: EncodedRun, on connection: Connection) throws(SQLiteError) {
        try RunStatements.insert(run, branch: branch, on: connection)
        guard Tail.isSmall(blocks: run.blocks, dataSizeBytes: run.dataSizeBytes) else {
            begin(at: run.height + run.blocks)
            return
        }
        blocks += run.blocks
        dataSizeBytes += run.dataSizeBytes
        runs += 1
    }

    /// Forgets the small runs: the next ones begin at a height.
    private mutating func begin(at height: Int) {
        firstHeight = height
        blocks = 0
        dataSizeBytes = 0
        runs = 0
    }
}
