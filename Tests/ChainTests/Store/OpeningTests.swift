// What is refused when a database is opened, and what a kill leaves behind.

import Chain
import Foundation
import TestSupport
import Testing

@Suite struct OpeningTests {
    @Test func aNewListHoldsTheGenesis() async throws {
        try await withTemporaryDirectory { directory in
            let list = try await BlockList.open(path: directory.path("chain.db")) { 0 }
            #expect(list.status.height == 0)
            #expect(list.status.headHash == Block.genesis.hash)
            #expect(try await list.block(at: 0) == Block.genesis)
            try await list.close()
            #expect(try directory.names() == ["chain.db", "chain.db.lock"])
        }
    }

    @Test func filesThatAreNotOursAreRefusedAndUntouched() async throws {
        try await withTemporaryDirectory { directory in
            let ours = directory.path("ours.db")
            let list = try await BlockList.open(path: ours) { 0 }
            try await list.close()
            let whole = try Data(contentsOf: URL(fileURLWithPath: ours))

            let path = directory.path("chain.db")
            func refusal(_ content: Data) async throws -> OpenError.Reason? {
                try content.write(to: URL(fileURLWithPath: path))
                let names = try directory.names()
                var reason: OpenError.Reason?
                do throws(OpenError) {
                    _ = try await BlockList.open(path: path) { 0 }
                } catch {
                    reason = error.reason
                    #expect(error.path == path)
                    #expect("\(error)".hasPrefix(path + ": "))
                }
                #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == content)
                #expect(try directory.names() == names)
                return reason
            }
            #expect(try await refusal(Data()) == .notADatabase)
            #expect(try await refusal(Data("some text".utf8)) == .notADatabase)
            #expect(try await refusal(Data(repeating: 7, count: 4_096)) == .notADatabase)
            #expect(
                try await refusal(whole.dropLast(1))
                    == .truncated(expectedBytes: whole.count, foundBytes: whole.count - 1))
            var other = whole
            other[68] = 1
            #expect(try await refusal(other) == .otherProgram(applicationID: 0x0168_6E64))
            var newer = whole
            newer[63] = 4
            #expect(try await refusal(newer) == .newerVersion(found: 4, supported: 3))
        }
    }

    /// What makes a file of an earlier version of one of this, by that version.
    private static let downgrades = [
        1: """
        DROP TABLE appends;
        DROP TABLE segments; DROP TABLE staged; DROP TABLE leftovers; DROP TABLE orphans; DROP TABLE properties;
        DROP TABLE repairs;
        ALTER TABLE runs DROP COLUMN acknowledged;
        ALTER TABLE idempotency ADD COLUMN blocks INTEGER NOT NULL DEFAULT 2;
        ALTER TABLE idempotency DROP COLUMN identities;
        PRAGMA user_version = 1;
        """,
        2: "DROP TABLE appends; PRAGMA user_version = 2;",
    ]

    @Test(arguments: [1, 2])
    func aFileOfAnEarlierVersionIsReadAsItIsAndMigratedWhenItIsOpened(version: Int) async throws {
        let downgrade = try #require(Self.downgrades[version])
        try await withTemporaryDirectory { directory in
            let path = directory.path("list.db")
            let request = AppendRequest(
                drafts: [Draft(data: "one"), Draft(data: "two")], idempotency: Idempotency(key: "k", requestHash: .zero)
            )
            var list = try await BlockList.open(path: path) { 1_700_000_000 }
            let blocks = try await list.append(request)
            try await list.close()
            try RawDatabase(path: path).execute(downgrade)
            let old = try Data(contentsOf: URL(fileURLWithPath: path))
            let report = try await BlockList.verify(path: path) { _ in }
            #expect(report.isValid && report.height == 2)
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == old)
            list = try await BlockList.open(path: path) { 1_700_000_000 }
            #expect(try await list.append(request) == blocks)
            #expect(try await list.validate().isValid)
            try await list.close()
        }
    }

    @Test func foldersAndMissingFoldersAreRefused() async throws {
        try await withTemporaryDirectory { directory in
            await #expect(throws: OpenError.self) { _ = try await BlockList.open(path: directory.path) { 0 } }
            await #expect(throws: OpenError.self) {
                _ = try await BlockList.open(path: directory.path("missing/chain.db")) { 0 }
            }
            let names = try directory.names()
            #expect(names == [])
        }
    }

    @Test func aSecondOpenerIsToldWhoHasIt() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.path("chain.db")
            let list = try await BlockList.open(path: path) { 0 }
            let inUse = OpenError.Reason.inUse(processID: Int(ProcessInfo.processInfo.processIdentifier))
            do throws(OpenError) {
                _ = try await BlockList.open(path: path) { 0 }
                Issue.record("opened twice")
            } catch {
                #expect(error.reason == inUse)
            }
            do {
                _ = try await BlockList.verify(path: path) { _ in }
                Issue.record("verified while open")
            } catch let error as OpenError {
                #expect(error.reason == inUse)
            }
            try await list.close()
            let again = try await BlockList.open(path: path) { 0 }
            try await again.close()
        }
    }

    /// The files of a running node, copied, are what a kill leaves.
    @Test func aKillLosesNothingThatWasAnswered() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.path("chain.db")
            let list = try await BlockList.open(path: path) { 1_700_000_000 }
            var random = RandomList(seed: 1)
            try await random.fill(list, blocks: 700)
            let head = list.status.headHash
            for name in ["chain.db", "chain.db-wal", "chain.db-shm"] {
                try FileManager.default.copyItem(atPath: directory.path(name), toPath: directory.path("killed-" + name))
            }
            try await list.close()

            // Verified as it lies there, with its WAL, and left as it was; also if the index is missing.
            let killed = directory.path("killed-chain.db")
            for removesIndex in [false, true] {
                if removesIndex { try FileManager.default.removeItem(atPath: killed + "-shm") }
                let names = try directory.names()
                let contents = try names.map { try Data(contentsOf: URL(fileURLWithPath: directory.path($0))) }
                let report = try await BlockList.verify(path: killed) { _ in }
                #expect(report.isValid)
                #expect(report.height == list.status.height)
                #expect(try directory.names() == names)
                let after = try names.map { try Data(contentsOf: URL(fileURLWithPath: directory.path($0))) }
                #expect(after == contents)
            }

            let restarted = try await BlockList.open(path: killed) { 1_700_000_000 }
            #expect(restarted.status.headHash == head)
            try await random.fill(restarted, blocks: 1_000)
            #expect(try await restarted.validate().isValid)
            try await restarted.close()
            #expect(!(try directory.names().contains("killed-chain.db-wal")))
        }
    }

    @Test func anInterruptedCreationIsDoneAgain() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.path("chain.db")
            for name in ["chain.db.new", "chain.db.new-journal", "chain.db.new-wal"] {
                try Data("half".utf8).write(to: URL(fileURLWithPath: directory.path(name)))
            }
            let list = try await BlockList.open(path: path) { 0 }
            #expect(try await list.validate().isValid)
            try await list.close()
            #expect(try directory.names() == ["chain.db", "chain.db.lock"])
        }
    }

    @Test func anEmptyListIsFilledAllAtOnceOrNotAtAll() async throws {
        struct Stop: Error {}
        try await withTemporaryDirectory { directory in
            let path = directory.path("chain.db")
            let append = AppendRequest(drafts: (0..<500).map { Draft(data: "\($0)", timestamp: 1_800_000_000) })
            await #expect(throws: Stop.self) {
                try await BlockList.fillEmpty(path: path) {
                    0
                } _: { list in
                    _ = try await list.append(append)
                    throw Stop()
                }
            }
            #expect(try directory.names() == ["chain.db", "chain.db.lock"])
            #expect(try await BlockList.verify(path: path) { _ in }.height == 0)

            try await BlockList.fillEmpty(path: path) {
                0
            } _: { list in
                _ = try await list.append(append)
                await #expect(throws: OpenError.self) { _ = try await BlockList.open(path: path) { 0 } }
            }
            #expect(try directory.names() == ["chain.db", "chain.db.lock"])
            let list = try await BlockList.open(path: path) { 0 }
            #expect(list.status.height == 500)
            #expect(try await list.block(at: 500)?.data == "499")
            try await list.close()
            do {
                try await BlockList.fillEmpty(path: path) {
                    0
                } _: { _ in
                    Issue.record("filled again")
                }
            } catch let error as OpenError {
                #expect(error.reason == .notEmpty(height: 500))
            }
        }
    }
}
