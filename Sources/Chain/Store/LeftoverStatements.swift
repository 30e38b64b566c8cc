// The statements on the table of leftovers: blocks that an adoption took out of the list, not yet looked at one by
// one. They stay where they were; `OrphanStatements` holds what becomes of each.

/// Consecutive blocks of a branch that were replaced.
struct LeftoverRange {
    let branch: Int
    var heights: Range<Int>
    /// The hash before the first of them.
    var previousHash: Hash
    /// When they were replaced, in whole seconds since the Unix epoch; `nil` for blocks that were never in the list, of
    /// which nothing is to be kept.
    let replaced: Int64?
}

/// Reads and writes the leftovers.
enum LeftoverStatements {
    /// The next range to go through; `nil` if there is none.
    static func first(on connection: Connection) throws(SQLiteError) -> LeftoverRange? {
        try connection.with(
            "SELECT branch, first, end, previous_hash, replaced FROM leftovers ORDER BY replaced, branch, first LIMIT 1"
        ) { statement throws(SQLiteError) in
            try statement.step() ? range(statement) : nil
        }
    }

    private static func range(_ statement: Statement) throws(SQLiteError) -> LeftoverRange {
        let first = statement.integer(1)
        return LeftoverRange(
            branch: statement.integer(0), heights: first..<max(first, statement.integer(2)),
            previousHash: try statement.hash(3), replaced: statement.isNull(4) ? nil : Int64(statement.integer(4)))
    }

    /// The ranges of blocks that were replaced, as far as they can be read.
    static func readable(on connection: Connection) throws(SQLiteError) -> [LeftoverRange] {
        var ranges: [LeftoverRange] = []
        do throws(SQLiteError) {
            try connection.with("SELECT branch, first, end, previous_hash, replaced FROM leftovers") {
                statement throws(SQLiteError) in
                while try statement.step() { ranges.append(try range(statement)) }
            }
        } catch {
            guard error.isDamage else { throw error }
        }
        return ranges
    }

    /// Whether there are blocks that were replaced.
    static func areThere(on connection: Connection) throws(SQLiteError) -> Bool {
        try connection.number("SELECT EXISTS(SELECT 1 FROM leftovers WHERE replaced IS NOT NULL)") != 0
    }

    /// The lowest height that was replaced; `nil` if there is none.
    static func lowestHeight(on connection: Connection) throws(SQLiteError) -> Int? {
        try areThere(on: connection)
            ? try connection.number("SELECT min(first) FROM leftovers WHERE replaced IS NOT NULL") : nil
    }

    /// Remembers a range.
    static func insert(_ range: LeftoverRange, on connection: Connection) throws(SQLiteError) {
        try connection.with(
            "INSERT INTO leftovers(branch, first, end, previous_hash, replaced) VALUES(?1, ?2, ?3, ?4, ?5)"
        ) { statement throws(SQLiteError) in
            try statement.bind(range.branch, at: 1)
            try statement.bind(range.heights.lowerBound, at: 2)
            try statement.bind(range.heights.upperBound, at: 3)
            try statement.bind(range.previousHash, at: 4)
            if let replaced = range.replaced {
                try statement.bind(Int(replaced), at: 5)
            } else {
                statement.bindNull(at: 5)
            }
            _ = try statement.step()
        }
    }

    /// Forgets a range.
    static func delete(_ range: LeftoverRange, on connection: Connection) throws(SQLiteError) {
        try connection.with("DELETE FROM leftovers WHERE branch = ?1 AND first = ?2") { statement throws(SQLiteError) in
            try statement.bind(range.branch, at: 1)
            try statement.bind(range.heights.lowerBound, at: 2)
            _ = try statement.step()
        }
    }

    /// Copies the runs of blocks that were replaced and are not gone through one by one yet, as the target lists them.
    ///
    /// - Returns: whether all of them could be read.
    static func copyRuns(from source: Connection, to target: Connection) throws(SQLiteError) -> Bool {
        var isWhole = true
        for range in try readable(on: target) {
            do throws(SQLiteError) {
                try RunStatements.forEachRun(range.heights, branch: range.branch, on: source) {
                    row throws(SQLiteError) in
                    let run = EncodedRun(
                        height: row.height, blocks: row.blocks, dataSizeBytes: 0, content: [UInt8](row.content),
                        acknowledged: try row.acknowledged())
                    try RunStatements.insert(run, branch: range.branch, on: target)
                    return true
                }
            } catch {
                guard error.isDamage else { throw error }
                isWhole = false
            }
        }
        return isWhole
    }
}
