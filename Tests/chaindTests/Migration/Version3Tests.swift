// What 0.1.0 wrote and said, kept as it is: every later program opens its files, and understands its members.

import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct Version3Tests {
    // How it was made: a hundred texts were appended on the first of two nodes whose clocks began at 1,700,000,000, and five
    // on the second. They were joined with --merge, so that the five gave way and were appended again. Then the second one took
    // one text and a batch of 30 more, each with a key, as the first of the five had one. It is the second one's file.
    private static let database = "version_3.db"
    private static let height = 136
    /// As that program answered it; all hashes before it follow from it.
    private static let headHash = "b79c486b9d27ba41954a65b44e134c2646fa261a51b8645abd59fe81200f989a"
    private static let clockSeconds = 1_700_000_006 + 3_600
    private static let movedHash = "ccb89372d18bbf36b06f7513f57fda4a4c43927bdd1dcfe190c40f3a4bd67501"
    private static let moved = 101...105
    private static let batch = 107...136

    @Test func verifyReadsItAsItIs() async throws {
        try await KeptFile.checkVerify(Self.database, version: 3, height: Self.height)
    }

    @Test func aNodeGoesOnWithItWithEveryBlockKeyAndOrphan() async throws {
        try await KeptFile.withNode(on: Self.database, clockSeconds: Self.clockSeconds) { node async throws in
            let list = try await node.wholeList()
            #expect(list.last?.hash == Self.headHash)
            #expect(list[Self.moved].map(\.data) == (1...5).map { "gave way \($0)" })
            #expect(list.indices.filter { list[$0].origin != nil } == Array(Self.moved))
            #expect(list[Self.batch].map(\.data) == (1...30).map { "once \($0)" })
            try GroupLedger.checkHashes(list)

            // What was acknowledged is found by its old hash, and a retry is answered with where it stands now.
            let orphan = try await node.client.get("/blocks/\(Self.movedHash)")
            #expect(orphan.status == 404 && orphan.text.contains(#""state":"moved","height":101"#))
            func retry(_ path: String, _ content: some Encodable, key: String) async throws -> [BlockAnswer] {
                try await node.client.post(path, content, fields: ["Idempotency-Key": key])
                    .json(BlocksAnswer.self).blocks
            }
            #expect(try await retry("/blocks/", ["data": "gave way 1"], key: "moved") == [list[101]])
            #expect(try await retry("/blocks/", ["data": "once"], key: "single") == [list[106]])
            let texts = ["data": list[Self.batch].map(\.data)]
            #expect(try await retry("/blocks/batch", texts, key: "batch") == Array(list[Self.batch]))

            let next = try await node.append("of this version")
            #expect(next.height == Self.height + 1 && next.previousHash == Self.headHash)
            #expect(try await node.client.get("/blocks/valid").json(ValidationAnswer.self).state == "valid")
            #expect(try await node.end(SIGTERM) == 0)
            #expect(try await runChaind(["verify", node.databasePath]).status == 0)
        }
    }

    /// The file of the members, as the node left it beside that database.
    private static let syncFile = """
        {
          "addresses" : [
            "http://127.0.0.1:1",
            "http://127.0.0.1:2"
          ]
        }

        """

    @Test func theFileOfTheMembersIsUnderstood() async throws {
        try await withTemporaryDirectory { directory in
            try Data(Self.syncFile.utf8).write(to: URL(fileURLWithPath: directory.path("sync.json")))
            let node = try NodeProcess(directory: directory.path, arguments: ["--url", "http://127.0.0.1:2"])
            defer { node.stop() }
            try await node.start()
            let answer = try await node.client.get("/sync/").text
            #expect(answer.contains(#""sync_addresses":["http://127.0.0.1:1","http://127.0.0.1:2"]"#), "\(answer)")
            #expect(node.error == "")
        }
    }

    /// What a member sent, and what it was answered. Streams are in base64.
    private struct Exchange: Decodable {
        let method, path: String
        let body, body64, answer, answer64: String?
        let status: Int

        var bodyBytes: [UInt8]? {
            body.map { Array($0.utf8) } ?? body64.flatMap { Data(base64Encoded: $0) }.map(Array.init)
        }
    }

    /// The member is at port 1, and the node at port 2 has the database. The last stream has one block more.
    @Test func aMemberIsAnsweredAsItWas() async throws {
        let content = try Data(contentsOf: URL(fileURLWithPath: KeptFile.path("version_3_messages.json")))
        let exchanges = try JSONDecoder().decode([Exchange].self, from: content)
        #expect(
            exchanges.map { $0.path.prefix { $0 != "?" } } == [
                "/", "/sync/status", "/sync/locate", "/sync/stream", "/sync/stream", "/sync/leave",
            ])
        let arguments = ["--url", "http://127.0.0.1:2"]
        try await KeptFile.withNode(on: Self.database, clockSeconds: Self.clockSeconds, arguments: arguments) {
            node async throws in
            for exchange in exchanges {
                let type = exchange.body64 == nil ? "application/json" : "application/octet-stream"
                let answer = try await node.client.send(
                    exchange.method, exchange.path,
                    fields: exchange.body == nil && exchange.body64 == nil
                        ? ["Accept": "application/json"] : ["Content-Type": type],
                    body: exchange.bodyBytes)
                #expect(answer.status == exchange.status, "\(exchange.path)")
                if let stream = exchange.answer64.flatMap({ Data(base64Encoded: $0) }) {
                    #expect(answer.body == Array(stream), "\(exchange.path)")
                } else {
                    // There may be more fields. Those of the process and of the moment are others.
                    let then = try Self.fields(Data((exchange.answer ?? "").utf8))
                    let now = try Self.fields(Data(answer.body))
                    for (name, value) in then where !["node_id", "version", "time", "validated_height"].contains(name) {
                        #expect(now[name] == value, "\(exchange.path): \(name)")
                    }
                    #expect(Set(then.keys).isSubset(of: now.keys), "\(exchange.path)")
                }
            }
            let head = try await node.client.get("/blocks/head").json(BlockAnswer.self)
            #expect(head.height == Self.height + 1 && head.data == "of another member")
        }
    }

    private static func fields(_ json: Data) throws -> [String: NSObject] {
        try #require(try JSONSerialization.jsonObject(with: json) as? [String: NSObject])
    }
}
