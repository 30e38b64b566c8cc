// Real nodes in a group of two, one of which loses pages of its file: while it runs, while it is stopped, and while it is
// killed again and again.

import Foundation
import TestSupport
import Testing

@Suite(.serialized)
struct RebuildProcessTests {
    private static let blocks = 2_000

    /// A group of two with equal lists whose first node has all of its list in its database file.
    private func withEqualNodes(_ body: (NodeGroup, NodeProcess) async throws -> Void) async throws {
        try await withGroup(count: 2) { group in
            let node = group.nodes[0]
            for first in stride(from: 0, to: Self.blocks, by: 500) {
                let texts = (first..<first + 500).map { "text \($0)," }
                #expect(try await node.client.post("/blocks/batch", ["data": texts]).status == 200)
            }
            try await group.waitUntilEqual()
            #expect(try await node.end(SIGTERM) == 0)
            try await body(group, node)
        }
    }

    /// Overwrites pages of a node's file as it is.
    private func overwrite(_ node: NodeProcess, pages: Range<Int>) throws {
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: node.databasePath))
        try file.seek(toOffset: UInt64(pages.lowerBound * 4_096))
        try file.write(contentsOf: Data(repeating: 0, count: pages.count * 4_096))
        try file.close()
    }

    /// The page that holds a block.
    private func page(of height: Int, in node: NodeProcess) throws -> Int {
        let content = try Data(contentsOf: URL(fileURLWithPath: node.databasePath))
        let place = try #require(content.firstRange(of: Data("text \(height - 1),".utf8)))
        return place.lowerBound / 4_096
    }

    private func expectRebuilt(_ group: NodeGroup, _ node: NodeProcess) async throws {
        try await eventually("the file is rebuilt", timeoutSeconds: 60) {
            let status = try await node.client.get("/").json(StatusAnswer.self)
            return status.damaged.isEmpty && status.repairs.contains { $0.fault.hasPrefix("structure of the file") }
        }
        #expect(node.error.contains("the file was rebuilt"))
        #expect(FileManager.default.fileExists(atPath: node.databasePath + ".damaged"))
        let appended = try await node.client.post("/blocks/", ["data": "after"])
        #expect(appended.status == 200, "\(appended.text)")
        let status = try await group.waitUntilEqual()
        #expect(status.height == Self.blocks + 1)
        for node in group.nodes {
            #expect(try await node.end(SIGTERM) == 0)
            let verified = try await runChaind(["verify", node.databasePath])
            #expect(verified.status == 0, "\(verified.output)")
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: node.dataDirectory).sorted()
        #expect(names == ["chain.db", "chain.db.damaged", "chain.db.lock"])
    }

    @Test(.timeLimit(.minutes(5))) func aNodeThatRunsRebuildsItsFile() async throws {
        try await withEqualNodes { group, node in
            try await node.start()
            let page = try page(of: 1_000, in: node)
            try overwrite(node, pages: page - 2..<page + 2)
            // A read finds it before the scrub comes there; all else goes on meanwhile.
            let damaged = try await node.client.get("/blocks/1000")
            #expect(damaged.status == 503 || damaged.status == 200, "\(damaged.text)")
            #expect(try await node.client.get("/blocks/\(Self.blocks)").status == 200)
            #expect(try await node.client.get("/blocks/1").status == 200)
            try await expectRebuilt(group, node)
        }
    }

    @Test(.timeLimit(.minutes(5))) func aNodeThatWasStoppedRebuildsItsFile() async throws {
        try await withEqualNodes { group, node in
            let page = try page(of: 1_000, in: node)
            try overwrite(node, pages: page - 2..<page + 2)
            try await node.start()
            try await expectRebuilt(group, node)
        }
    }

    @Test(.timeLimit(.minutes(5))) func withoutTheMemberItIsToldAndHealsWhenThatReturns() async throws {
        try await withEqualNodes { group, node in
            let page = try page(of: 1_000, in: node)
            try overwrite(node, pages: page - 2..<page + 2)
            #expect(try await group.nodes[1].end(SIGTERM) == 0)
            try await node.start()
            try await eventually("it is told") {
                try await !node.client.get("/").json(StatusAnswer.self).damaged.isEmpty
                    && node.error.contains("cannot be rebuilt now")
            }
            let answer = try await node.client.get("/blocks/1000")
            #expect(answer.status == 503 && answer.text.contains("block 1000 is damaged"))
            #expect(try await node.client.get("/blocks/\(Self.blocks)").status == 200)
            try await group.nodes[1].start()
            try await expectRebuilt(group, node)
        }
    }

    /// The root of the table of runs is lost: the database cannot even be opened.
    @Test(.timeLimit(.minutes(10))) func aKillWhileItIsRebuiltLeavesTheOldOrTheNewFile() async throws {
        try await withEqualNodes { group, node in
            let good = try Data(contentsOf: URL(fileURLWithPath: node.databasePath))
            try overwrite(node, pages: 1..<2)
            let damaged = try Data(contentsOf: URL(fileURLWithPath: node.databasePath))
            for round in 0..<12 {
                try node.launch()
                try await Task.sleep(for: .milliseconds(60 + 40 * round))
                node.signal(SIGKILL)
                _ = try await node.wait()
                let content = try Data(contentsOf: URL(fileURLWithPath: node.databasePath))
                let verified = try await runChaind(["verify", node.databasePath])
                #expect(content == damaged || verified.status == 0, "round \(round)")
                if verified.status == 0 {
                    let kept = try Data(contentsOf: URL(fileURLWithPath: node.databasePath + ".damaged"))
                    #expect(kept == damaged, "round \(round)")
                    break
                }
            }
            #expect(good != damaged)
            try await node.start(timeoutSeconds: 60)
            try await expectRebuilt(group, node)
        }
    }

    // MARK: chaind repair

    @Test(.timeLimit(.minutes(5))) func theCommandRepairsFromAMember() async throws {
        try await withEqualNodes { group, node in
            let url = group.address(of: 1)
            let unharmed = try await runChaind(["repair", node.databasePath, "--from", url])
            #expect(unharmed.status == 1 && unharmed.error.contains("nothing is damaged"), "\(unharmed.error)")

            // One damaged block.
            let database = RawDatabase(path: node.databasePath)
            var run = try #require(try database.runs().last)
            run.content[run.content.count - 1] ^= 1
            try database.update(run)
            let block = try await runChaind(["repair", node.databasePath, "--from", url])
            #expect(block.status == 0, "\(block.error)")
            #expect(block.output.contains("blocks 2000 to 2000 came from \(url)\n"), "\(block.output)")
            #expect(
                block.output.hasSuffix(
                    "rebuilt up to height 2000; the old file is kept as \(node.databasePath).damaged\n"))

            // A file that cannot be opened, from a member that does not answer and from one that does.
            try overwrite(node, pages: 1..<2)
            let damaged = try Data(contentsOf: URL(fileURLWithPath: node.databasePath))
            let silent = try await runChaind(["repair", node.databasePath, "--from", "http://127.0.0.1:1"])
            #expect(silent.status == 1 && silent.error.contains("nobody gives them"), "\(silent.error)")
            #expect(try Data(contentsOf: URL(fileURLWithPath: node.databasePath)) == damaged)
            let file = try await runChaind(["repair", node.databasePath, "--from", url])
            #expect(file.status == 0, "\(file.error)")
            #expect(file.output.contains("blocks 1 to 2000 came from \(url)\n"), "\(file.output)")
            #expect(try await runChaind(["verify", node.databasePath]).status == 0)

            // Not while a node runs on it, nor both ways at once.
            try await node.start()
            let inUse = try await runChaind(["repair", node.databasePath, "--from", url])
            #expect(inUse.status == 2 && inUse.error.contains("in use by process"), "\(inUse.error)")
            #expect(try await runChaind(["repair", node.databasePath, "--from", url, "--accept-head"]).status == 64)
            #expect(try await runChaind(["repair", node.databasePath, "--from", "no address"]).status == 1)
        }
    }
}
