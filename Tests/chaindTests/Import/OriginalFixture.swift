// Databases of the original service, made by the tests.

import CSystemLibs
import Chain
import TestSupport

/// A row of the original's table, as it is stored.
struct OriginalRow: Equatable {
    var hash: String
    var data: [UInt8]
    var timestamp: String
    var previousHash: String

    /// A row whose hash is right.
    init(_ data: String, at timestamp: String, after previousHash: String) {
        self.data = Array(data.utf8)
        self.timestamp = timestamp
        self.previousHash = previousHash
        hash = ""
        sign()
    }

    /// Makes the hash right again.
    mutating func sign() {
        let preimage = Array(timestamp.utf8) + data + Array(previousHash.utf8)
        hash = preimage.withUnsafeBytes { Hash(sha256: $0).hex }
    }
}

/// The rows of a list, in order.
struct OriginalRows {
    var rows = [OriginalRow("Original genesis", at: "2022-01-01 00:00:00.000001", after: "0")]

    /// A list with one text a minute after our genesis.
    init(_ texts: [String] = []) {
        for (index, text) in texts.enumerated() {
            let minute = index < 10 ? "0\(index)" : "\(index)"
            append(text, at: "2023-06-25 19:\(minute):00.654321")
        }
    }

    mutating func append(_ text: String, at timestamp: String) {
        rows.append(OriginalRow(text, at: timestamp, after: rows[rows.count - 1].hash))
    }

    /// Writes a database; the rows in their order unless another is given.
    func write(to path: String, sql: [String] = [], order: [Int]? = nil) throws {
        try OriginalRows.write((order ?? Array(rows.indices)).map { rows[$0] }, to: path, sql: sql)
    }

    static func write(_ rows: [OriginalRow], to path: String, sql: [String] = []) throws {
        var database: OpaquePointer?
        defer { sqlite3_close_v2(database) }
        func check(_ code: Int32) throws {
            guard [SQLITE_OK, SQLITE_DONE, SQLITE_ROW].contains(code) else {
                throw TestSupportError("SQLite \(code): \(String(cString: sqlite3_errmsg(database)))")
            }
        }
        try check(sqlite3_open(path, &database))
        let table = "CREATE TABLE blocks(hash VARCHAR, data VARCHAR, timestamp VARCHAR, previous_hash VARCHAR)"
        for statement in [table] + sql + ["BEGIN"] { try check(sqlite3_exec(database, statement, nil, nil, nil)) }
        var insert: OpaquePointer?
        defer { sqlite3_finalize(insert) }
        // The data as bytes, so that text that is not UTF-8 can be stored as text.
        try check(
            sqlite3_prepare_v2(database, "INSERT INTO blocks VALUES(?, CAST(? AS TEXT), ?, ?)", -1, &insert, nil))
        for row in rows {
            sqlite3_reset(insert)
            try check(chaind_bind_text(insert, 1, row.hash, Int32(row.hash.utf8.count)))
            try check(chaind_bind_text(insert, 3, row.timestamp, Int32(row.timestamp.utf8.count)))
            try check(chaind_bind_text(insert, 4, row.previousHash, Int32(row.previousHash.utf8.count)))
            try row.data.withUnsafeBytes { bytes in
                // A blob at no address would be NULL.
                try check(
                    bytes.isEmpty
                        ? sqlite3_bind_zeroblob(insert, 2, 0)
                        : sqlite3_bind_blob(insert, 2, bytes.baseAddress, Int32(bytes.count), nil))
                try check(sqlite3_step(insert))
            }
        }
        try check(sqlite3_exec(database, "COMMIT", nil, nil, nil))
    }
}
