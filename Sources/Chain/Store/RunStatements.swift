// The statements on the table of runs, in one place.

import CSystemLibs

/// A row of the table of runs; its content is valid until the statement goes on.
struct RunRow {
    /// The height of the run's first block.
    let height: Int
    /// How many blocks the row says that it holds.
    let blocks: Int
    let content: UnsafeRawBufferPointer

    fileprivate init(_ statement: Statement) throws(SQLiteError) {
        height = statement.integer(0)
        blocks = statement.integer(1)
        content = try statement.bytes(2)
    }

    /// The height after its last block, as the row says; it wraps where the numbers are damaged.
    var endHeight: Int { height &+ blocks }

    /// The run's columns; `nil` if they do not fit into the content.
    var view: RunView? { RunView(content, count: blocks) }
}

/// Reads and writes rows of runs on a connection.
enum RunStatements {
    /// Stores a run.
    static func insert(_ run: EncodedRun, on connection: Connection) throws(SQLiteError) {
        try connection.with("INSERT INTO runs(position, blocks, content) VALUES(?1, ?2, ?3)") {
            statement throws(SQLiteError) in
            try statement.bind(run.height, at: 1)
            try statement.bind(run.blocks, at: 2)
            // The closure of `withUnsafeBytes` can't throw a typed error.
            let result: Result<Void, SQLiteError> = run.content.withUnsafeBytes { bytes in
                Result { () throws(SQLiteError) in try statement.run(binding: bytes, at: 3) }
            }
            try result.get()
        }
    }

    /// Deletes the runs that begin at `first` or above.
    static func delete(from first: Int, on connection: Connection) throws(SQLiteError) {
        try connection.with("DELETE FROM runs WHERE position >= ?1") { statement throws(SQLiteError) in
            try statement.bind(first, at: 1)
            _ = try statement.step()
        }
    }

    /// Calls `body` with the run that holds the block at `height`.
    ///
    /// - Throws: `SQLITE_CORRUPT` where no run holds it.
    static func withRun<Answer>(
        at height: Int, on connection: Connection, _ body: (RunRow, RunView) throws(SQLiteError) -> Answer
    ) throws(SQLiteError) -> Answer {
        try connection.with(
            "SELECT position, blocks, content FROM runs WHERE position <= ?1 ORDER BY position DESC LIMIT 1"
        ) { statement throws(SQLiteError) in
            try statement.bind(height, at: 1)
            guard try statement.step() else { throw damage(height) }
            let row = try RunRow(statement)
            guard let view = row.view, height < row.endHeight else { throw damage(height) }
            return try body(row, view)
        }
    }

    /// Calls `body` with the last run that begins at `first` or below and with every later one that begins below
    /// `end`, until it answers false.
    static func forEachRun(
        from first: Int, below end: Int, on connection: Connection, _ body: (RunRow) throws(SQLiteError) -> Bool
    ) throws(SQLiteError) {
        try connection.with(
            """
            SELECT position, blocks, content FROM runs
            WHERE position >= coalesce((SELECT max(position) FROM runs WHERE position <= ?1), ?1) AND position < ?2
            ORDER BY position
            """
        ) { statement throws(SQLiteError) in
            try statement.bind(first, at: 1)
            try statement.bind(end, at: 2)
            while try statement.step() {
                guard try body(RunRow(statement)) else { return }
            }
        }
    }

    /// The height of the first run that begins at `height` or above; its content is not read.
    static func firstRun(from height: Int, on connection: Connection) throws(SQLiteError) -> Int? {
        try connection.with("SELECT position FROM runs WHERE position >= ?1 ORDER BY position LIMIT 1") {
            statement throws(SQLiteError) in
            try statement.bind(height, at: 1)
            return try statement.step() ? statement.integer(0) : nil
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
        try connection.number(
            """
            SELECT position + max(1, min(blocks, \(RunLimits.blocksMax))) FROM runs ORDER BY position DESC LIMIT 1
            """)
    }

    /// What is thrown for a block that no run holds, or that fails its check: to a reader, damage like SQLite's own.
    static func damage(_ height: Int) -> SQLiteError {
        SQLiteError(SQLITE_CORRUPT, "reading block \(height)")
    }
}
