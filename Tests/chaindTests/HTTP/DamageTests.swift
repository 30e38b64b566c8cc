// What a node answers where its file is damaged.

import Chain
import TestSupport
import Testing

@Suite struct DamageTests {
    /// Runs a body with a node on a list of 3,000 blocks of a kilobyte, of which one is damaged.
    private func withDamagedNode<Result>(
        height: Int, _ body: (NodeProcess) async throws -> sending Result
    ) async throws -> sending Result {
        try await withTemporaryDirectory { directory in
            let path = directory.path("chain.db")
            let list = try await BlockList.open(path: path) { 1_800_000_000 }
            let text = String(repeating: "x", count: 1_000)
            for _ in 0..<3 {
                let drafts = Array(repeating: Draft(data: text), count: 1_000)
                _ = try await list.append(AppendRequest(drafts: drafts))
            }
            try await list.close()

            let database = RawDatabase(path: path)
            var run = try #require(try database.runs().last { $0.position <= height })
            // The data of the runs stands after 44 bytes a block.
            run.content[44 * Int(run.blocks) + 1_000 * (height - Int(run.position)) + 5] ^= 1
            try database.update(run)

            let node = try NodeProcess(directory: directory.path, dataDirectory: directory.path)
            defer { node.stop() }
            try await node.start()
            return try await body(node)
        }
    }

    @Test func aDamagedBlockIsNeverServed() async throws {
        try await withDamagedNode(height: 2_900) { node async throws in
            let damaged = #"{"detail":"block 2900 is damaged"}"#
            for path in ["/blocks/2900", "/blocks/?from=2890&limit=20", "/blocks/?from=2900&limit=1"] {
                let answer = try await node.client.get(path)
                #expect(answer.status == 503 && answer.text == damaged, "\(path)")
            }
            #expect(try await node.client.get("/blocks/2899").status == 200)
            #expect(try await node.client.get("/blocks/2901").status == 200)
            #expect(try await node.client.get("/blocks/?from=2890&limit=10").status == 200)

            let report = try await node.client.get("/blocks/valid").json(ValidationAnswer.self)
            #expect(report.state == "invalid" && report.fault?.height == 2_900 && report.fault?.kind == "hash")
            #expect(try await node.client.get("/").json(StatusAnswer.self).damaged == [2_900])
            #expect(try await node.client.post("/blocks/", ["data": "on"]).status == 200)
        }
    }

    /// 2.8 MB come before the damage, more than is held back: the answer has begun, and ends without its end.
    @Test func anAnswerThatHasBegunIsCut() async throws {
        try await withDamagedNode(height: 2_900) { node async throws in
            let connection = try RawConnection(port: node.port)
            try await connection.send("GET /blocks/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            let received = String(decoding: try await connection.receiveToEnd(), as: UTF8.self)
            #expect(received.hasPrefix("HTTP/1.1 200 OK\r\n") && received.contains("\"height\":2000,"))
            #expect(!received.hasSuffix("0\r\n\r\n"))
            #expect(!received.contains("\"height\":2900,"))
            await #expect(throws: (any Error).self, "An ordinary client notices.") {
                _ = try await node.client.get("/blocks/")
            }
        }
    }

    @Test func nothingFollowsADamagedHead() async throws {
        try await withDamagedNode(height: 3_000) { node async throws in
            let append = try await node.client.post("/blocks/", ["data": "x"])
            #expect(append.status == 503 && append.text == #"{"detail":"block 3000 is damaged"}"#)
            #expect(append.fields["retry-after"] == "1")
            #expect(try await node.client.get("/blocks/head").status == 503)
            #expect(try await node.client.get("/blocks/2999").status == 200)
        }
    }
}
