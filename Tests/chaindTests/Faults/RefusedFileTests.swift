// Databases and folders that a node does not start on: one line that says why, and nothing is touched.

import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct RefusedFileTests {
    /// Bytes for `chain.db`, and what the refusal has to say.
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let reason: String
        let make: @Sendable (_ path: String) async throws -> Void
    }

    static let cases = [
        Case(testDescription: "another program's database", reason: "another program") { path in
            let database = RawDatabase(path: path)
            try database.execute("PRAGMA application_id = 77; CREATE TABLE notes(text); INSERT INTO notes VALUES('x')")
        },
        Case(testDescription: "a database without an owner", reason: "another program") { path in
            try RawDatabase(path: path).execute("CREATE TABLE notes(text)")
        },
        Case(testDescription: "a newer version", reason: "newer version") { path in
            try await makeList(at: path)
            try RawDatabase(path: path).execute("PRAGMA user_version = 1000")
        },
        Case(testDescription: "a truncated database", reason: "truncated") { path in
            try await makeList(at: path)
            #expect(truncate(path, 4096) == 0)
        },
        Case(testDescription: "no database", reason: "not an SQLite database") { path in
            try Data(repeating: 0x41, count: 10_000).write(to: URL(fileURLWithPath: path))
        },
        Case(testDescription: "an empty file", reason: "not an SQLite database") { path in
            try Data().write(to: URL(fileURLWithPath: path))
        },
        Case(testDescription: "the header of a database alone", reason: "not an SQLite database") { path in
            try Data("SQLite format 3\0".utf8).write(to: URL(fileURLWithPath: path))
        },
    ]

    /// A list with some blocks, cleanly closed.
    private static func makeList(at path: String) async throws {
        try await withNode { node in
            #expect(try await node.client.post("/blocks/batch", ["data": (0..<500).map { "\($0)" }]).status == 200)
            #expect(try await node.end(SIGTERM) == 0)
            try FileManager.default.copyItem(atPath: node.databasePath, toPath: path)
        }
    }

    @Test(arguments: cases)
    func aFileThatIsNotOursIsRefusedAndLeftAsItWas(_ refused: Case) async throws {
        try await withTemporaryDirectory { directory in
            let node = try NodeProcess(directory: directory.path)
            try FileManager.default.createDirectory(atPath: node.dataDirectory, withIntermediateDirectories: true)
            try await refused.make(node.databasePath)
            let before = try FolderContent(node.dataDirectory)
            try await expectRefusal(node, path: node.databasePath, reason: refused.reason)
            #expect(try FolderContent(node.dataDirectory) == before)

            let verified = try await runChaind(["verify", node.databasePath])
            #expect(verified.status == 2)
            #expect(verified.error.contains(node.databasePath))
            #expect(try FolderContent(node.dataDirectory) == before)
        }
    }

    @Test func aFolderInThePlaceOfTheDatabaseIsRefused() async throws {
        try await withTemporaryDirectory { directory in
            let node = try NodeProcess(directory: directory.path)
            try FileManager.default.createDirectory(atPath: node.databasePath, withIntermediateDirectories: true)
            try await expectRefusal(node, path: node.databasePath, reason: "")
        }
    }

    /// `/proc` takes no new files from anyone, root too.
    @Test func aFolderThatCannotBeWrittenIsRefused() async throws {
        try await withTemporaryDirectory { directory in
            let node = try NodeProcess(directory: directory.path, dataDirectory: "/proc/self")
            try await expectRefusal(node, path: "/proc/self/chain.db", reason: "")
        }
    }

    /// Starts a node and expects one line on standard error, and exit status 1.
    private func expectRefusal(_ node: NodeProcess, path: String, reason: String) async throws {
        defer { node.stop() }
        let linesBefore = node.error.split(separator: "\n").count
        try node.launch()
        #expect(try await node.wait() == 1)
        let lines = node.error.split(separator: "\n").dropFirst(linesBefore)
        #expect(lines.count == 1, "\(node.error)")
        #expect(lines.last?.contains(path) == true, "\(node.error)")
        #expect(lines.last?.contains(reason) == true || reason.isEmpty, "\(node.error)")
    }
}
