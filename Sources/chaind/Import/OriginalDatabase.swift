// Reads a database of the original service, and leaves it and its folder as they are.

import CSystemLibs
import Chain
import Foundation

/// The table `blocks(hash, data, timestamp, previous_hash)` in one snapshot. It belongs to the task that opened it.
final class OriginalDatabase {
    /// The texts of a row as they are stored; `nil` for a value that is no text. Valid until the next row is read.
    struct Row {
        let id: Int64
        let hash: UnsafeRawBufferPointer?
        let data: UnsafeRawBufferPointer?
        let timestamp: UnsafeRawBufferPointer?
        let previousHash: UnsafeRawBufferPointer?
    }

    private static let columns = "rowid, hash, data, timestamp, previous_hash"

    /// How many rows there are.
    private(set) var rows = 0

    private let path: String
    private let database: OpaquePointer
    private var allRows: OpaquePointer?
    private var oneRow: OpaquePointer?

    /// Whether a file is a database of the original service. What cannot be read is none.
    static func isOriginal(path: String) -> Bool {
        var database: OpaquePointer?
        defer { sqlite3_close_v2(database) }
        let flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX
        guard sqlite3_open_v2(name(path, "immutable=1"), &database, flags, nil) == SQLITE_OK else { return false }
        var statement: OpaquePointer?
        defer { sqlite3_finalize(statement) }
        return sqlite3_prepare_v2(database, "SELECT \(columns) FROM blocks", -1, &statement, nil) == SQLITE_OK
    }

    /// Opens the database for reading; nobody can change it until it is closed.
    init(path: String) throws(CommandError) {
        self.path = path
        // In WAL mode SQLite would make files beside the database, unless it is told that nobody has it open.
        let isWAL = try OriginalDatabase.isWAL(path)
        if isWAL && OriginalDatabase.sizeBytes(path + "-wal") > 0 {
            throw CommandError("\(path): has a write-ahead log: open it with sqlite3, run .tables, and close it first")
        }
        var opened: OpaquePointer?
        let flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        let name = OriginalDatabase.name(path, isWAL ? "immutable=1" : "mode=ro")
        let code = sqlite3_open_v2(name, &opened, flags, nil)
        guard code == SQLITE_OK, let opened else {
            sqlite3_close_v2(opened)
            throw CommandError("\(path): \(OriginalDatabase.reason(code))")
        }
        database = opened
        sqlite3_busy_timeout(opened, 1_000)
        for sql in ["PRAGMA trusted_schema = OFF", "BEGIN"] {
            try check(sqlite3_exec(opened, sql, nil, nil, nil))
        }
        let count = try prepare("SELECT count(*) FROM blocks")
        defer { sqlite3_finalize(count) }
        if try step(count) { rows = Int(sqlite3_column_int64(count, 0)) }
        allRows = try prepare("SELECT \(OriginalDatabase.columns) FROM blocks")
        oneRow = try prepare("SELECT \(OriginalDatabase.columns) FROM blocks WHERE rowid = ?")
    }

    deinit {
        sqlite3_finalize(allRows)
        sqlite3_finalize(oneRow)
        sqlite3_close_v2(database)
    }

    /// The next of all rows, in no order that means anything; `nil` after the last.
    func nextRow() throws(CommandError) -> Row? {
        try step(allRows) ? row(allRows) : nil
    }

    /// One row; `nil` if there is none of that id.
    func row(id: Int64) throws(CommandError) -> Row? {
        sqlite3_reset(oneRow)
        try check(sqlite3_bind_int64(oneRow, 1, id))
        return try step(oneRow) ? row(oneRow) : nil
    }

    private func row(_ statement: OpaquePointer?) -> Row {
        func text(_ column: Int32) -> UnsafeRawBufferPointer? {
            guard sqlite3_column_type(statement, column) == SQLITE_TEXT,
                let start = sqlite3_column_text(statement, column)
            else {
                return nil
            }
            return UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, column)))
        }
        return Row(
            id: sqlite3_column_int64(statement, 0), hash: text(1), data: text(2), timestamp: text(3),
            previousHash: text(4))
    }

    private func prepare(_ sql: String) throws(CommandError) -> OpaquePointer? {
        var statement: OpaquePointer?
        let code = sqlite3_prepare_v2(database, sql, -1, &statement, nil)
        guard code & 0xFF != SQLITE_ERROR else {
            throw CommandError("\(path): has no table blocks(hash, data, timestamp, previous_hash)")
        }
        try check(code)
        return statement
    }

    private func step(_ statement: OpaquePointer?) throws(CommandError) -> Bool {
        let code = sqlite3_step(statement)
        guard code == SQLITE_ROW || code == SQLITE_DONE else {
            throw CommandError("\(path): \(OriginalDatabase.reason(code))")
        }
        return code == SQLITE_ROW
    }

    private func check(_ code: Int32) throws(CommandError) {
        guard code == SQLITE_OK else { throw CommandError("\(path): \(OriginalDatabase.reason(code))") }
    }

    private static func reason(_ code: Int32) -> String {
        // Extended codes: https://www.sqlite.org/rescode.html
        let readOnlyRollback: Int32 = 776
        return switch code {
        case readOnlyRollback:
            "was left in the middle of a write (it has a hot journal): open it with sqlite3, run .tables, and close it"
        case _ where code & 0xFF == SQLITE_BUSY: "is being written: stop the original service first"
        case _ where code & 0xFF == SQLITE_NOTADB: "not an SQLite database"
        default: sqlite3_errstr(code).map { String(cString: $0) } ?? "SQLite error \(code)"
        }
    }

    /// A `file:` name with its parameters (https://www.sqlite.org/uri.html).
    private static func name(_ path: String, _ parameters: String) -> String {
        var allowed = CharacterSet.urlPathAllowed
        allowed.remove("%")
        let escaped = path.addingPercentEncoding(withAllowedCharacters: allowed) ?? path
        return "file:" + (path.hasPrefix("/") ? "//" : "") + escaped + "?" + parameters
    }

    /// Whether the header says so, at offset 18 (https://www.sqlite.org/fileformat2.html).
    private static func isWAL(_ path: String) throws(CommandError) -> Bool {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw CommandError(errno: errno, path) }
        defer { close(descriptor) }
        var header = [UInt8](repeating: 0, count: 20)
        let count = pread(descriptor, &header, header.count, 0)
        guard count >= 0 else { throw CommandError(errno: errno, path) }
        guard count == header.count, header.starts(with: Array("SQLite format 3\0".utf8)) else {
            throw CommandError("\(path): not an SQLite database")
        }
        return header[18] == 2
    }

    private static func sizeBytes(_ path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }
}
