// What those are told who listen to the list: each block once and in order, and what was replaced.

import Chain
import Foundation
import TestSupport
import Testing

@Suite struct EventTests {
    @Test(.timeLimit(.minutes(3))) func theHeadComesFirstAndThenEachBlock() async throws {
        try await withNode { node async throws in
            _ = try await node.client.post("/blocks/batch", ["data": ["one", "two"]])
            let listener = try await node.client.listen()
            #expect(try await listener.next()?.json(BlockAnswer.self).data == "two")
            var appended: [BlockAnswer] = []
            for text in ["three", "four \n\r\u{2028}", ""] {
                appended += try await node.client.post("/blocks/", ["data": text]).json(BlocksAnswer.self).blocks
            }
            let events = try await listener.next(3)
            #expect(try events.map { try $0.json(BlockAnswer.self) } == appended)
            #expect(events.map(\.event) == ["block", "block", "block"])
            #expect(events.map(\.id) == appended.map { "\($0.height)-\($0.hash)" })
        }
    }

    @Test(.timeLimit(.minutes(3))) func whoComesAgainMissesNothing() async throws {
        try await withNode { node async throws in
            _ = try await node.client.post("/blocks/batch", ["data": (1...3_000).map { "text \($0)" }])
            let all = try await node.client.listen("/blocks/events?from=0").next(3_001)
            #expect(try all.map { try $0.json(BlockAnswer.self).height } == Array(0...3_000))
            let last = try #require(all[1_234].id)
            let again = try await node.client.listen(fields: ["Last-Event-ID": last]).next(3_000 - 1_234)
            #expect(again == Array(all[1_235...]))
        }
    }

    @Test(.timeLimit(.minutes(3))) func manyWhoListenAreToldTheSame() async throws {
        let listeners = 20
        let blocks = 200
        try await withNode { node async throws in
            let client = node.client
            try await withThrowingTaskGroup(of: [ServerSentEvent].self) { group in
                for _ in 0..<listeners {
                    group.addTask { try await client.listen("/blocks/events?from=1").next(blocks) }
                }
                for index in 0..<blocks { _ = try await client.post("/blocks/", ["data": "text \(index)"]) }
                let list = try await client.get("/blocks/?from=1").json(BlocksAnswer.self).blocks
                for try await events in group {
                    #expect(try events.map { try $0.json(BlockAnswer.self) } == list)
                }
            }
        }
    }

    @Test(.timeLimit(.minutes(3))) func whoListensIsToldWhatWasReplaced() async throws {
        try await withNode { node async throws in
            _ = try await node.client.post("/blocks/batch", ["data": ["common", "ours 1", "ours 2"]])
            let ours = try await node.client.get("/blocks/").json(BlocksAnswer.self).blocks
            let listener = try await node.client.listen()
            #expect(try await listener.next()?.id == ours[3].eventID)

            try await Self.replace(after: ours[1], with: ["theirs 1", "theirs 2", "theirs 3", "theirs 4"], on: node)
            let common = try await listener.next()
            #expect(common?.event == "replaced")
            #expect(common?.id == ours[1].eventID)
            let list = try await node.client.get("/blocks/?from=2").json(BlocksAnswer.self).blocks
            #expect(try await listener.next(list.count).map { try $0.json(BlockAnswer.self) } == list)

            // Whoever has been away meanwhile is told the same.
            let again = try await node.client.listen(fields: ["Last-Event-ID": ours[3].eventID])
            let events = try await again.next(1 + list.count)
            #expect(events.first == common)
            #expect(try events.dropFirst().map { try $0.json(BlockAnswer.self) } == list)

            let neverHere = "7-\(String(repeating: "a", count: 64))"
            let other = try await node.client.listen(fields: ["Last-Event-ID": neverHere]).next(2)
            #expect(other.map(\.event) == ["replaced", "block"])
            #expect(other.first?.id == "0-\(Block.genesis.hash)")
            #expect(try other.last?.json(BlockAnswer.self).height == 1)
        }
    }

    @Test(.timeLimit(.minutes(3))) func whoDoesNotTakeTheEventsIsToldSo() async throws {
        try await withNode { node async throws in
            let connection = try RawConnection(port: node.port)
            try await connection.send("GET /blocks/events HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            #expect(String(decoding: try await connection.receive(), as: UTF8.self).contains("200 OK"))
            // More than fits into the buffers on the way, and then more blocks than one may be behind.
            let text = String(repeating: "a", count: 2_000)
            for _ in 0..<5 {
                let texts = Array(repeating: text, count: 4_000)
                #expect(try await node.client.post("/blocks/batch", ["data": texts]).status == 200)
            }
            let rest = String(decoding: try await connection.receiveToEnd(limit: 256 << 20), as: UTF8.self)
            let end = try #require(rest.range(of: "event: dropped\n"))
            #expect(rest[end.upperBound...].hasPrefix("data: {\"reason\":\"too slow: "))
            // What was sent goes on to one block, after which the next try begins.
            #expect(rest[..<end.lowerBound].contains("event: block\n"))
        }
    }

    @Test(.timeLimit(.minutes(3))) func aStopEndsTheStreamsAtOnce() async throws {
        try await withNode { node async throws in
            let listener = try await node.client.listen()
            _ = try await listener.next()
            let start = ContinuousClock.now
            node.signal(SIGTERM)
            let last = try await listener.next()
            #expect(last?.event == "dropped")
            #expect(last?.data == #"{"reason":"the node stops"}"#)
            #expect(try await node.wait() == 0)
            #expect(ContinuousClock.now - start < .seconds(10), "The time that a stop may take is 20 s.")
        }
    }

    @Test func badRequestsAreRefused() async throws {
        try await withNode(arguments: ["--listeners-max", "1"]) { node async throws in
            for id in ["1", "-1-\(Block.genesis.hash)", "1-abc", "x-\(Block.genesis.hash)", "99999999999999999999-0"] {
                let answer = try await node.client.get("/blocks/events", fields: ["Last-Event-ID": id])
                #expect(answer.status == 422)
                #expect(
                    answer.text
                        == #"{"detail":[{"loc":["header","last-event-id"],"msg":"value is not HEIGHT-HASH","type":"value_error"}]}"#
                )
            }
            #expect(try await node.client.get("/blocks/events?from=x").status == 422)
            #expect(try await node.client.send("POST", "/blocks/events").status == 405)
            let listener = try await node.client.listen()
            let refused = try await node.client.get("/blocks/events")
            #expect(refused.status == 503)
            #expect(refused.text == #"{"detail":"too many listen already: at most 1"}"#)
            #expect(try await listener.next()?.event == "block")
            #expect(node.error == "")
        }
    }

    /// Gives a node a longer list, which another node made.
    private static func replace(after block: BlockAnswer, with texts: [String], on node: NodeProcess) async throws {
        try await withNode { other async throws in
            let common = try await node.client.get("/blocks/?from=1&limit=\(block.height)")
            try await send(common, to: other)
            #expect(try await other.client.post("/blocks/batch", ["data": texts]).status == 200)
            try await send(try await other.client.get("/blocks/?from=\(block.height + 1)"), to: node)
        }
    }

    private static func send(_ page: HTTPAnswer, to node: NodeProcess) async throws {
        let answer = try await node.client.send(
            "POST", "/sync/blockchain", fields: ["Content-Type": "application/json"], body: page.body)
        #expect(answer.status == 200, "\(answer.text)")
    }
}

extension BlockAnswer {
    fileprivate var eventID: String { "\(height)-\(hash)" }
}
