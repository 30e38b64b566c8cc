// Clients that are slow, endless, in a hurry or gone, by raw connections to a real node.

import Foundation
import TestSupport
import Testing

@Suite struct ConnectionTests {
    private static let append = "POST /blocks/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    private static let tooLarge = #"{"detail":"data is limited to 1048576 bytes of UTF-8"}"#

    /// What a node answers until it ends the connection.
    private func answer(of connection: RawConnection) async throws -> String {
        String(decoding: try await connection.receiveToEnd(), as: UTF8.self)
    }

    private func height(of node: NodeProcess) async throws -> Int {
        try await node.client.get("/").json(StatusAnswer.self).height
    }

    @Test func aSlowBodyIsGivenUp() async throws {
        try await withNode(arguments: ["--body-timeout-seconds", "1"]) { node async throws in
            let start = ContinuousClock.now
            let connection = try RawConnection(port: node.port)
            try await connection.send(ConnectionTests.append + "Content-Length: 100\r\n\r\n{")
            let answer = try await answer(of: connection)
            #expect(answer.hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
            #expect(answer.hasSuffix(#"{"detail":"the body of the request took too long"}"#))
            #expect(.seconds(1)..<(.seconds(10)) ~= ContinuousClock.now - start)
        }
    }

    @Test func aBodyThatDripsIsGivenUpToo() async throws {
        try await withNode(arguments: ["--body-timeout-seconds", "3"]) { node async throws in
            let connection = try RawConnection(port: node.port)
            try await connection.send(ConnectionTests.append + "Content-Length: 1000\r\n\r\n")
            for _ in 0..<8 {
                try await connection.send(" ")
                try await Task.sleep(for: .milliseconds(100))
            }
            #expect(try await answer(of: connection).hasPrefix("HTTP/1.1 408 "))
        }
    }

    @Test(arguments: ["Content-Length: 10000000000", "Content-Length: 6295553"])
    func aBodyThatIsAnnouncedTooLargeIsRefusedAtOnce(field: String) async throws {
        try await withNode { node async throws in
            let connection = try RawConnection(port: node.port)
            try await connection.send(ConnectionTests.append + field + "\r\nExpect: 100-continue\r\n\r\n")
            let answer = try await answer(of: connection)
            #expect(answer.hasPrefix("HTTP/1.1 413 ") && answer.hasSuffix(ConnectionTests.tooLarge))
        }
    }

    @Test(arguments: ["POST /blocks/", "POST /blocks/batch", "GET /", "GET /nothing", "DELETE /blocks/"])
    func anEndlessBodyEndsTheConnection(request: String) async throws {
        try await withNode { node async throws in
            let connection = try RawConnection(port: node.port)
            try await connection.send("\(request) HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            let chunk = Array("10000\r\n".utf8) + [UInt8](repeating: 0x20, count: 65_536) + Array("\r\n".utf8)
            // Far more than the node reads after its answer; then the connection is gone, and sending fails.
            await #expect(throws: TestSupportError.self) {
                for _ in 0..<4_096 { try await connection.send(chunk) }
            }
            #expect(try await height(of: node) == 0)
        }
    }

    /// The client sends everything before it reads, as Python's do: the answer is still there.
    @Test func aBodyThatIsTooLargeIsAnsweredThoughItIsNotRead() async throws {
        try await withNode { node async throws in
            for _ in 0..<5 {
                let connection = try RawConnection(port: node.port)
                try await connection.send(ConnectionTests.append + "Content-Length: 20000000\r\n\r\n")
                try await connection.send([UInt8](repeating: 0x20, count: 20_000_000))
                let answer = try await answer(of: connection)
                #expect(answer.hasPrefix("HTTP/1.1 413 ") && answer.hasSuffix(ConnectionTests.tooLarge))
            }
        }
    }

    @Test func aClientThatWaitsBeforeItSendsIsToldToGoOn() async throws {
        try await withNode { node async throws in
            let connection = try RawConnection(port: node.port)
            try await connection.send(
                ConnectionTests.append + "Expect: 100-continue\r\nConnection: close\r\nContent-Length: 12\r\n\r\n")
            #expect(try await connection.receive() == Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
            try await connection.send(#"{"data":"x"}"#)
            #expect(try await answer(of: connection).hasPrefix("HTTP/1.1 200 OK\r\n"))
        }
    }

    @Test(arguments: [
        "Content-Length: 100\r\n\r\n{\"data\":\"x\"}", "Transfer-Encoding: chunked\r\n\r\nc\r\n{\"data\":\"x\"}\r\n",
        "Transfer-Encoding: chunked\r\n\r\nxyz\r\n{\"data\":\"x\"}\r\n0\r\n\r\n",
    ])
    func aBodyThatIsNotWholeAppendsNothing(rest: String) async throws {
        try await withNode { node async throws in
            let connection = try RawConnection(port: node.port)
            try await connection.send(ConnectionTests.append + rest)
            connection.finishSending()
            #expect(try await answer(of: connection).hasPrefix("HTTP/1.1 400 "))
            #expect(try await height(of: node) == 0)
        }
    }

    @Test(arguments: ["", "GET / HT", "GET / HTTP/1.1\r\nHost: localhost", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"])
    func anIdleConnectionIsClosed(request: String) async throws {
        try await withNode(arguments: ["--idle-timeout-seconds", "1"]) { node async throws in
            let connection = try RawConnection(port: node.port)
            try await connection.send(request)
            _ = try await answer(of: connection)
        }
    }

    @Test(arguments: [
        "not HTTP at all\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nLong: \(String(repeating: "x", count: 99_999))\r\n\r\n",
    ])
    func whatIsNoRequestIsRefused(request: String) async throws {
        try await withNode { node async throws in
            let connection = try RawConnection(port: node.port)
            try await connection.send(request)
            #expect(try await answer(of: connection).hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
        }
    }

    @Test func requestsInARowAreAnsweredInTheirOrder() async throws {
        try await withNode { node async throws in
            let connection = try RawConnection(port: node.port)
            let body = #"{"data":"x"}"#
            let append = ConnectionTests.append + "Content-Length: \(body.utf8.count)\r\n\r\n" + body
            try await connection.send(
                append + append + "GET /blocks/head HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            let answer = try await answer(of: connection)
            let heights = answer.matches(of: /"height":([0-9]+)/).map { String($0.1) }
            #expect(heights == ["1", "2", "2"])
        }
    }

    @Test func clientsThatLeaveAreForgotten() async throws {
        try await withNode { node async throws in
            try await append(megabytes: 12, to: node)
            _ = try await node.client.get("/blocks/valid")
            let before = try connections(of: node)
            let requests = [
                "GET /blocks/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
                "GET /blocks/valid HTTP/1.1\r\nHost: localhost\r\n\r\n",
                ConnectionTests.append + "Content-Length: 100000\r\n\r\n{\"data\":", "GET / HT",
            ]
            for _ in 0..<10 {
                for request in requests {
                    let connection = try RawConnection(port: node.port)
                    try await connection.send(request)
                }
            }
            try await expectConnections(of: node, atMost: before)
            #expect(try await node.client.get("/blocks/valid").json(ValidationAnswer.self).state == "valid")
        }
    }

    @Test func aClientThatDoesNotTakeItsAnswerIsCutOff() async throws {
        try await withNode(arguments: ["--idle-timeout-seconds", "1"]) { node async throws in
            try await append(megabytes: 16, to: node)
            let connection = try RawConnection(port: node.port)
            try await connection.send("GET /blocks/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(try await !connection.receive(limit: 1).isEmpty)
            #expect(try connections(of: node) > 0)
            try await expectConnections(of: node, atMost: 0)
            let received = try await connection.receiveToEnd()
            #expect(received.count < 16_000_000)
            #expect(!received.suffix(5).elementsEqual(Array("0\r\n\r\n".utf8)))
        }
    }

    @Test func bodiesUnderWayShareTheirMemory() async throws {
        let arguments = ["--data-size-bytes-max", "16777216", "--buffer-size-bytes-max", "134217728"]
        try await withNode(arguments: arguments) { node async throws in
            let head = ConnectionTests.append + "Content-Length: 80000000\r\n\r\n"
            let body = [UInt8](repeating: UInt8(ascii: "x"), count: 80_000_000)
            let first = try RawConnection(port: node.port)
            try await first.send(head)
            try await first.send(Array(body.dropLast()))
            let second = try RawConnection(port: node.port)
            try await second.send(head)
            try await second.send(body)
            let refused = try await answer(of: second)
            #expect(refused.hasPrefix("HTTP/1.1 503 ") && refused.contains("\r\nRetry-After: 1\r\n"))

            // It is no JSON, but it was read, and what it took is there again.
            try await first.send("x")
            for connection in [first, try RawConnection(port: node.port)] {
                if connection !== first {
                    try await connection.send(head)
                    try await connection.send(body)
                }
                let answer = String(decoding: try await connection.receive(), as: UTF8.self)
                #expect(answer.hasPrefix("HTTP/1.1 422 "))
            }
        }
    }

    @Test func moreClientsThanAllowedWait() async throws {
        try await withTemporaryDirectory { directory async throws in
            let node = try NodeProcess(
                directory: directory.path, arguments: ["--connections-max", "2", "--idle-timeout-seconds", "1"])
            defer { node.stop() }
            try await node.start()
            let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            // The node ends the idle ones, and then takes those that wait.
            let connections = try (0..<6).map { _ in try RawConnection(port: node.port) }
            for connection in connections.suffix(3) { try await connection.send(request) }
            for connection in connections.suffix(3) {
                #expect(try await answer(of: connection).hasPrefix("HTTP/1.1 200 OK\r\n"))
            }
        }
    }

    private func append(megabytes: Int, to node: NodeProcess) async throws {
        for _ in 0..<megabytes {
            let texts = Array(repeating: String(repeating: "x", count: 10_000), count: 100)
            #expect(try await node.client.post("/blocks/batch", ["data": texts]).status == 200)
        }
    }

    /// The connections that the node holds: those that are established, and those that only the client has closed.
    private func connections(of node: NodeProcess) throws -> Int {
        let file = try #require(FileHandle(forReadingAtPath: "/proc/net/tcp"))
        defer { file.closeFile() }
        let table = String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self)
        let address = "0100007F:" + String(node.port, radix: 16, uppercase: true)
        return table.split(separator: "\n").count { line in
            let columns = line.split(separator: " ")
            return columns.count > 3 && columns[1] == address && ["01", "08"].contains(columns[3])
        }
    }

    /// Waits until the node has closed the connections of clients that are gone.
    private func expectConnections(of node: NodeProcess, atMost limit: Int) async throws {
        var open = try connections(of: node)
        for _ in 0..<1_000 where open > limit {
            try await Task.sleep(for: .milliseconds(10))
            open = try connections(of: node)
        }
        #expect(open <= limit)
    }
}
