// The JSON messages: round trips, and what is refused with the name of the field.

import Chain
import NIOCore
import Testing

@testable import chaind

@Suite struct MessageTests {
    private static let genesis = Block.genesis.hash.hex

    private func error<Message: Decodable>(_ type: Message.Type, _ json: String) -> String? {
        do throws(MessageError) {
            _ = try MessageCoding.decode(type, from: ByteBuffer(string: json))
            return nil
        } catch {
            return error.description
        }
    }

    private func expectRoundTrip<Message: Codable & Equatable>(_ message: Message) throws {
        #expect(try MessageCoding.decode(Message.self, from: MessageCoding.encode(message)) == message)
    }

    @Test func whatIsSentIsReceived() throws {
        let address = try MemberAddress("http://localhost:8000")
        let members = [
            MembershipEntry(address: address, counter: 1, isIn: true),
            MembershipEntry(address: try MemberAddress("https://node.example"), counter: 9, isIn: false),
        ]
        try expectRoundTrip(
            StatusMessage(
                address: address, nodeID: "id", timeSeconds: 1_700_000_000, head: Block.hello.point, finalHeight: 1,
                settledHeight: 0, members: members))
        try expectRoundTrip(LocateRequest(points: [Block.genesis.point, Block.hello.point]))
        try expectRoundTrip(LocateRequest(points: []))
        try expectRoundTrip(LocateAnswer(list: Block.hello.point, staged: nil))
        try expectRoundTrip(LocateAnswer(list: nil, staged: Block.hello.point, isBusy: true))
        for outcome in [PushAnswer.Outcome.adopted, .ours, .refused, .conflict, .unknown, .busy] {
            try expectRoundTrip(PushAnswer(outcome: outcome, head: Block.hello.point, detail: "height 1: \"hash\""))
        }
        try expectRoundTrip(LeaveMessage(address: address, nodeID: "id"))
    }

    @Test func theLargestStatusFitsIntoItsLimit() throws {
        let members = try (0..<MessageLimits.membersMax).map { number in
            let host =
                "\(number)." + Array(repeating: String(repeating: "a", count: 61), count: 4).joined(separator: ".")
            return MembershipEntry(
                address: try MemberAddress("https://" + host + ":65535"), counter: MessageLimits.counterMax, isIn: false
            )
        }
        let status = StatusMessage(
            address: members[0].address, nodeID: "id", timeSeconds: .max, head: Block.hello.point, finalHeight: 1,
            settledHeight: 1, members: members)
        #expect(try MessageCoding.encode(status).readableBytes < MessageLimits.statusSizeBytesMax)
        try expectRoundTrip(status)
    }

    @Test func aStatusBeyondTheLimitsIsRefused() throws {
        func json(_ changes: [String: String]) -> String {
            var fields = [
                "address": #""http://localhost:8000""#, "node_id": #""id""#, "time": "1700000000", "height": "0",
                "head_hash": "\"\(MessageTests.genesis)\"", "final_height": "0", "settled_height": "0",
                "members": "[]", "unknown": "[{}]",
            ]
            fields.merge(changes) { $1 }
            return "{\(fields.map { "\"\($0)\":\($1)" }.joined(separator: ","))}"
        }
        #expect(error(StatusMessage.self, json([:])) == nil)
        let entry = #"{"address":"http://localhost:1","counter":1,"in":true}"#
        let long = "\"http://\(String(repeating: "a", count: 2_042))\""
        let cases = [
            ("height", "-1", "height: not a height"),
            ("height", "1099511627776", "height: not a height"),
            ("height", "1.5", "height: not a whole number"),
            ("height", "\"1\"", "height: of another type"),
            ("height", "null", "height: null"),
            ("height", "1e400", "height: not a whole number"),
            ("height", "true", "height: of another type"),
            ("final_height", "-1", "final_height: not a height"),
            ("settled_height", "9223372036854775807", "settled_height: not a height"),
            ("time", "-1", "time: negative"),
            ("time", "1e30", "time: not a whole number"),
            ("head_hash", "\"\"", "head_hash: not 64 hexadecimal digits"),
            ("head_hash", "\"\(MessageTests.genesis)0\"", "head_hash: not 64 hexadecimal digits"),
            ("address", "\"\"", "address: "),
            ("address", "\"ftp://localhost\"", "address: "),
            ("address", long, "address: too long"),
            ("address", "7", "address: of another type"),
            ("node_id", "\"\"", "node_id: not 1 to 64 printable characters"),
            ("node_id", "\"\(String(repeating: "x", count: 65))\"", "node_id: not 1 to 64 printable characters"),
            ("node_id", #""a\nb""#, "node_id: not 1 to 64 printable characters"),
            ("members", "{}", "members: of another type"),
            ("members", "[\(entry),7]", "members[1]: of another type"),
            ("members", #"[\#(entry),{"address":"http://localhost:1","counter":1}]"#, "members[1].in: missing"),
            ("members", #"[{"address":"http://localhost:1","counter":-1,"in":true}]"#, "members"),
            ("members", #"[{"address":"http://localhost:1","counter":9007199254740993,"in":true}]"#, "members"),
            ("members", #"[{"address":\#(long),"counter":1,"in":true}]"#, "members"),
            ("members", "[\(Array(repeating: entry, count: 1_025).joined(separator: ","))]", "members: more than 1024"),
        ]
        for (field, value, reason) in cases {
            let found = error(StatusMessage.self, json([field: value])) ?? "nothing"
            #expect(found.hasPrefix(reason), "\(field) \(value.prefix(80))")
            #expect(!found.contains("\n") && found.count <= 300)
        }
    }

    @Test func fieldsThatAreMissingAreNamed() {
        for field in ["health", "node_id", "height", "head_hash"] {
            let fields = [
                "health": "true", "node_id": "\"id\"", "height": "0", "head_hash": "\"\(MessageTests.genesis)\"",
            ].filter { $0.key != field }
            let json = "{\(fields.map { "\"\($0)\":\($1)" }.joined(separator: ","))}"
            #expect(error(HealthMessage.self, json) == "\(field): missing")
        }
    }

    @Test(arguments: [
        (#"{"health":false,"node_id":"a","height":0,"head_hash":"x"}"#, "health: not true"),
        (#"{"health":1,"node_id":"a","height":0,"head_hash":"x"}"#, "health: of another type"),
        ("{}", "health: missing"), ("[]", "of another type"), ("7", "of another type"), ("null", ""), ("", ""),
        ("<html>", ""), ("{", ""), ("{\"health\":true", ""), ("\u{0}", ""),
    ])
    func anythingElseIsNoHealthAnswer(json: String, reason: String) {
        #expect(error(HealthMessage.self, json)?.hasPrefix(reason) == true)
    }

    @Test func pointsAreFewAndAscend() {
        func points(_ heights: [Int]) -> String {
            let points = heights.map { #"{"height":\#($0),"hash":"\#(MessageTests.genesis)"}"# }
            return "{\"points\":[\(points.joined(separator: ","))]}"
        }
        #expect(error(LocateRequest.self, points(Array(0..<64))) == nil)
        #expect(error(LocateRequest.self, points(Array(0..<65))) == "points: more than 64 points")
        #expect(error(LocateRequest.self, points([1, 1])) == "points: not ascending")
        #expect(error(LocateRequest.self, points([2, 1])) == "points: not ascending")
        #expect(error(LocateRequest.self, points([0, -1])) == "points[1].height: not a height")
        #expect(
            error(LocateRequest.self, #"{"points":[{"height":0,"hash":"0"}]}"#)
                == "points[0].hash: not 64 hexadecimal digits")
    }

    @Test func anUnknownOutcomeIsRefused() {
        let json = #"{"outcome":"maybe","height":0,"head_hash":"\#(MessageTests.genesis)","detail":""}"#
        #expect(error(PushAnswer.self, json)?.hasPrefix("outcome: ") == true)
    }

    @Test func whatAMemberSaysIsKeptAsOneShortLine() throws {
        let detail = "first\\nsecond\\u0000" + String(repeating: "x", count: 1_000)
        let json = #"{"outcome":"ours","height":0,"head_hash":"\#(MessageTests.genesis)","detail":"\#(detail)"}"#
        let answer = try MessageCoding.decode(PushAnswer.self, from: ByteBuffer(string: json))
        #expect(answer.detail.hasPrefix("first second x") && answer.detail.count == 300)
    }
}
