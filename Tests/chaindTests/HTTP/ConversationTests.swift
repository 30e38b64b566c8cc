// A conversation with every route of a real node, as the original's clients have it: with and without the slash at the
// end, by the names of the original's fields.

import Chain
import Foundation
import TestSupport
import Testing

@Suite struct ConversationTests {
    private static let genesis =
        #"{"height":0,"timestamp":1687716840,"data":"Genesis Block","#
        + #""previous_hash":"0000000000000000000000000000000000000000000000000000000000000000","#
        + #""hash":"89b5c2eadcfcdbc2661cab5212f78e701af68a8f4881a6272ad5429964fb14f4"}"#

    @Test(arguments: ["", "/"])
    func everyRouteAnswers(slash: String) async throws {
        try await withNode { node async throws in
            let client = node.client
            let genesis = ConversationTests.genesis

            let root = try await client.get("/")
            let status = try root.json(StatusAnswer.self)
            #expect(root.status == 200 && root.fields["content-type"] == "application/json")
            #expect(status.health && status.height == 0 && status.version == "0.1.0" && status.damaged == [])
            #expect(UUID(uuidString: status.nodeID) != nil)
            #expect(root.text.contains("\"head_hash\":\"89b5c2ea"))

            #expect(try await client.get("/blocks\(slash)").text == "{\"blocks\":[\(genesis)]}")
            for name in ["head", "0", "000", Block.genesis.hash.hex, Block.genesis.hash.hex.uppercased()] {
                let answer = try await client.get("/blocks/\(name)\(slash)")
                #expect(answer.status == 200 && answer.text == genesis)
            }

            let first = try await client.post("/blocks\(slash)", ["data": "hello"])
            let appended = try first.json(BlocksAnswer.self).blocks
            #expect(first.status == 200 && appended.map(\.data) == ["hello"] && appended.map(\.height) == [1])
            #expect(appended[0].previousHash == Block.genesis.hash.hex)
            let hash = appended[0].hash

            let batch = try await client.send(
                "POST", "/blocks/batch\(slash)", body: Array("{\"data\":[\"a\",\"\"],\"last_hash\":\"\(hash)\"}".utf8))
            let blocks = try batch.json(BlocksAnswer.self).blocks
            #expect(batch.status == 200 && blocks.map(\.data) == ["a", ""] && blocks.map(\.height) == [2, 3])
            #expect(blocks[0].previousHash == hash && blocks[1].previousHash == blocks[0].hash)

            #expect(try await client.get("/blocks/head\(slash)").json(BlockAnswer.self) == blocks[1])
            #expect(try await client.get("/blocks/\(blocks[0].hash)\(slash)").json(BlockAnswer.self) == blocks[0])
            #expect(
                try await client.get("/blocks\(slash)").json(BlocksAnswer.self).blocks.map(\.height) == [0, 1, 2, 3])

            let valid = try await client.get("/blocks/valid\(slash)")
            let report = try valid.json(ValidationAnswer.self)
            #expect(valid.status == 200 && report.state == "valid" && report.height == 3 && report.blocks == 4)
            #expect(valid.text.hasSuffix(",\"fault\":null}"))
            #expect(try await client.get("/").json(StatusAnswer.self).height == 3)
        }
    }

    @Test func pagesHoldWhatTheyAreAskedFor() async throws {
        try await withNode { node async throws in
            let texts = (1...600).map { "text \($0)" }
            #expect(try await node.client.post("/blocks/batch", ["data": texts]).status == 200)
            func heights(_ query: String) async throws -> [Int] {
                try await node.client.get("/blocks/?\(query)").json(BlocksAnswer.self).blocks.map(\.height)
            }
            #expect(try await heights("") == Array(0...600))
            #expect(try await heights("limit=3") == [0, 1, 2])
            #expect(try await heights("from=598") == [598, 599, 600])
            #expect(try await heights("from=250&limit=20") == Array(250..<270))
            #expect(try await heights("from=600&limit=9223372036854775807") == [600])
            #expect(try await heights("from=601") == [])
            #expect(try await heights("from=9223372036854775807&limit=1") == [])
            #expect(try await heights("from=3&limit=0") == [])
            #expect(try await heights("since=0&limit=2") == [0, 1])
            #expect(try await heights("since=1687716841&limit=2") == [1, 2])
            #expect(try await heights("since=9223372036854775807") == [])
            #expect(try await heights("limit=9&limit=1&unknown=x") == [0])
        }
    }

    /// More than is held back until it is whole: sent in pieces, and each follows the one before.
    @Test func aLongListComesWhole() async throws {
        try await withNode { node async throws in
            for batch in 0..<5 {
                let texts = (0..<1_000).map { "\(batch * 1_000 + $0) " + String(repeating: "x", count: 1_000) }
                #expect(try await node.client.post("/blocks/batch", ["data": texts]).status == 200)
            }
            let answer = try await node.client.get("/blocks/")
            let blocks = try answer.json(BlocksAnswer.self).blocks
            #expect(answer.fields["transfer-encoding"] == "chunked")
            #expect(blocks.map(\.height) == Array(0...5_000))
            #expect(zip(blocks, blocks.dropFirst()).allSatisfy { $0.hash == $1.previousHash })
            #expect(blocks[4_321].data.hasPrefix("4320 x"))
        }
    }

    @Test func anyTextComesBackTheSame() async throws {
        try await withNode { node async throws in
            let texts = [
                "", "\0", "a\0b\u{1}\u{1f}\u{7f}", "\"\\/\n\r\t", "olá, 世界 🌍", "e\u{301}é",
                "\u{feff}\u{fffe}\u{10ffff}",
                "\u{2028}\u{2029}", String(repeating: "\0", count: 1 << 20),
            ]
            for (index, text) in texts.enumerated() {
                let answer = try await node.client.post("/blocks/", ["data": text])
                #expect(answer.status == 200)
                let block = try await node.client.get("/blocks/\(index + 1)").json(BlockAnswer.self)
                #expect(Array(block.data.utf8) == Array(text.utf8))
            }
            #expect(try await node.client.get("/blocks/valid").json(ValidationAnswer.self).state == "valid")
        }
    }

    @Test func aWrongLastHashIsAnsweredWithTheHead() async throws {
        try await withNode { node async throws in
            let wrong = String(repeating: "a", count: 64)
            for path in ["/blocks/", "/blocks/batch"] {
                let data = path == "/blocks/" ? "\"x\"" : "[\"x\"]"
                let answer = try await node.client.send(
                    "POST", path, body: Array("{\"data\":\(data),\"last_hash\":\"\(wrong)\"}".utf8))
                #expect(answer.status == 400)
                #expect(answer.text == "{\"detail\":\"Invalid last hash\",\"head\":\(ConversationTests.genesis)}")
            }
            #expect(try await node.client.get("/").json(StatusAnswer.self).height == 0)
        }
    }

    @Test func aRetryWithItsKeyIsAnsweredWithTheSameBlocks() async throws {
        try await withNode { node async throws in
            let fields = ["Idempotency-Key": "key 1"]
            let first = try await node.client.post("/blocks/", ["data": "x"], fields: fields)
            let retry = try await node.client.post("/blocks/", ["data": "x"], fields: fields)
            #expect(first.status == 200 && retry.status == 200 && retry.text == first.text)
            #expect(try await node.client.post("/blocks/", ["data": "y"], fields: fields).status == 409)
            #expect(try await node.client.post("/blocks/batch", ["data": ["x"]], fields: fields).status == 409)

            try await node.end(SIGKILL)
            try await node.start()
            let later = try await node.client.post("/blocks/", ["data": "x"], fields: fields)
            #expect(later.status == 200 && later.text == first.text)
            #expect(try await node.client.get("/").json(StatusAnswer.self).height == 1)
        }
    }

    @Test func headAnswersWithoutABody() async throws {
        try await withNode { node async throws in
            for path in ["/", "/blocks/", "/blocks/0", "/blocks/head"] {
                let get = try await node.client.get(path)
                let head = try await node.client.send("HEAD", path)
                #expect(head.status == 200 && head.body.isEmpty)
                #expect(head.fields["content-length"] == get.fields["content-length"])
            }
            #expect(try await node.client.send("HEAD", "/blocks/9").status == 404)
        }
    }
}
