// The baseline of validation: the same blocks in an ordinary table, read by SQLite.

import CSQLite
import Chain

/// A database with one row a block.
final class PlainTable {
    /// SQLite refused.
    struct Failure: Error {
        let code: Int32
    }

    private let database: OpaquePointer

    init(path: String) throws {
        var opened: OpaquePointer?
        let code = sqlite3_open(path, &opened)
        guard code == SQLITE_OK, let opened else { throw Failure(code: code) }
        database = opened
        try check(
            sqlite3_exec(
                database,
                """
                CREATE TABLE blocks(
                    height INTEGER PRIMARY KEY, timestamp INTEGER, previous_hash BLOB, hash BLOB, data TEXT)
                """, nil, nil, nil))
    }

    deinit { sqlite3_close_v2(database) }

    /// Copies the blocks of a list.
    func fill(from path: String) async throws {
        let list = try await BlockList.open(path: path) { 1_800_000_000 }
        try check(sqlite3_exec(database, "BEGIN", nil, nil, nil))
        var prepared: OpaquePointer?
        try check(sqlite3_prepare_v2(database, "INSERT INTO blocks VALUES(?, ?, ?, ?, ?)", -1, &prepared, nil))
        guard let statement = prepared else { throw Failure(code: SQLITE_MISUSE) }
        defer { sqlite3_finalize(statement) }
        for try await slice in list.slices(from: 0) {
            try slice.forEachBlock { block throws in
                sqlite3_bind_int64(statement, 1, Int64(block.height))
                sqlite3_bind_int64(statement, 2, block.timestamp)
                bind_blob(statement, 3, block.previousHash.bytes, 32)
                bind_blob(statement, 4, block.hash.bytes, 32)
                bind_text(
                    statement, 5, block.data.assumingMemoryBound(to: CChar.self).baseAddress, Int32(block.data.count))
                guard sqlite3_step(statement) == SQLITE_DONE else { throw Failure(code: sqlite3_errcode(database)) }
                sqlite3_reset(statement)
            }
        }
        try check(sqlite3_exec(database, "COMMIT", nil, nil, nil))
        try await list.close()
    }

    /// Reads every row and adds up every byte, so that SQLite has to fetch each page and hand out each value.
    func readEveryByte() throws {
        var prepared: OpaquePointer?
        try check(sqlite3_prepare_v2(database, "SELECT * FROM blocks", -1, &prepared, nil))
        guard let statement = prepared else { throw Failure(code: SQLITE_MISUSE) }
        defer { sqlite3_finalize(statement) }
        var sum: UInt64 = 0
        while sqlite3_step(statement) == SQLITE_ROW {
            sum &+= UInt64(bitPattern: sqlite3_column_int64(statement, 0) &+ sqlite3_column_int64(statement, 1))
            for column in Int32(2)...4 {
                let start = sqlite3_column_blob(statement, column)
                let bytes = UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, column)))
                for byte in bytes { sum &+= UInt64(byte) }
            }
        }
        guard sum != 0 else { throw Failure(code: SQLITE_ERROR) }
    }

    private func check(_ code: Int32) throws {
        guard code == SQLITE_OK else { throw Failure(code: code) }
    }
}
