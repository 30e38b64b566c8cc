// The baseline of validation: an ordinary table of the same blocks, every byte of which is read.

import CSQLite
import Chain
import Foundation

/// A database with a row a block: height, timestamp, data, previous hash and hash.
struct OrdinaryTable {
    let path: String

    /// Copies a list into a new table.
    init(copying list: BlockList, to path: String) async throws {
        self.path = path
        let database = try OrdinaryTable.open(path)
        defer { sqlite3_close_v2(database) }
        try OrdinaryTable.execute(
            """
            CREATE TABLE blocks(
                height INTEGER PRIMARY KEY, timestamp INTEGER NOT NULL, data TEXT NOT NULL,
                previous_hash BLOB NOT NULL, hash BLOB NOT NULL);
            BEGIN
            """, on: database)
        let insert = try OrdinaryTable.prepare("INSERT INTO blocks VALUES(?1, ?2, ?3, ?4, ?5)", on: database)
        defer { sqlite3_finalize(insert) }
        for try await slice in list.slices(from: 0) {
            try slice.forEachBlock { block throws(MeasurementError) in
                let (previousHash, hash) = (block.previousHash.bytes, block.hash.bytes)
                sqlite3_bind_int64(insert, 1, Int64(block.height))
                sqlite3_bind_int64(insert, 2, block.timestamp)
                // Without a destructor the bytes must outlive the step, and they do.
                sqlite3_bind_text(insert, 3, block.data.baseAddress, Int32(block.data.count), nil)
                let code = previousHash.withUnsafeBytes { previousHash in
                    hash.withUnsafeBytes { hash in
                        sqlite3_bind_blob(insert, 4, previousHash.baseAddress, 32, nil)
                        sqlite3_bind_blob(insert, 5, hash.baseAddress, 32, nil)
                        return sqlite3_step(insert)
                    }
                }
                sqlite3_reset(insert)
                guard code == SQLITE_DONE else { throw MeasurementError("filling the table: SQLite \(code)") }
            }
        }
        try OrdinaryTable.execute("COMMIT", on: database)
    }

    /// Sums every byte of every row, through SQLite's C interface on one thread.
    func sumOfBytes() throws -> UInt64 {
        let database = try OrdinaryTable.open(path)
        defer { sqlite3_close_v2(database) }
        let select = try OrdinaryTable.prepare("SELECT timestamp, data, previous_hash, hash FROM blocks", on: database)
        defer { sqlite3_finalize(select) }
        var sum: UInt64 = 0
        while true {
            let code = sqlite3_step(select)
            if code == SQLITE_DONE { return sum }
            guard code == SQLITE_ROW else { throw MeasurementError("reading the table: SQLite \(code)") }
            sum &+= UInt64(bitPattern: sqlite3_column_int64(select, 0))
            for column: Int32 in 1...3 {
                let start = sqlite3_column_blob(select, column)
                let bytes = UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(select, column)))
                for byte in bytes { sum &+= UInt64(byte) }
            }
        }
    }

    /// A query for the command line tool that looks at every byte: `instr` searches for a byte that is not there, and
    /// `hex` writes two digits a byte. (`length` alone reads no more than the header of a row.)
    private static let query = """
        SELECT sum(timestamp), sum(instr(data, char(1))), sum(length(hex(previous_hash))), sum(length(hex(hash)))
        FROM blocks
        """

    /// Reads every byte with the command line tool; `nil` where that is not installed.
    func readWithCommandLineTool() throws -> String? {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["sqlite3", path, OrdinaryTable.query]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let answer = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        if process.terminationStatus == 127 { return nil }
        guard process.terminationStatus == 0 else { throw MeasurementError("sqlite3: \(process.terminationStatus)") }
        return String(decoding: answer, as: UTF8.self)
    }

    static func open(_ path: String) throws -> OpaquePointer {
        var database: OpaquePointer?
        let code = sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nil)
        guard code == SQLITE_OK, let database else { throw MeasurementError("\(path): SQLite \(code)") }
        return database
    }

    static func execute(_ sql: String, on database: OpaquePointer) throws {
        let code = sqlite3_exec(database, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw MeasurementError("\(sql): SQLite \(code)") }
    }

    static func prepare(_ sql: String, on database: OpaquePointer) throws -> OpaquePointer {
        var statement: OpaquePointer?
        let code = sqlite3_prepare_v2(database, sql, -1, &statement, nil)
        guard code == SQLITE_OK, let statement else { throw MeasurementError("\(sql): SQLite \(code)") }
        return statement
    }
}
