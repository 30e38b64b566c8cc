// Every message between nodes, with random damage, thrown at a real node: it lives, and its list is as before.

import Chain
import Foundation
import NIOCore
import TestSupport
import Testing

@testable import chaind

@Suite(.serialized)
struct GroupDamageTests {
    private static let rounds = setting("CHAIND_TEST_DAMAGE_ROUNDS") ?? 60
    private static let seed = setting("CHAIND_TEST_SEED") ?? Int.random(in: 0..<1_000_000_000)

    private static func setting(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }

    /// A message as a node sends it.
    private struct Message {
        let method: String
        let path: String
        let contentType: String
        let body: [UInt8]

        /// The whole request, after which the connection is closed.
        var bytes: [UInt8] {
            Array(
                "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nConnection: close\r\n"
                    .utf8)
                + Array("Content-Type: \(contentType)\r\nContent-Length: \(body.count)\r\n\r\n".utf8) + body
        }
    }

    /// Each kind of message, from the examples of the protocol's description, and a stream of a shorter list.
    private static func messages() throws -> [Message] {
        let document = try ProtocolDocument()
        let posts = try ["status", "locate", "leave"].map { name in
            let example = try #require(try document.examples(under: "POST /sync/\(name)").first)
            return Message(
                method: "POST", path: "/sync/\(name)", contentType: "application/json", body: Array(example.utf8))
        }
        let genesis = Block.genesis.hash
        return posts + [
            Message(method: "GET", path: "/", contentType: "application/json", body: []),
            Message(
                method: "GET", path: "/sync/stream?after=0&hash=\(genesis)", contentType: "application/json", body: []),
            Message(
                method: "POST", path: "/sync/stream", contentType: "application/octet-stream",
                body: StreamSample(seed: 7, blocks: 10, runBlocksMax: 4).bytes),
        ]
    }

    /// Flips, cuts, doubles and makes up bytes, a few times.
    private static func damage(_ bytes: [UInt8], using random: inout SeededGenerator) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
            let index = Int.random(in: 0..<bytes.count, using: &random)
            let end = min(bytes.count, index + Int.random(in: 1...60, using: &random))
            switch Int.random(in: 0..<5, using: &random) {
            case 0: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes.removeSubrange(index..<end)
            case 2: bytes.removeSubrange(index...)
            case 3: bytes.insert(contentsOf: bytes[index..<end], at: index)
            default: for place in index..<end { bytes[place] = UInt8.random(in: 0...255, using: &random) }
            }
        }
        return bytes
    }

    @Test(.timeLimit(.minutes(20))) func damagedMessagesAreHarmless() async throws {
        var random = SeededGenerator(seed: UInt64(Self.seed))
        let messages = try Self.messages()
        try await withNode { node in
            for index in 0..<30 { try await node.append("text \(index)") }
            let before = try await node.wholeList()
            let start = node.processID
            for round in 0..<Self.rounds {
                for message in messages {
                    // In the body, whose length is right, or anywhere in the request.
                    let request =
                        Bool.random(using: &random)
                        ? Self.damage(message.bytes, using: &random)
                        : Message(
                            method: message.method, path: message.path, contentType: message.contentType,
                            body: Self.damage(message.body, using: &random)
                        ).bytes
                    try await Self.throwAt(node, request)
                }
                if round % 10 == 9 {
                    #expect(try await node.client.get("/").status == 200, "seed \(Self.seed), round \(round)")
                }
            }
            #expect(node.processID == start)
            // Who forges a final height wins by it; members trust each other to be honest. Nothing is lost even so.
            let after = try await node.wholeList()
            let own = Set(before.map(\.identity))
            #expect(own.isSubset(of: after.map(\.identity)), "seed \(Self.seed)")
            #expect(
                after == before || Self.isOfSample(after.filter { !own.contains($0.identity) }), "seed \(Self.seed)")
            #expect(try await node.client.get("/blocks/valid").json(ValidationAnswer.self).state == "valid")
            try await node.append("it goes on")
            #expect(try await node.end(SIGTERM) == 0)
        }
    }

    private static func isOfSample(_ blocks: [BlockAnswer]) -> Bool {
        let texts = Set(StreamSample(seed: 7, blocks: 10, runBlocksMax: 4).blocks.map(\.data))
        return blocks.allSatisfy { texts.contains($0.data) }
    }

    /// Sends bytes and closes; whether there is an answer does not matter.
    private static func throwAt(_ node: NodeProcess, _ bytes: [UInt8]) async throws {
        let connection = try RawConnection(port: node.port, timeoutSeconds: 10)
        do {
            try await connection.send(bytes)
            connection.finishSending()
            _ = try await connection.receiveToEnd()
        } catch is TestSupportError {
            // Refused before all was sent.
        }
    }
}
