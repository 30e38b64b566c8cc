// What a node logs, in which form, and how what was logged about a request is found.

import Foundation
import Glibc
import Logging
import TestSupport
import Testing

@testable import chaind

@Suite struct LogTests {
    private struct Line: Decodable {
        let time, level, message: String
        let route, method, requestID: String?
        let status: Int?
        let seconds: Double?

        enum CodingKeys: String, CodingKey {
            case time, level, message, route, method, status, seconds
            case requestID = "request_id"
        }
    }

    private static func lines(of node: NodeProcess) throws -> [Line] {
        try node.error.split(separator: "\n").map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
    }

    @Test func aLineIsAnObject() throws {
        var handler = JSONLogHandler(metadataProvider: Logger.MetadataProvider { ["given": "\(7)", "own": "less"] })
        handler[metadataKey: "own"] = "least"
        let event = LogEvent(
            level: .notice, message: "two\nlines",
            metadata: [
                "own": "\"most\"", "level": "odd", "number": .stringConvertible(-3), "part": .stringConvertible(0.5),
                "none": .stringConvertible(Double.nan), "list": ["a", .stringConvertible(1)], "map": ["b": "ü\u{1}"],
            ], source: nil, file: "f", function: "g", line: 1)
        let line = String(buffer: handler.line(event, at: timespec(tv_sec: 1_700_000_000, tv_nsec: 7_999_999)))
        #expect(
            line == #"{"time":"2023-11-14T22:13:20.007Z","level":"notice","message":"two\nlines","given":"7","#
                + #""metadata.level":"odd","list":["a",1],"map":{"b":"ü\u0001"},"none":"nan","number":-3,"#
                + #""own":"\"most\"","part":0.5}"# + "\n")
    }

    @Test func everyAnswerHasALineWithoutWhatTheClientSent() async throws {
        try await withNode(arguments: ["--log-level", "debug", "--log-format", "json"]) { node async throws in
            let ids = ["X-Request-Id": "from-the-client/1"]
            let appended = try await node.client.post("/blocks/", ["data": "private"], fields: ids)
            #expect(appended.fields["x-request-id"] == "from-the-client/1")
            let page = try await node.client.get("/blocks/?since=1234567")
            let head = try await node.client.get("/blocks/head")
            let batch = try await node.client.send(
                "POST", "/blocks/batch", fields: ["Content-Type": "application/json"],
                body: Array(#"{"data": ["private"], "last_hash": "private"}"#.utf8))
            let unknown = try await node.client.send("PATCH", "/private")
            let all = try Self.lines(of: node)
            let answered = all.filter { $0.message == "answered" }
            func expect(_ answer: HTTPAnswer, _ method: String, _ route: String, _ status: Int) throws {
                let id = try #require(answer.fields["x-request-id"])
                let lines = answered.filter { $0.requestID == id }
                let line = try #require(lines.first)
                #expect(lines.count == 1 && line.level == "debug" && line.method == method && line.route == route)
                #expect(answer.status == status && line.status == status && line.seconds ?? -1 >= 0)
            }
            try expect(appended, "POST", "/blocks/", 200)
            try expect(page, "GET", "/blocks/", 200)
            try expect(head, "GET", "/blocks/head", 200)
            try expect(batch, "POST", "/blocks/batch", 422)
            try expect(unknown, "PATCH", "none", 404)
            #expect(!node.error.lowercased().contains("private") && !node.error.contains("1234567"))
            #expect(all.contains { $0.message == "listening" && $0.level == "notice" })
            for line in all { #expect(line.time.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/) != nil) }
        }
    }

    @Test func anIdIsGivenBackOrMadeUp() async throws {
        try await withNode { node async throws in
            func id(_ path: String, _ sent: String? = nil) async throws -> String? {
                let fields = sent.map { ["X-Request-Id": $0] } ?? [:]
                return try await node.client.send("GET", path, fields: fields).fields["x-request-id"]
            }
            let longest = String(repeating: "~", count: 128)
            for path in ["/", "/blocks/head", "/blocks/0", "/blocks/77", "/blocks/"] {
                for sent in ["1", longest] { #expect(try await id(path, sent) == sent, "\(path)") }
                for sent in [longest + "~", "two words"] { #expect(try await id(path, sent) != sent, "\(path)") }
            }
            // Nothing is logged about these, and nothing is wrong.
            for path in ["/blocks/head", "/blocks/0"] { #expect(try await id(path) == nil, "\(path)") }
            let made = [try await id("/"), try await id("/blocks/77"), try await id("/nowhere"), try await id("/")]
            #expect(Set(made.compactMap(\.self)).count == 4)
            #expect(node.error == "")
        }
    }

    @Test func whatFailedNamesTheRequest() async throws {
        try await withTemporaryDirectory { directory in
            let node = try NodeProcess(directory: directory.path, arguments: ["--log-level", "info"])
            defer { node.stop() }
            try await node.start()
            _ = try await node.client.post("/blocks/batch", ["data": ["one", "two", "three"]])
            try await node.end(SIGTERM)
            try RawDatabase(path: node.databasePath).damage("two")
            try await node.start()
            for (path, route) in [("/blocks/2", "/blocks/{block}"), ("/blocks/?from=1", "/blocks/")] {
                let answer = try await node.client.get(path)
                #expect(answer.status == 503)
                let id = try #require(answer.fields["x-request-id"])
                let lines = node.error.split(separator: "\n").filter { $0.contains("request_id=\(id)") }
                #expect(lines.contains { $0.contains(" error ") && $0.hasSuffix("read failed") }, "\(path)")
                #expect(lines.contains { $0.contains(" info ") && $0.contains("route=\(route) ") }, "\(path)")
            }
        }
    }
}
