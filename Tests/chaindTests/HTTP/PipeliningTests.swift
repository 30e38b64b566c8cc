// Requests that are sent without waiting for answers, some of which are answered on the event loop and some by Hummingbird.

import Foundation
import TestSupport
import Testing

@Suite struct PipeliningTests {
    /// Takes the short way.
    private static func append(_ text: String) -> String {
        let body = "{\"data\":\"\(text)\"}"
        return "POST /blocks/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    /// Takes the other one, because of its key.
    private static func appendWithKey(_ text: String) -> String {
        append(text).replacing("Host: localhost\r\n", with: "Host: localhost\r\nIdempotency-Key: \(text)\r\n")
    }

    private static func get(_ path: String, fields: String = "") -> String {
        "GET \(path) HTTP/1.1\r\nHost: localhost\r\n\(fields)\r\n"
    }

    /// The bodies of the answers, in their order.
    private func answers(to requests: String, in pieces: Int, port: Int) async throws -> [String] {
        let connection = try RawConnection(port: port)
        let bytes = Array(requests.utf8)
        let size = (bytes.count + pieces - 1) / pieces
        for start in stride(from: 0, to: bytes.count, by: size) {
            try await connection.send(Array(bytes[start..<min(bytes.count, start + size)]))
            if pieces > 1 { try await Task.sleep(for: .milliseconds(2)) }
        }
        connection.finishSending()
        let text = String(decoding: try await connection.receiveToEnd(), as: UTF8.self)
        return text.components(separatedBy: "HTTP/1.1 ").dropFirst().map { answer in
            answer.prefix(3) + " " + (answer.components(separatedBy: "\r\n\r\n").last ?? "")
        }
    }

    @Test(arguments: [1, 7, 40])
    func answersComeInTheOrderOfTheRequests(pieces: Int) async throws {
        try await withNode { node async throws in
            var requests = ""
            var expected: [String] = []
            for number in 1...30 {
                switch number % 3 {
                case 0: requests += Self.appendWithKey("text \(number)") + Self.get("/blocks/")
                case 1: requests += Self.append("text \(number)") + Self.get("/blocks/\(number)")
                default: requests += Self.append("text \(number)") + Self.get("/blocks/head/")
                }
                expected.append("text \(number)")
            }
            let found = try await answers(to: requests, in: pieces, port: node.port)
            #expect(found.count == 60)
            for (index, answer) in found.enumerated() {
                #expect(answer.hasPrefix("200 "))
                // Each one says what the requests before it did, and nothing of those after it.
                let number = index / 2 + 1
                #expect(answer.contains("\"text \(number)\"") && !answer.contains("\"text \(number + 1)\""))
            }
            let texts = try await node.client.get("/blocks/?from=1").json(BlocksAnswer.self).blocks.map(\.data)
            #expect(texts == expected)
        }
    }

    @Test func whatIsNoRequestIsAnsweredAfterWhatWasBefore() async throws {
        try await withNode { node async throws in
            let found = try await answers(to: Self.append("a") + "garbage\r\n\r\n", in: 1, port: node.port)
            #expect(found.map { $0.prefix(3) } == ["200", "400"])
            #expect(try await node.client.get("/").json(StatusAnswer.self).height == 1)
        }
    }

    @Test func aBodyThatDoesNotComeWholeAppendsNothing() async throws {
        try await withNode { node async throws in
            let whole = Self.append("whole")
            _ = try await answers(to: whole + String(Self.append("cut").dropLast(3)), in: 1, port: node.port)
            let texts = try await node.client.get("/blocks/?from=1").json(BlocksAnswer.self).blocks.map(\.data)
            #expect(texts == ["whole"])
        }
    }

    @Test func bothWaysAnswerAlike() async throws {
        try await withNode { node async throws in
            // Of plain requests that succeed, only those that name one are given an id.
            let id = ["X-Request-Id": "1"]
            // A field that a plain request has not sends it the other way.
            for path in ["/blocks/head", "/blocks/0", "/blocks/7", "/blocks/007/", "/blocks/999999999999999999"] {
                let short = try await node.client.send("GET", path, fields: id)
                let other = try await node.client.send(
                    "GET", path, fields: id.merging(["Connection": "keep-alive"]) { $1 })
                #expect(short.status == other.status && short.text == other.text)
                #expect(Set(short.fields.keys) == Set(other.fields.keys))
            }
            for body in [
                "{\"data\":1}", "{}", "[", "{\"data\":\"x\",\"last_hash\":\"\(String(repeating: "0", count: 64))\"}",
            ] {
                let short = try await node.client.send("POST", "/blocks/", body: Array(body.utf8))
                let other = try await node.client.send("POST", "/blocks/?", body: Array(body.utf8))
                #expect(short.status == other.status && short.text == other.text)
                #expect(Set(short.fields.keys) == Set(other.fields.keys))
            }
        }
    }
}
