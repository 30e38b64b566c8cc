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

    /// Whether none of the table is lost.
    static func areReadable(on connection: Connection) throws(SQLiteError) -> Bool {
        do throws(SQLiteError) {
            return try !all(from: 0, below: RunKey.heightsMax, on: connection).isEmpty
        } catch {
            guard error.isDamage else { throw error }
            return false
        }
    }

    /// Lets a list be read that is one segment.
    static func supposeOne(on connection: Connection) throws(SQLiteError) {
        try connection.execute(
            """
            CREATE TEMP TABLE segments(first INTEGER PRIMARY KEY, branch INTEGER NOT NULL) STRICT;
            INSERT INTO temp.segments(first, branch) VALUES(0, 0);
            """)
    }

    /// Lets a list be read whose segments are lost, as its runs say: each of them is in the list unless it was only received,
    /// or was replaced and is not gone through yet. A branch holds one part of the list.
    static func suppose(on connection: Connection) throws(SQLiteError) {
        try supposeOne(on: connection)
        let height = "r.position & \(RunKey.heightsMax - 1)"
        do throws(SQLiteError) {
            try connection.execute(
                """
                INSERT OR IGNORE INTO temp.segments(first, branch)
                SELECT min(\(height)), r.position >> 40 FROM runs r
                WHERE r.position >> 40 NOT IN (SELECT branch FROM staged) AND NOT EXISTS (
                    SELECT 1 FROM leftovers l
                    WHERE l.branch = r.position >> 40 AND \(height) >= l.first AND \(height) < l.end)
                GROUP BY r.position >> 40
                """)
        } catch {
            // More is lost than the segments.
            guard error.isDamage else { throw error }
        }
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
