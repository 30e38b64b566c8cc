// The statements on the table of runs, in one place.
//
// A run's key is its branch and the height of its first block: `branch << 40 | height`. The list is made of segments of
// branches (`SegmentStatements`); what is staged and what was replaced stands in other branches, or above a segment.

import CSystemLibs

/// A row of the table of runs; its content is valid until the statement goes on.
struct RunRow {
    /// The branch that the run belongs to.
    let branch: Int
    /// The height of the run's first block.
    let height: Int
    /// How many blocks the row says that it holds.
    let blocks: Int
    let content: UnsafeRawBufferPointer
    private let statement: Statement

    /// The columns of a statement that selects `RunStatements.columns`.
    fileprivate init(_ statement: Statement) throws(SQLiteError) {
        let position = statement.integer(0)
        branch = RunKey.branch(of: position)
        height = RunKey.height(of: position)
        blocks = statement.integer(1)
        content = try statement.bytes(2)
        self.statement = statement
    }

    /// The height after its last block, as the row says; it wraps where the numbers are damaged.
    var endHeight: Int { height &+ blocks }

    /// The run's columns; `nil` if they do not fit into the content.
    var view: RunView? { RunView(content, count: blocks) }

    /// Which of its blocks this node acknowledged.
    func acknowledged() throws(SQLiteError) -> AcknowledgedBlocks {
        statement.isNull(3) ? .all : AcknowledgedBlocks(stored: [UInt8](try statement.bytes(3)))
    }
}

/// Keys of the table of runs.
enum RunKey {
    /// Heights are below this, so that a branch fits above them.
    static let heightsMax = 1 << 40
    /// Branches are below this.
    static let branchesMax = 1 << 22

    /// Also for the height after the highest, which gives the key after the branch's last.
    static func position(branch: Int, height: Int) -> Int { branch << 40 + height }

    static func branch(of position: Int) -> Int { position >> 40 }

    static func height(of position: Int) -> Int { position & (heightsMax - 1) }
}

/// Reads and writes rows of runs on a connection. What names no branch means the list.
enum RunStatements {
    private static let columns = "r.position, r.blocks, r.content, r.acknowledged"

    // MARK: Writing

    /// Stores a run.
    static func insert(_ run: EncodedRun, branch: Int, on connection: Connection) throws(SQLiteError) {
        try connection.with("INSERT INTO runs(position, blocks, content, acknowledged) VALUES(?1, ?2, ?3, ?4)") {
            statement throws(SQLiteError) in
            try statement.bind(RunKey.position(branch: branch, height: run.height), at: 1)
            try statement.bind(run.blocks, at: 2)
            if let marks = run.acknowledged.stored {
                try statement.bind(marks, at: 4)
            } else {
                statement.bindNull(at: 4)
            }
            // The closure of `withUnsafeBytes` can't throw a typed error.
            let result: Result<Void, SQLiteError> = run.content.withUnsafeBytes { bytes in
                Result { () throws(SQLiteError) in try statement.run(binding: bytes, at: 3) }
            }
            try result.get()
        }
    }

    /// Deletes the runs of a branch that begin within a range of heights.
    static func delete(_ heights: Range<Int>, branch: Int, on connection: Connection) throws(SQLiteError) {
        try connection.with("DELETE FROM runs WHERE position BETWEEN ?1 AND ?2") { statement throws(SQLiteError) in
            try statement.bind(RunKey.position(branch: branch, height: heights.lowerBound), at: 1)
            try statement.bind(RunKey.position(branch: branch, height: heights.upperBound) - 1, at: 2)
            _ = try statement.step()
        }
    }

    // MARK: Reading a branch

    /// Calls `body` with the run of a branch that holds the block at `height`.
    ///
    /// - Throws: `SQLITE_CORRUPT` where no run holds it.
    static func withRun<Answer>(
        at height: Int, branch: Int, on connection: Connection,
        _ body: (RunRow, RunView) throws(SQLiteError) -> Answer
    ) throws(SQLiteError) -> Answer {
        try connection.with(
            "SELECT \(columns) FROM runs r WHERE r.position BETWEEN ?2 << 40 AND (?2 << 40 | ?1) ORDER BY r.position DESC LIMIT 1"
        ) { statement throws(SQLiteError) in
            try statement.bind(branch, at: 2)
            return try found(at: height, by: statement, body)
        }
    }

    /// Calls `body` with each run of a branch that begins within a range of heights, until it answers false.
    static func forEachRun(
        _ heights: Range<Int>, branch: Int, on connection: Connection,
        _ body: (RunRow) throws(SQLiteError) -> Bool
    ) throws(SQLiteError) {
        try connection.with(
            "SELECT \(columns) FROM runs r WHERE r.position >= ?1 AND r.position < ?2 ORDER BY r.position"
        ) { statement throws(SQLiteError) in
            try statement.bind(RunKey.position(branch: branch, height: heights.lowerBound), at: 1)
            try statement.bind(RunKey.position(branch: branch, height: heights.upperBound), at: 2)
            while try statement.step() {
                guard try body(RunRow(statement)) else { return }
            }
        }
    }

    /// The height of the first run of a branch that begins above `height`; `nil` if there is none.
    static func startOfRun(above height: Int, branch: Int, on connection: Connection) throws(SQLiteError) -> Int? {
        try connection.with("SELECT min(position) FROM runs WHERE position BETWEEN ?1 AND ?2") {
            statement throws(SQLiteError) in
            try statement.bind(RunKey.position(branch: branch, height: height + 1), at: 1)
            try statement.bind(RunKey.position(branch: branch, height: RunKey.heightsMax - 1), at: 2)
            guard try statement.step(), !statement.isNull(0) else { return nil }
            return RunKey.height(of: statement.integer(0))
        }
    }

    /// Whether a branch has any run.
    static func isInUse(branch: Int, on connection: Connection) throws(SQLiteError) -> Bool {
        try connection.with(
            "SELECT EXISTS(SELECT 1 FROM runs WHERE position >= ?1 << 40 AND position < (?1 + 1) << 40)"
        ) {
            statement throws(SQLiteError) in
            try statement.bind(branch, at: 1)
            return try statement.step() && statement.integer(0) != 0
        }
    }

    // MARK: Reading the list

    /// Calls `body` with the run that holds the block at `height`.
    ///
    /// - Throws: `SQLITE_CORRUPT` where no run holds it.
    static func withRun<Answer>(
        at height: Int, on connection: Connection, _ body: (RunRow, RunView) throws(SQLiteError) -> Answer
    ) throws(SQLiteError) -> Answer {
        try connection.with(
            """
            SELECT \(columns) FROM segments s JOIN runs r ON r.position BETWEEN s.branch << 40 AND (s.branch << 40 | ?1)
            WHERE s.first = (SELECT max(first) FROM segments WHERE first <= ?1)
            ORDER BY r.position DESC LIMIT 1
            """
        ) { statement throws(SQLiteError) in try found(at: height, by: statement, body) }
    }

    private static func found<Answer>(
        at height: Int, by statement: Statement, _ body: (RunRow, RunView) throws(SQLiteError) -> Answer
    ) throws(SQLiteError) -> Answer {
        try statement.bind(height, at: 1)
        guard try statement.step() else { throw damage(height) }
        let row = try RunRow(statement)
        guard let view = row.view, height < row.endHeight else { throw damage(height) }
        return try body(row, view)
    }

    /// Calls `body` with the last run that begins at `first` or below and with every later one that begins below
    /// `end`, until it answers false.
    static func forEachRun(
        from first: Int, below end: Int, on connection: Connection, _ body: (RunRow) throws(SQLiteError) -> Bool
    ) throws(SQLiteError) {
        var goesOn = true
        // Within the statement on the segments, so that all of it is one read transaction.
        try SegmentStatements.forEach(from: first, below: end, on: connection) { segment throws(SQLiteError) in
            let start = try startOfRun(atOrBelow: first, in: segment, on: connection)
            try forEachRun(start..<max(start, min(end, segment.end)), branch: segment.branch, on: connection) {
                row throws(SQLiteError) in
                goesOn = try body(row)
                return goesOn
            }
            return goesOn
        }
    }

    /// The height of the last run of a segment that begins at `height` or below, else that of the segment or `height`.
    static func startOfRun(
        atOrBelow height: Int, in segment: Segment, on connection: Connection
    ) throws(SQLiteError) -> Int {
        guard height > segment.first else { return segment.first }
        return try connection.with("SELECT max(position) FROM runs WHERE position BETWEEN ?1 AND ?2") {
            statement throws(SQLiteError) in
            try statement.bind(RunKey.position(branch: segment.branch, height: segment.first), at: 1)
            try statement.bind(RunKey.position(branch: segment.branch, height: height), at: 2)
            guard try statement.step(), !statement.isNull(0) else { return height }
            return RunKey.height(of: statement.integer(0))
        }
    }

    /// The height of the first run that begins at `height` or above; its content is not read.
    static func firstRun(from height: Int, on connection: Connection) throws(SQLiteError) -> Int? {
        try connection.with(
            """
            SELECT r.position FROM segments s JOIN runs r
            ON r.position BETWEEN s.branch << 40 | max(s.first, ?1) AND (s.branch << 40 | \(RunKey.heightsMax - 1))
            WHERE s.first >= (SELECT max(first) FROM segments WHERE first <= ?1)
            ORDER BY s.first, r.position LIMIT 1
            """
        ) { statement throws(SQLiteError) in
            try statement.bind(height, at: 1)
            return try statement.step() ? RunKey.height(of: statement.integer(0)) : nil
        }
    }

    /// The hash that is stored for the block at `height`.
    ///
    /// - Throws: `SQLITE_CORRUPT` where no run holds that block.
    static func storedHash(at height: Int, on connection: Connection) throws(SQLiteError) -> Hash {
        try withRun(at: height, on: connection) { row, view in view.hash(height - row.height) }
    }

    /// The height after the last block, as the last row says; 0 for an empty table.
    static func endHeight(on connection: Connection) throws(SQLiteError) -> Int {
        // Within a run's limits, so that a damaged count does not make the list endless.
        let end = try connection.number(
            """
            SELECT (r.position & \(RunKey.heightsMax - 1)) + max(1, min(r.blocks, \(RunLimits.blocksMax)))
            FROM segments s JOIN runs r
            ON r.position BETWEEN s.branch << 40 AND (s.branch << 40 | \(RunKey.heightsMax - 1))
            WHERE s.first = (SELECT max(first) FROM segments)
            ORDER BY r.position DESC LIMIT 1
            """)
        if end > 0 { return end }
        // The list was cut after its last final block, and nothing follows that yet.
        let first = try connection.number("SELECT max(first) FROM segments")
        let finalHeight = try PropertyStatements.number(PropertyStatements.finalHeight, on: connection)
        return first > 0 && first == finalHeight + 1 ? first : 0
    }

    /// The height after the last block of a file whose structure is damaged. Where the way to the last run is lost, at least
    /// one block follows the last one that is found.
    static func endHeight(ofDamaged connection: Connection) throws(SQLiteError) -> (end: Int, isLost: Bool) {
        var end = 1
        var isEndLost = false
        do throws(SQLiteError) {
            end = max(end, try endHeight(on: connection))
        } catch {
            guard error.isDamage else { throw error }
            isEndLost = true
        }
        // A block takes at least as many bytes.
        let heightMax =
            try connection.number("PRAGMA page_count") * connection.number("PRAGMA page_size")
            / RunLimits.fixedSizeBytes
        var height = isEndLost ? 0 : end
        while height < heightMax {
            do throws(SQLiteError) {
                guard let first = try firstRun(from: height, on: connection) else { break }
                end = max(end, first + 1)
                height = first + 1
                try withRun(at: first, on: connection) { row, _ in end = max(end, row.endHeight) }
                height = end
            } catch {
                guard error.isDamage else { throw error }
                height += RunLimits.blocksMax
            }
        }
        return (isEndLost ? end + 1 : end, isEndLost)
    }

    /// What is thrown for a block that no run holds, or that fails its check: to a reader, damage like SQLite's own.
    static func damage(_ height: Int) -> SQLiteError {
        SQLiteError(SQLITE_CORRUPT, "reading block \(height)")
    }
}
