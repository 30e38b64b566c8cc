// Reads and damages a database behind the engine's back, by SQL of the tests' own.

import CSystemLibs

/// A row of the table of runs.
public struct RawRun: Equatable, Sendable {
    public var position: Int64
    public var blocks: Int64
    public var content: [UInt8]

    public init(position: Int64, blocks: Int64, content: [UInt8]) {
        self.position = position
        self.blocks = blocks
        self.content = content
    }
}

/// A database file, also one that an engine has open and does nothing with at the moment.
public struct RawDatabase {
    /// An SQL statement failed.
    public struct Failure: Error {
        public let code: Int32
        public let sql: String
    }

    private let path: String

    public init(path: String) {
        self.path = path
    }

    /// Changes a bit of a text that stands in one block.
    public func damage(_ text: String) throws {
        var runs = try runs()
        for index in runs.indices {
            guard let place = runs[index].content.firstRange(of: Array(text.utf8)) else { continue }
            runs[index].content[place.lowerBound] ^= 1
            return try replaceRuns(runs)
        }
        throw TestSupportError("no block has the text \(text)")
    }

    /// All runs, in the order of their keys.
    public func runs() throws -> [RawRun] {
        try open { database in
            var runs: [RawRun] = []
            try step(database, "SELECT position, blocks, content FROM runs ORDER BY position") { statement in
                let count = Int(sqlite3_column_bytes(statement, 2))
                let bytes = UnsafeRawBufferPointer(start: sqlite3_column_blob(statement, 2), count: count)
                runs.append(
                    RawRun(
                        position: sqlite3_column_int64(statement, 0), blocks: sqlite3_column_int64(statement, 1),
                        content: [UInt8](bytes)))
            }
            return runs
        }
    }

    /// Puts these runs in the place of all that are there.
    public func replaceRuns(_ runs: [RawRun]) throws {
        try open { database in
            try step(database, "BEGIN") { _ in }
            try step(database, "DELETE FROM runs") { _ in }
            for run in runs {
                try store(run, by: "INSERT INTO runs(content, blocks, position) VALUES(?1, ?2, ?3)", in: database)
            }
            try step(database, "COMMIT") { _ in }
        }
    }

    /// Puts this run in the place of the one at its position.
    public func update(_ run: RawRun) throws {
        try open { database in
            try store(run, by: "UPDATE runs SET content = ?1, blocks = ?2 WHERE position = ?3", in: database)
        }
    }

    /// The BLOBs of a column, in the order of the rows.
    public func blobs(_ column: String, of table: String) throws -> [[UInt8]] {
        try open { database in
            var blobs: [[UInt8]] = []
            let sql = "SELECT \(column) FROM \(table) WHERE \(column) IS NOT NULL"
            try step(database, sql) { statement in
                let count = Int(sqlite3_column_bytes(statement, 0))
                blobs.append([UInt8](UnsafeRawBufferPointer(start: sqlite3_column_blob(statement, 0), count: count)))
            }
            return blobs
        }
    }

    /// Puts other bytes in the place of a BLOB, in each row that has it.
    public func replace(_ blob: [UInt8], by other: [UInt8], in column: String, of table: String) throws {
        func hex(_ bytes: [UInt8]) -> String {
            bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
        try execute("UPDATE \(table) SET \(column) = x'\(hex(other))' WHERE \(column) = x'\(hex(blob))'")
    }

    private func store(_ run: RawRun, by sql: String, in database: OpaquePointer) throws {
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(database, sql, -1, &statement, nil) == SQLITE_OK else {
            throw Failure(code: sqlite3_errcode(database), sql: sql)
        }
        defer { sqlite3_finalize(statement) }
        _ = run.content.withUnsafeBytes { bytes in
            chaind_bind_blob_copy(statement, 1, bytes.baseAddress, Int32(bytes.count))
        }
        sqlite3_bind_int64(statement, 2, run.blocks)
        sqlite3_bind_int64(statement, 3, run.position)
        guard sqlite3_step(statement) == SQLITE_DONE else {
            throw Failure(code: sqlite3_errcode(database), sql: sql)
        }
    }

    /// The first column of what a query answers.
    public func integers(_ sql: String) throws -> [Int64] {
        try open { database in
            var numbers: [Int64] = []
            try step(database, sql) { numbers.append(sqlite3_column_int64($0, 0)) }
            return numbers
        }
    }

    /// Runs any statement.
    public func execute(_ sql: String) throws {
        try open { database in
            guard sqlite3_exec(database, sql, nil, nil, nil) == SQLITE_OK else {
                throw Failure(code: sqlite3_errcode(database), sql: sql)
            }
        }
    }

    private func open<Answer>(_ body: (OpaquePointer) throws -> Answer) throws -> Answer {
        var database: OpaquePointer?
        defer { sqlite3_close_v2(database) }
        guard sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nil) == SQLITE_OK,
            let database
        else { throw Failure(code: SQLITE_CANTOPEN, sql: "open") }
        return try body(database)
    }

    private func step(_ database: OpaquePointer, _ sql: String, _ row: (OpaquePointer) -> Void) throws {
        var prepared: OpaquePointer?
        guard sqlite3_prepare_v2(database, sql, -1, &prepared, nil) == SQLITE_OK, let statement = prepared else {
            throw Failure(code: sqlite3_errcode(database), sql: sql)
        }
        defer { sqlite3_finalize(statement) }
        while true {
            switch sqlite3_step(statement) {
            case SQLITE_ROW: row(statement)
            case SQLITE_DONE: return
            default: throw Failure(code: sqlite3_errcode(database), sql: sql)
            }
        }
    }
}
