// The original's database file: recognised, read, and left as it is, whatever state it is in.

import CSystemLibs
import Foundation
import TestSupport
import Testing

@testable import chaind

struct OriginalDatabaseTests {
    private func importer(_ directory: TemporaryDirectory, from name: String = "original.db") -> OriginalImport {
        OriginalImport(
            path: directory.path(name), databasePath: directory.path("chain.db"), dataSizeBytesMax: 1 << 20)
    }

    @Test func isRecognised() async throws {
        try await withTemporaryDirectory { directory in
            try OriginalRows(["one"]).write(to: directory.path("original ?%20#.db"))
            #expect(OriginalDatabase.isOriginal(path: directory.path("original ?%20#.db")))
            #expect(!OriginalDatabase.isOriginal(path: directory.path("missing.db")))
            try Data("no database at all, but long enough for a header".utf8).write(
                to: URL(fileURLWithPath: directory.path("text")))
            #expect(!OriginalDatabase.isOriginal(path: directory.path("text")))
            #expect(try directory.names() == ["original ?%20#.db", "text"])
        }
    }

    @Test func isReadUnderAnyName() async throws {
        try await withTemporaryDirectory { directory in
            try OriginalRows(["one"]).write(to: directory.path("o ?%20#ü.db"))
            let report = try await importer(directory, from: "o ?%20#ü.db").run()
            #expect(report.end == .done)
            #expect(report.blocks == 1)
        }
    }

    @Test func isReadInWALModeWithoutLeavingFiles() async throws {
        try await withTemporaryDirectory { directory in
            try OriginalRows(["one"]).write(to: directory.path("original.db"), sql: ["PRAGMA journal_mode = WAL"])
            #expect(try directory.names() == ["original.db"])
            let report = try await importer(directory).run()
            #expect(report.blocks == 1)
            #expect(try directory.names() == ["chain.db", "chain.db.lock", "original.db"])
        }
    }

    @Test func isReadInUTF16() async throws {
        try await withTemporaryDirectory { directory in
            var database: OpaquePointer?
            #expect(sqlite3_open(directory.path("original.db"), &database) == SQLITE_OK)
            let row = OriginalRows().rows[0]
            let sql = """
                PRAGMA encoding = 'UTF-16';
                CREATE TABLE blocks(hash TEXT PRIMARY KEY, data TEXT, timestamp TEXT, previous_hash TEXT);
                INSERT INTO blocks VALUES('\(row.hash)', 'Original genesis', '\(row.timestamp)', '0');
                """
            #expect(sqlite3_exec(database, sql, nil, nil, nil) == SQLITE_OK)
            sqlite3_close_v2(database)
            let report = try await importer(directory).run()
            #expect(report.end == .done)
        }
    }

    /// Expects a failure that says `reason`, and that no file changes or comes to be.
    private func expectRefusal(_ directory: TemporaryDirectory, _ reason: String) async throws {
        let names = try directory.names()
        let report = try await importer(directory).run()
        guard case .failed(let text) = report.end else {
            Issue.record("\(report)")
            return
        }
        #expect(text.contains(reason), "\(text)")
        #expect(try directory.names() == names)
    }

    @Test func isRefusedWithAWAL() async throws {
        try await withTemporaryDirectory { directory in
            try OriginalRows(["one"]).write(to: directory.path("original.db"), sql: ["PRAGMA journal_mode = WAL"])
            try Data([1]).write(to: URL(fileURLWithPath: directory.path("original.db-wal")))
            try await expectRefusal(directory, "has a write-ahead log")
        }
    }

    @Test func isRefusedWithAHotJournal() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.path("live.db")
            try OriginalRows((0..<50).map { _ in String(repeating: "x", count: 5000) }).write(to: path)
            // What a process that is killed in the middle of a write leaves.
            var database: OpaquePointer?
            #expect(sqlite3_open(path, &database) == SQLITE_OK)
            let sql = "PRAGMA cache_size = 1; BEGIN; UPDATE blocks SET data = 'y' || data"
            #expect(sqlite3_exec(database, sql, nil, nil, nil) == SQLITE_OK)
            try FileManager.default.copyItem(atPath: path, toPath: directory.path("original.db"))
            try FileManager.default.copyItem(
                atPath: path + "-journal", toPath: directory.path("original.db-journal"))
            sqlite3_close_v2(database)
            try await expectRefusal(directory, "hot journal")
        }
    }

    @Test func isRefusedWhileItIsWritten() async throws {
        try await withTemporaryDirectory { directory in
            try OriginalRows(["one"]).write(to: directory.path("original.db"))
            var database: OpaquePointer?
            #expect(sqlite3_open(directory.path("original.db"), &database) == SQLITE_OK)
            defer { sqlite3_close_v2(database) }
            #expect(sqlite3_exec(database, "BEGIN EXCLUSIVE", nil, nil, nil) == SQLITE_OK)
            try await expectRefusal(directory, "stop the original service first")
        }
    }

    @Test func isRefusedWithoutTheTable() async throws {
        try await withTemporaryDirectory { directory in
            var database: OpaquePointer?
            #expect(sqlite3_open(directory.path("original.db"), &database) == SQLITE_OK)
            #expect(sqlite3_exec(database, "CREATE TABLE blocks(hash, data)", nil, nil, nil) == SQLITE_OK)
            sqlite3_close_v2(database)
            try await expectRefusal(directory, "has no table blocks(hash, data, timestamp, previous_hash)")
            try Data("no database".utf8).write(to: URL(fileURLWithPath: directory.path("original.db")))
            try await expectRefusal(directory, "not an SQLite database")
            try FileManager.default.removeItem(atPath: directory.path("original.db"))
            try await expectRefusal(directory, "No such file")
        }
    }

    @Test(arguments: ["link", "symlink", "filling"]) func isRefusedAsItsOwnTarget(kind: String) async throws {
        try await withTemporaryDirectory { directory in
            let source = kind == "filling" ? "chain.db.filling" : "original.db"
            try OriginalRows(["one"]).write(to: directory.path(source))
            let (from, to) = (directory.path(source), directory.path("chain.db"))
            switch kind {
            case "link": try FileManager.default.linkItem(atPath: from, toPath: to)
            case "symlink": try FileManager.default.createSymbolicLink(atPath: to, withDestinationPath: from)
            default: try FileManager.default.linkItem(atPath: from, toPath: directory.path("original.db"))
            }
            let before = try Data(contentsOf: URL(fileURLWithPath: from))
            try await expectRefusal(directory, "is the database to be written")
            #expect(try Data(contentsOf: URL(fileURLWithPath: from)) == before)
        }
    }

    @Test func isNotBroughtIntoAListThatHasBlocks() async throws {
        try await withTemporaryDirectory { directory in
            try OriginalRows(["one"]).write(to: directory.path("original.db"))
            #expect(try await importer(directory).run().end == .done)
            try await expectRefusal(directory, "holds a list already (height 1)")
        }
    }
}
