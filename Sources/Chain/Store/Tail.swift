// The small runs at the end of the list, and how they become large ones.

/// What stands in small runs at the end of the list. The writer keeps it, so that a merge needs no search.
struct Tail {
    /// The height of the first small run.
    private var firstHeight = 0
    private var blocks = 0
    private var dataSizeBytes = 0
    private var runs = 0

    /// An empty tail, for a database that is not open.
    init() {}

    /// Finds the small runs of a database, going back from the last run to one that is not small.
    init(on connection: Connection) throws(SQLiteError) {
        firstHeight = try RunStatements.endHeight(on: connection)
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
    /// - Parameter tail: describes the runs after the transaction; to be read again if it is rolled back.
    static func store(
        _ newBlocks: [Block], merging tail: inout Tail, on connection: Connection
    ) throws(SQLiteError) {
        guard let first = newBlocks.first else { return }
        let newSizeBytes = newBlocks.reduce(0) { $0 + $1.data.utf8.count }
        let isFull =
            tail.blocks + newBlocks.count >= RunLimits.blocksMax
            || tail.dataSizeBytes + newSizeBytes >= RunLimits.dataSizeBytesMax
        var builder: RunBuilder
        if isFull, tail.runs > 0, let merged = try tail.merged(upTo: first.height, on: connection) {
            builder = merged
            try RunStatements.delete(from: tail.firstHeight, on: connection)
            tail = Tail()
            tail.firstHeight = first.height
        } else {
            builder = RunBuilder(height: first.height)
            if isFull {
                tail = Tail()
                tail.firstHeight = first.height
            }
        }
        for block in newBlocks { builder.append(block) }
        for run in builder.finish() {
            try RunStatements.insert(run, on: connection)
            tail.add(run)
        }
    }

    /// The blocks of the small runs as they are, good or damaged; `nil` if their columns are not to be made out.
    private func merged(upTo end: Int, on connection: Connection) throws(SQLiteError) -> RunBuilder? {
        var builder = RunBuilder(height: firstHeight)
        var height = firstHeight
        try RunStatements.forEachRun(from: firstHeight, below: end, on: connection) { row in
            guard row.height == height, let view = row.view, view.isWhole else { return false }
            var originsBefore = 0
            for index in 0..<view.count {
                guard let block = view.block(index, originsBefore: originsBefore) else { return false }
                if block.origin != nil { originsBefore += 1 }
                builder.append(block)
            }
            height = row.endHeight
            return true
        }
        return height == end ? builder : nil
    }

    private mutating func add(_ run: EncodedRun) {
        guard Tail.isSmall(blocks: run.blocks, dataSizeBytes: run.dataSizeBytes) else {
            self = Tail()
            firstHeight = run.height + run.blocks
            return
        }
        blocks += run.blocks
        dataSizeBytes += run.dataSizeBytes
        runs += 1
    }
}
