// Finds which blocks are damaged now, in the file itself.

/// Looks for damaged blocks on a connection.
enum DamageScan {
    /// Damaged blocks in a row that a repair can replace; more than that is a matter for rebuilding the file.
    static let blocksMax = 65_536
    private static let windowBlocks = 256

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

    /// The damaged blocks around one, with no good one between them; `nil` if that one is good.
    static func range(
        around height: Int, below end: Int, on connection: Connection
    ) throws(SQLiteError) -> Range<Int>? {
        guard try !faults(from: height, below: height + 1, on: connection).isEmpty else { return nil }
        var first = height
        var isAtStart = false
        while !isAtStart, first > 0, height - first < blocksMax {
            let start = max(0, first - windowBlocks)
            let found = try faults(from: start, below: first, on: connection)
            while first > start, found[first - 1] != nil { first -= 1 }
            isAtStart = first > start
        }
        var last = height + 1
        var isAtEnd = false
        while !isAtEnd, last < end, last - height < blocksMax {
            let stop = min(end, last + windowBlocks)
            let found = try faults(from: last, below: stop, on: connection)
            while last < stop, found[last] != nil { last += 1 }
            isAtEnd = last < stop
        }
        return first..<last
    }
}
