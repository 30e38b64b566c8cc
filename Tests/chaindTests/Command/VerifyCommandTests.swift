// `chaind verify` as a process: its answers and its exit statuses.

import Chain
import Foundation
import TestSupport
import Testing

struct VerifyCommandTests {
    /// Makes a database of 300 blocks after the genesis.
    private func makeList(_ path: String) async throws {
        let list = try await BlockList.open(path: path, now: { 1_800_000_000 })
        _ = try await list.append(AppendRequest(drafts: (0..<300).map { Draft(data: "text \($0)") }))
        try await list.close()
    }

    @Test func findsAListValid() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.path("chain.db")
            try await makeList(path)
            let names = try directory.names()
            let text = try await runChaind(["verify", path])
            #expect(text.status == 0)
            #expect(text.output.hasPrefix("valid up to height 300: 301 blocks in "))
            #expect(text.error == "")
            let json = try await runChaind(["verify", path, "--json"])
            #expect(json.output.hasPrefix(#"{"state":"valid","height":300,"blocks":301,"seconds":"#))
            #expect(json.output.hasSuffix("\"fault\":null,\"hashing\":\"\(HashLanes.best.name)\"}\n"))
            #expect(try directory.names() == names)
        }
    }

    /// A node that is killed right before the first frame leaves a WAL that is a header alone.
    @Test func takesAWALWithoutAFrame() async throws {
        try await withTemporaryDirectory { directory in
            try await makeList(directory.path("chain.db"))
            let header = Data([0x37, 0x7f, 0x06, 0x82] + [UInt8](repeating: 1, count: 28))
            try header.write(to: URL(fileURLWithPath: directory.path("chain.db-wal")))
            let result = try await runChaind(["verify", directory.path("chain.db")])
            #expect(result.status == 0, "\(result.error)")
            #expect(try directory.names() == ["chain.db", "chain.db-wal", "chain.db.lock"])
        }
    }

    @Test func findsTheFault() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.path("chain.db")
            try await makeList(path)
            // Somebody changes a text and nothing else.
            let database = RawDatabase(path: path)
            var runs = try database.runs()
            var content = try #require(runs.last).content
            let place = try #require(content.firstRange(of: Array("text 299".utf8)))
            content[place.lowerBound] = UInt8(ascii: "T")
            runs[runs.count - 1].content = content
            try database.replaceRuns(runs)
            let json = try await runChaind(["verify", path, "--json"])
            #expect(json.status == 1)
            #expect(json.output.hasPrefix(#"{"state":"invalid","height":300,"blocks":300,"#), "\(json.output)")
            #expect(json.output.contains(#""fault":{"height":300,"kind":"hash","expected":""#))
            let text = try await runChaind(["verify", path])
            #expect(text.status == 1)
            #expect(text.output.hasPrefix("invalid at height 300, hash: expected "))
        }
    }

    @Test func refusesWhatIsNoDatabaseOfOurs() async throws {
        try await withTemporaryDirectory { directory in
            try Data("text".utf8).write(to: URL(fileURLWithPath: directory.path("text")))
            try OriginalRows(["one"]).write(to: directory.path("original.db"))
            for name in ["text", "missing", "original.db"] {
                let result = try await runChaind(["verify", directory.path(name)])
                #expect(result.status == 2)
                #expect(result.output == "")
                #expect(result.error.hasPrefix("chaind: \(directory.path(name)): "))
                #expect(result.error.split(separator: "\n").count == 1)
            }
            #expect(try directory.names() == ["original.db", "text"])
        }
    }

    @Test func refusesADatabaseInUse() async throws {
        try await withTemporaryDirectory { directory in
            let list = try await BlockList.open(path: directory.path("chain.db"), now: { 0 })
            let result = try await runChaind(["verify", directory.path("chain.db")])
            try await list.close()
            #expect(result.status == 2)
            #expect(result.error.contains("in use by process \(getpid())"))
        }
    }
}
