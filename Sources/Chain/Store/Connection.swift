// One SQLite connection and its cached statements. Neither is Sendable: each belongs to the actor that opened it.

import CSystemLibs

/// A connection to one database file.
final class Connection {
    /// How a connection is opened.
    enum Access {
        /// Reads and writes, in WAL mode.
        case readWrite
        /// Reads beside a writer of the same process.
        case readOnly
        /// A file whose end may be lost.
        case damaged(writable: Bool)
        /// Reads a file that no other connection of this process has open, through `file:` parameters, and leaves it as it is.
        case offline(parameters: String)
    }

    private let handle: OpaquePointer
    private var idleStatements: [String: [Statement]] = [:]

    /// Opens a database file that exists.
    ///
    /// - Throws: `SQLiteError`, as the file system or SQLite refuses.
    init(path: String, access: Access) throws(SQLiteError) {
        var flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        var name = path
        switch access {
        case .readWrite, .damaged(writable: true): flags |= SQLITE_OPEN_READWRITE
        case .readOnly, .damaged(writable: false): flags |= SQLITE_OPEN_READONLY
        case .offline(let parameters):
            flags |= SQLITE_OPEN_READONLY | SQLITE_OPEN_URI
            // An empty authority, or a path of two slashes would be taken for one.
            name = "file:" + (path.hasPrefix("/") ? "//" : "") + Connection.escapedForURI(path) + "?" + parameters
        }
        var opened: OpaquePointer?
        let code = sqlite3_open_v2(name, &opened, flags, nil)
        guard code == SQLITE_OK, let opened else {
            sqlite3_close_v2(opened)
            throw SQLiteError(code, "opening the database")
        }
        handle = opened
        // Two seconds are far above what a checkpoint of this process holds a lock for.
        sqlite3_busy_timeout(opened, 2_000)
        // SQLite refuses a file that is shorter than its header says unless told that it is to be mended
        // (https://www.sqlite.org/pragma.html#pragma_writable_schema).
        if case .damaged = access { try execute("PRAGMA writable_schema = ON") }
        try execute("PRAGMA cache_size = -2000")
        try execute("PRAGMA mmap_size = 0")
    }

    deinit { close() }

    private var isClosed = false

    /// Finalizes the statements and closes the connection. Closing again does nothing.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        for statement in idleStatements.values.joined() { statement.finalize() }
        idleStatements = [:]
        sqlite3_close_v2(handle)
    }

    /// Whether a transaction has begun and not ended.
    var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

    /// Runs statements that return nothing.
    func execute(_ sql: String) throws(SQLiteError) {
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw SQLiteError(code, sql) }
    }

    /// Calls `body` with a prepared statement that nobody else is stepping through, kept for the next time.
    func with<Answer>(
        _ sql: String, _ body: (Statement) throws(SQLiteError) -> Answer
    ) throws(SQLiteError) -> Answer {
        let statement: Statement
        if let idle = idleStatements[sql]?.popLast() { statement = idle } else { statement = try prepare(sql) }
        defer {
            statement.reset()
            idleStatements[sql, default: []].append(statement)
        }
        return try body(statement)
    }

    /// The single number that a statement answers with; 0 where it answers with no row.
    func number(_ sql: String) throws(SQLiteError) -> Int {
        try with(sql) { statement throws(SQLiteError) in
            try statement.step() ? statement.integer(0) : 0
        }
    }

    /// Moves all of the WAL into the database, and syncs both.
    ///
    /// - Throws: `SQLITE_BUSY` where a reader held it up (https://www.sqlite.org/pragma.html#pragma_wal_checkpoint).
    func emptyWAL() throws(SQLiteError) {
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)"
        guard try number(sql) == 0 else { throw SQLiteError(SQLITE_BUSY, sql) }
    }

    /// What is wrong with the structure of the file, or of one table; `nil` if nothing is.
    func structureFault(table: String? = nil) throws(SQLiteError) -> String? {
        do throws(SQLiteError) {
            // Of one table its indexes too, which may tell that rows are lost
            // (https://www.sqlite.org/pragma.html#pragma_integrity_check).
            let sql = table.map { "PRAGMA integrity_check('\($0)')" } ?? "PRAGMA quick_check(1)"
            return try with(sql) { statement throws(SQLiteError) in
                guard try statement.step() else { return "no answer" }
                let answer = try statement.text(0)
                return answer == "ok" ? nil : answer.replacing("\n", with: " ")
            }
        } catch {
            guard error.isDamage else { throw error }
            return "a page that cannot be read"
        }
    }

    private func prepare(_ sql: String) throws(SQLiteError) -> Statement {
        var prepared: OpaquePointer?
        let code = sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, nil)
        guard code == SQLITE_OK, let prepared else { throw SQLiteError(code, sql) }
        return Statement(prepared, sql)
    }

    /// Escapes what has a meaning in SQLite's `file:` names (https://www.sqlite.org/uri.html).
    private static func escapedForURI(_ path: String) -> String {
        var escaped = ""
        for character in path {
            switch character {
            case "%": escaped += "%25"
            case "?": escaped += "%3f"
            case "#": escaped += "%23"
            default: escaped.append(character)
            }
        }
        return escaped
    }
}

/// A prepared statement. A blob that is bound must outlive the step; a blob that is read is valid until the next step.
final class Statement {
    private let handle: OpaquePointer
    private let sql: String

    fileprivate init(_ handle: OpaquePointer, _ sql: String) {
        self.handle = handle
        self.sql = sql
    }

    fileprivate func finalize() { sqlite3_finalize(handle) }

    /// Binds a number. Positions count from 1.
    func bind(_ value: Int, at position: Int32) throws(SQLiteError) {
        try check(sqlite3_bind_int64(handle, position, Int64(value)))
    }

    /// Binds a text, which SQLite copies.
    func bind(_ text: String, at position: Int32) throws(SQLiteError) {
        try check(chaind_bind_text(handle, position, text, Int32(text.utf8.count)))
    }

    /// Binds a hash, which SQLite copies.
    func bind(_ hash: Hash, at position: Int32) throws(SQLiteError) {
        try check(
            hash.bytes.withUnsafeBytes { chaind_bind_blob_copy(handle, position, $0.baseAddress, Int32($0.count)) })
    }

    /// Binds bytes, which SQLite copies.
    func bind(_ bytes: [UInt8], at position: Int32) throws(SQLiteError) {
        // Without a pointer SQLite binds NULL.
        guard !bytes.isEmpty else { return try check(sqlite3_bind_zeroblob(handle, position, 0)) }
        try check(bytes.withUnsafeBytes { chaind_bind_blob_copy(handle, position, $0.baseAddress, Int32($0.count)) })
    }

    /// Binds all columns of another statement's current row, in their order.
    func bind(rowOf other: Statement) throws(SQLiteError) {
        for column in 0..<sqlite3_column_count(other.handle) {
            try check(sqlite3_bind_value(handle, column + 1, sqlite3_column_value(other.handle, column)))
        }
    }

    /// Binds NULL.
    func bindNull(at position: Int32) { sqlite3_bind_null(handle, position) }

    /// Binds bytes without a copy, and steps once: for statements that return no rows.
    func run(binding bytes: UnsafeRawBufferPointer, at position: Int32) throws(SQLiteError) {
        defer { sqlite3_bind_null(handle, position) }
        try check(chaind_bind_blob_in_place(handle, position, bytes.baseAddress, UInt64(bytes.count)))
        defer { sqlite3_reset(handle) }
        _ = try step()
    }

    /// Goes to the next row; false after the last.
    func step() throws(SQLiteError) -> Bool {
        let code = sqlite3_step(handle)
        switch code {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default: throw SQLiteError(code, sql)
        }
    }

    /// Ends the statement's read, so that it holds no snapshot.
    fileprivate func reset() { sqlite3_reset(handle) }

    /// A column of the current row as a number. Columns count from 0.
    func integer(_ column: Int32) -> Int { Int(sqlite3_column_int64(handle, column)) }

    /// Whether a column of the current row is NULL.
    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }

    /// A column of the current row as text.
    func text(_ column: Int32) throws(SQLiteError) -> String { String(decoding: try bytes(column), as: UTF8.self) }

    /// A column of the current row as a hash.
    ///
    /// - Throws: `SQLITE_CORRUPT` for anything but 32 bytes.
    func hash(_ column: Int32) throws(SQLiteError) -> Hash {
        guard let hash = Hash(bytes: try bytes(column)) else { throw SQLiteError(SQLITE_CORRUPT, sql) }
        return hash
    }

    /// A column of the current row as bytes, valid until the next step or reset.
    func bytes(_ column: Int32) throws(SQLiteError) -> UnsafeRawBufferPointer {
        // The pointer first, then the size: https://www.sqlite.org/c3ref/column_blob.html
        let start = sqlite3_column_blob(handle, column)
        let count = Int(sqlite3_column_bytes(handle, column))
        if start == nil && count > 0 { throw SQLiteError(SQLITE_NOMEM, sql) }
        return UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : count)
    }

    private func check(_ code: Int32) throws(SQLiteError) {
        guard code == SQLITE_OK else { throw SQLiteError(code, sql) }
    }
}
