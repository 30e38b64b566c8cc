// What the scrub reads: a little at a time, in short transactions.

extension StoreReader {
    /// Blocks and bytes of a step, at most; a larger block is alone in its step.
    private static let scrubBlocksMax = 4_096
    private static let scrubSizeBytesMax = 1 << 20
    private static let scrubOrphansMax = 100

    /// Checks the next blocks from `first` on.
    ///
    /// - Returns: what the check found, and the identities that stand in these blocks and not in the table of origins.
    func scrubBlocks(
        from first: Int, below end: Int
    ) throws(ReadError) -> (report: PieceReport, unlistedOrigins: [IdentityAt]) {
        try reading(first) { connection throws(SQLiteError) in
            let report = try PieceCheck.run(
                from: first, below: min(end, first + StoreReader.scrubBlocksMax), keepsPrefixes: false,
                lanes: lanes, sizeBytesMax: StoreReader.scrubSizeBytesMax, on: connection)
            let damaged = Set(report.faults.map(\.height))
            var unlisted: [IdentityAt] = []
            for origin in report.origins where !damaged.contains(origin.height) {
                let height = try Lineage.list.heightOfSuccessor(of: origin.identity, on: connection)
                if height != origin.height { unlisted.append(origin) }
            }
            return (report, unlisted)
        }
    }

    /// Checks the next orphans that are still to be appended again.
    ///
    /// - Returns: the last one's id, `nil` at the end.
    func scrubOrphans(after id: Int) throws(ReadError) -> (damaged: [Hash], sizeBytes: Int, lastID: Int?) {
        try reading(0) { connection throws(SQLiteError) in
            let orphans = try OrphanStatements.pending(
                replacedBefore: .max, after: id, limit: StoreReader.scrubOrphansMax, now: .max, on: connection)
            return (
                orphans.filter { $0.block == nil }.map(\.hash), orphans.reduce(0) { $0 + ($1.content?.count ?? 0) },
                orphans.count < StoreReader.scrubOrphansMax ? nil : orphans.last?.id
            )
        }
    }

    /// What is wrong with the structure of the file, or of one table; `nil` if nothing is.
    func structureFault(table: String? = nil) throws(ReadError) -> String? {
        do throws(ReadError) {
            return try reading(0) { connection throws(SQLiteError) in try connection.structureFault(table: table) }
        } catch {
            // Not even the first page can be read.
            guard case .damaged = error else { throw error }
            return "the file cannot be opened"
        }
    }

    /// The damaged blocks around one; `nil` if that one is good.
    func damagedRange(at height: Int, below end: Int) throws(ReadError) -> DamagedRange? {
        try reading(height) { connection throws(SQLiteError) in
            guard let heights = try DamageScan.range(around: height, below: end, on: connection) else { return nil }
            let before = max(0, heights.lowerBound - 1)
            let hash = before == 0 ? Block.genesis.hash : try RunStatements.storedHash(at: before, on: connection)
            return DamagedRange(heights: heights, before: (before, hash))
        }
    }
}
