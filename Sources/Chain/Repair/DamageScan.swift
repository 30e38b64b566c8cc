// Finds which blocks are damaged now, in the file itself.

/// Looks for damaged blocks on a connection.
enum DamageScan {
    /// Damaged blocks in a row that a repair can replace; more than that is a matter for rebuilding the file.
    static let blocksMax = 65_536

    /// The faults of the blocks from `first` to before `end`, by height.
    static func faults(
        from first: Int, below end: Int, on connection: Connection
    ) throws(SQLiteError) -> [Int: ValidationFault] {
        var faults: [Int: ValidationFault] = [:]
        var next = max(0, first)
        while next < end {
            // No more than a report has room for.
            let report = try PieceCheck.run(
                from: next, below: min(end, next + PieceCheck.faultsMax), keepsPrefixes: false, on: connection)
            for fault in report.faults { faults[fault.height] = fault }
            next = report.end
        }
        return faults
    }

    /// The damaged blocks around one, those of the runs that are next to each other together: blocks of one run that cannot
    /// be read have to be replaced at once. There may be good ones between them.
    ///
    /// - Returns: `nil` if that block is good.
    static func range(
        around height: Int, below end: Int, on connection: Connection
    ) throws(SQLiteError) -> Range<Int>? {
        guard try !faults(from: height, below: height + 1, on: connection).isEmpty else { return nil }
        var heights = height..<height + 1
        while heights.count < blocksMax {
            let window = try window(around: heights, below: end, on: connection)
            let found = try faults(from: window.lowerBound, below: window.upperBound, on: connection).keys
            guard let first = found.min(), let last = found.max(),
                first < heights.lowerBound || last >= heights.upperBound
            else { break }
            heights = min(first, heights.lowerBound)..<max(last + 1, heights.upperBound)
        }
        return heights
    }

    /// The runs that hold these blocks, and the ones that hold the block before and the block after them.
    private static func window(
        around heights: Range<Int>, below end: Int, on connection: Connection
    ) throws(SQLiteError) -> Range<Int> {
        // Where runs are lost, as many blocks as one might have had.
        let below = max(0, heights.lowerBound - RunLimits.blocksMax)
        let above = min(end - 1, heights.upperBound)
        var next: Int?
        for segment in try SegmentStatements.all(from: above, below: above + 1, on: connection) {
            next = try RunStatements.startOfRun(above: above, branch: segment.branch, on: connection) ?? segment.end
            next = min(next ?? end, segment.end)
        }
        return below..<min(end, next ?? end)
    }
}
