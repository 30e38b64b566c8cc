// The least that storing a list in small durable steps costs: SQLite copies its rows, without hashing anything.

import CSQLite
import Foundation

enum RunsTable {
    /// As many rows as a node stores in one transaction while it catches up.
    private static let rowsOfTransaction = 64

    /// Copies the rows of a list's file into another file, in durable transactions of its write-ahead log.
    static func copy(from source: String, to target: String) throws {
        let database = try OrdinaryTable.open(target)
        defer { sqlite3_close_v2(database) }
        try OrdinaryTable.execute(
            """
            PRAGMA journal_mode = WAL;
            PRAGMA synchronous = FULL;
            PRAGMA wal_autocheckpoint = 4000;
            CREATE TABLE runs(position INTEGER PRIMARY KEY, blocks INTEGER NOT NULL, content BLOB NOT NULL) STRICT;
            ATTACH '\(source)' AS source
            """, on: database)
        let select = try OrdinaryTable.prepare("SELECT position FROM source.runs ORDER BY position", on: database)
        defer { sqlite3_finalize(select) }
        var positions: [Int64] = []
        while sqlite3_step(select) == SQLITE_ROW { positions.append(sqlite3_column_int64(select, 0)) }
        let insert = try OrdinaryTable.prepare(
            """
            INSERT INTO main.runs SELECT position, blocks, content FROM source.runs WHERE position BETWEEN ?1 AND ?2
            """, on: database)
        defer { sqlite3_finalize(insert) }
        for first in stride(from: 0, to: positions.count, by: rowsOfTransaction) {
            let last = min(first + rowsOfTransaction, positions.count) - 1
            sqlite3_bind_int64(insert, 1, positions[first])
            sqlite3_bind_int64(insert, 2, positions[last])
            // A statement outside of a transaction is one by itself.
            let code = sqlite3_step(insert)
            sqlite3_reset(insert)
            guard code == SQLITE_DONE else { throw MeasurementError("copying the rows: SQLite \(code)") }
        }
        try OrdinaryTable.execute("PRAGMA wal_checkpoint(TRUNCATE)", on: database)
    }
}
