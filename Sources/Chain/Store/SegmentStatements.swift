// The statements on the table of segments: which branch holds the blocks of the list from which height on.

/// Consecutive blocks of the list that stand in one branch.
struct Segment {
    /// The height of its first block.
    let first: Int
    /// The height after its last block; that of the last segment is beyond every head.
    let end: Int
    /// The branch whose runs hold the blocks.
    let branch: Int
}

/// Reads and writes the segments of the list.
enum SegmentStatements {
    /// The branch that holds the block of the list at `height`.
    static func branch(at height: Int, on connection: Connection) throws(SQLiteError) -> Int {
        try connection.with("SELECT branch FROM segments WHERE first <= ?1 ORDER BY first DESC LIMIT 1") {
            statement throws(SQLiteError) in
            try statement.bind(height, at: 1)
            guard try statement.step() else { throw RunStatements.damage(height) }
            return statement.integer(0)
        }
    }

    /// Calls `body` with each segment that has heights from `first` to before `end`, until it answers false.
    static func forEach(
        from first: Int, below end: Int, on connection: Connection, _ body: (Segment) throws(SQLiteError) -> Bool
    ) throws(SQLiteError) {
        try connection.with(
            """
            SELECT first, branch, (SELECT min(first) FROM segments later WHERE later.first > s.first) FROM segments s
            WHERE first >= (SELECT max(first) FROM segments WHERE first <= ?1) AND first < ?2 ORDER BY first
            """
        ) { statement throws(SQLiteError) in
            try statement.bind(first, at: 1)
            try statement.bind(end, at: 2)
            while try statement.step() {
                let segment = Segment(
                    first: statement.integer(0), end: statement.isNull(2) ? RunKey.heightsMax : statement.integer(2),
                    branch: statement.integer(1))
                guard try body(segment) else { return }
            }
        }
    }

    /// The segments that have heights from `first` to before `end`.
    static func all(from first: Int, below end: Int, on connection: Connection) throws(SQLiteError) -> [Segment] {
        var segments: [Segment] = []
        try forEach(from: first, below: end, on: connection) {
            segments.append($0)
            return true
        }
        return segments
    }

    /// Makes a branch the one that holds the list from `first` on.
    static func replace(from first: Int, by branch: Int, on connection: Connection) throws(SQLiteError) {
        try connection.with("DELETE FROM segments WHERE first >= ?1") { statement throws(SQLiteError) in
            try statement.bind(first, at: 1)
            _ = try statement.step()
        }
        if first > 0, try self.branch(at: first, on: connection) == branch { return }
        try connection.with("INSERT INTO segments(first, branch) VALUES(?1, ?2)") { statement throws(SQLiteError) in
            try statement.bind(first, at: 1)
            try statement.bind(branch, at: 2)
            _ = try statement.step()
        }
    }
}
