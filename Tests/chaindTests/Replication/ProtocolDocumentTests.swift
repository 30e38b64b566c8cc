// The examples of docs/protocol.md are what the code sends and takes, byte by byte.

import Chain
import NIOCore
import Testing

@testable import chaind

@Suite struct ProtocolDocumentTests {
    private let document: ProtocolDocument
    private static let nodeID = "3f0c8a52-6d1e-4b7f-9a64-1f2e3d4c5b6a"

    init() throws {
        document = try ProtocolDocument()
    }

    private func expectExample<Message: Codable & Equatable>(
        _ index: Int = 0, under title: String, is message: Message
    ) throws {
        let examples = try document.examples(under: title)
        let example = try #require(examples.indices.contains(index) ? examples[index] : nil)
        #expect(String(buffer: try MessageCoding.encode(message)) == example)
        #expect(try MessageCoding.decode(Message.self, from: ByteBuffer(string: example)) == message)
    }

    @Test func theStreamIsTheExample() throws {
        let bytes = try document.bytes(under: "The block stream")
        #expect(bytes.count == 170)
        #expect(bytes == StreamSample.hello.bytes)
        let decoded = DecodedStream(bytes)
        #expect(decoded.error == nil && decoded.isAtEnd && decoded.parts == StreamSample.hello.parts)
    }

    @Test func theMessagesAreTheExamples() throws {
        let address = try MemberAddress("http://localhost:8000")
        let nodeID = ProtocolDocumentTests.nodeID
        try expectExample(
            under: "POST /sync/status",
            is: StatusMessage(
                address: address, nodeID: nodeID, timeSeconds: 1_700_000_000, head: Block.hello.point, finalHeight: 0,
                settledHeight: 0,
                members: [
                    MembershipEntry(address: address, counter: 1, isIn: true),
                    MembershipEntry(address: try MemberAddress("http://localhost:8001"), counter: 4, isIn: false),
                ]))
        try expectExample(
            under: "POST /sync/locate", is: LocateRequest(points: [Block.genesis.point, Block.hello.point]))
        try expectExample(1, under: "POST /sync/locate", is: LocateAnswer(list: Block.genesis.point, staged: nil))
        try expectExample(
            under: "POST /sync/stream", is: PushAnswer(outcome: .adopted, head: Block.hello.point, detail: ""))
        try expectExample(under: "POST /sync/leave", is: LeaveMessage(address: address, nodeID: nodeID))
    }

    @Test func theHealthAnswerIsTheExample() throws {
        let example = try #require(try document.examples(under: "GET /").first)
        #expect(
            try MessageCoding.decode(HealthMessage.self, from: ByteBuffer(string: example))
                == HealthMessage(nodeID: ProtocolDocumentTests.nodeID, head: Block.hello.point))
    }
}
