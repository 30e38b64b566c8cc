// What is refused whoever asks: other names, pages of other origins, too much from one address, and what does not get on.

import Foundation
import NIOCore
import TestSupport
import Testing

@testable import chaind

@Suite struct GateTests {
    // MARK: Names

    @Test(arguments: [
        "localhost", "localhost:8000", "LOCALHOST", "a.localhost:1", "127.0.0.1:8000", "192.168.7.9", "[::1]:8000",
        "[2001:db8::1]", "node.example:8000", "Node.Example.",
    ])
    func aNodeGoesByItsNamesAndAnyAddress(authority: String) {
        #expect(HostNames(["node.example"]).include(authority))
    }

    @Test(arguments: [
        "evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "", "1.2.3",
        "[evil.example]", "[]",
    ])
    func aNodeDoesNotGoByOtherNames(authority: String) {
        #expect(!HostNames(["node.example"]).include(authority))
        #expect(HostNames(["*"]).include(authority))
    }

    @Test func anotherNameIsRefused() async throws {
        try await withNode(arguments: ["--allow-host", "other.example"]) { node async throws in
            for path in ["/", "/blocks/head", "/live", "/docs"] {
                let answer = try await node.client.get(path, fields: ["Host": "evil.example"])
                #expect(answer.status == 421)
                #expect(try await node.client.get(path, fields: ["Host": "other.example:8000"]).status == 200)
            }
            let append = try await node.client.post("/blocks/", ["data": "a"], fields: ["Host": "evil.example"])
            #expect(append.status == 421)
            #expect(try await node.client.get("/").json(StatusAnswer.self).height == 0)
        }
    }

    // MARK: Origins

    @Test func pagesOfOtherOriginsAreRefusedUnlessListed() async throws {
        try await withNode(arguments: ["--allow-origin", "https://App.example:443, http://127.0.0.1:9"]) {
            node async throws in
            func answer(_ origin: String) async throws -> HTTPAnswer {
                try await node.client.post("/blocks/", ["data": "a"], fields: ["Origin": origin])
            }
            for origin in [
                "http://evil.example", "null", "http://127.0.0.1:\(node.port + 1)", "https://app.example.org",
            ] {
                let refused = try await answer(origin)
                #expect(refused.status == 403 && refused.fields["access-control-allow-origin"] == nil, "\(origin)")
                #expect(try await node.client.get("/blocks/", fields: ["Origin": origin]).status == 403)
            }
            #expect(try await node.client.get("/").json(StatusAnswer.self).height == 0)
            #expect(try await answer("http://127.0.0.1:\(node.port)").status == 200)
            for path in ["/blocks/", "/blocks/head", "/blocks/999"] {
                let listed = try await node.client.get(path, fields: ["Origin": "https://app.example"])
                #expect(listed.status == (path == "/blocks/999" ? 404 : 200))
                #expect(listed.fields["access-control-allow-origin"] == "https://app.example")
            }

            let preflight = [
                "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type",
            ]
            let client = HTTPTestClient(port: node.port, isNode: false)
            let allowed = try await client.send(
                "OPTIONS", "/blocks/", fields: preflight.merging(["Origin": "http://127.0.0.1:9"]) { $1 })
            #expect(allowed.status == 204 && allowed.fields["access-control-allow-methods"] == "GET, POST")
            #expect(allowed.fields["access-control-allow-headers"]?.contains("Content-Type") == true)
            let refused = try await client.send(
                "OPTIONS", "/blocks/", fields: preflight.merging(["Origin": "http://127.0.0.1:8"]) { $1 })
            #expect(refused.status == 403 && refused.fields["access-control-allow-methods"] == nil)
        }
    }

    /// What a page may send without asking: text, and a form.
    @Test(arguments: ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
    func onlyJSONIsJSON(contentType: String) async throws {
        try await withNode { node async throws in
            let body = Array(#"{"data": "a"}"#.utf8)
            let answer = try await node.client.send(
                "POST", "/blocks/", fields: ["Content-Type": contentType], body: body)
            #expect(answer.status == 422)
            #expect(try await node.client.get("/").json(StatusAnswer.self).height == 0)
        }
    }

    // MARK: Limits

    @Test func requestsOfOneAddressAreCountedBySecond() throws {
        let clock = VirtualClock()
        let requests = ClientRequests(perSecondMax: 10, nowSeconds: { clock.nowSeconds })
        let client = try #require(ClientAddress(try SocketAddress(ipAddress: "192.0.2.1", port: 1)))
        let other = try #require(ClientAddress(try SocketAddress(ipAddress: "192.0.2.2", port: 1)))
        func takenOf(_ count: Int) -> Int { (0..<count).count { _ in requests.take(client) } }
        #expect(takenOf(25) == 10)
        clock.set(0.25)
        #expect(takenOf(25) == 2)
        clock.set(0.3)
        #expect(takenOf(25) == 1)
        #expect(requests.take(other))
        clock.set(60)
        #expect(takenOf(25) == 10)
    }

    @Test func addressesThatOneClientCanChooseAreOne() throws {
        func address(_ text: String) throws -> ClientAddress? {
            ClientAddress(try SocketAddress(ipAddress: text, port: 1))
        }
        #expect(try address("2001:db8:1:2::1") == address("2001:db8:1:2:ffff::9"))
        #expect(try address("2001:db8:1:2::1") != address("2001:db8:1:3::1"))
        #expect(try address("::ffff:192.0.2.1") == address("192.0.2.1"))
        #expect(try address("192.0.2.1") != address("192.0.2.2"))
    }

    @Test func tooManyRequestsAreRefusedAndChangeNothing() async throws {
        try await withNode(arguments: ["--client-requests-per-second", "5"]) { node async throws in
            var statuses: [Int: Int] = [:]
            for _ in 0..<20 {
                let answer = try await node.client.post("/blocks/", ["data": "a"])
                statuses[answer.status, default: 0] += 1
                if answer.status == 429 { #expect(answer.fields["retry-after"] == "1") }
            }
            let appended = statuses[200] ?? 0
            #expect(Set(statuses.keys) == [200, 429] && 4...15 ~= appended)
            try await Task.sleep(for: .seconds(1.2))
            #expect(try await node.client.get("/").json(StatusAnswer.self).height == appended)
        }
    }

    @Test func oneAddressHasOnlySoManyConnections() async throws {
        try await withNode(arguments: ["--client-connections-max", "3"]) { node async throws in
            let request = "GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n"
            var connections: [RawConnection] = []
            var served = 0
            for _ in 0..<10 {
                let connection = try RawConnection(port: node.port, from: 2)
                connections.append(connection)
                do {
                    try await connection.send(request)
                    if try await !connection.receive().isEmpty { served += 1 }
                } catch is TestSupportError {
                    // Closed before the request was sent.
                }
            }
            #expect(served == 3)
            // This machine's own programs, and a proxy on it, are not counted.
            #expect(try await node.client.get("/live").status == 200)
            connections.removeAll()
            try await eventually("the address is served again") {
                let connection = try RawConnection(port: node.port, from: 2)
                try await connection.send(request)
                return try await !connection.receive().isEmpty
            }
        }
    }

    @Test func aHeadThatDripsIsGivenUp() async throws {
        try await withNode(arguments: ["--header-timeout-seconds", "1"]) { node async throws in
            let start = ContinuousClock.now
            let slow = try RawConnection(port: node.port)
            let answered = try RawConnection(port: node.port)
            try await answered.send("GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(try await !answered.receive().isEmpty)
            await #expect(throws: TestSupportError.self) {
                try await slow.send("GET / HTTP/1.1\r\nHost: localhost\r\nSlow: ")
                for _ in 0..<100 {
                    try await slow.send("y")
                    try await Task.sleep(for: .milliseconds(100))
                }
            }
            #expect(.seconds(1)..<(.seconds(8)) ~= ContinuousClock.now - start)
            // Between two requests a connection is in no hurry; within the next one it is.
            try await answered.send("GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(try await String(decoding: answered.receive(), as: UTF8.self).hasPrefix("HTTP/1.1 200 "))
            try await answered.send("GET /li")
            #expect(try await answered.receiveToEnd().isEmpty)
        }
    }

    /// `make test-long` sends more.
    private static let floodConnections =
        Int(ProcessInfo.processInfo.environment["CHAIND_TEST_FLOOD_CONNECTIONS"] ?? "") ?? 2_000

    /// More than the node takes of all together, from one address; some are held open, and all have begun a request.
    @Test func aFloodOfConnectionsKeepsNobodyElseOut() async throws {
        // As much as the node takes of all, and twice as much as it takes of one, is held open.
        let arguments = ["--connections-max", "300", "--client-connections-max", "100"]
        try await withNode(arguments: arguments) { node async throws in
            let request = "GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            var flood: [RawConnection] = []
            for count in 1...Self.floodConnections {
                do {
                    let connection = try RawConnection(port: node.port, from: 2, timeoutSeconds: 5)
                    try await connection.send("G")
                    flood.append(connection)
                    if flood.count == 600 { flood.removeFirst(300) }
                } catch is TestSupportError {
                    // Closed already.
                }
                guard count.isMultiple(of: 500) else { continue }
                let other = try RawConnection(port: node.port, from: 3)
                try await other.send(request)
                #expect(try await String(decoding: other.receiveToEnd(), as: UTF8.self).hasPrefix("HTTP/1.1 200 "))
            }
            flood.removeAll()
            try await eventually("the address is served again") {
                let connection = try RawConnection(port: node.port, from: 2)
                try await connection.send(request)
                return try await String(decoding: connection.receiveToEnd(), as: UTF8.self).hasPrefix("HTTP/1.1 200 ")
            }
        }
    }

    /// Far more than the memory for answers holds is asked for, and nothing is taken.
    @Test func whoTakesNoAnswersGetsNoMoreOfThem() async throws {
        try await withNode(arguments: ["--buffer-size-bytes-max", "\(128 << 20)"]) { node async throws in
            #expect(
                try await node.client.post("/blocks/", ["data": String(repeating: "x", count: 1 << 20)]).status == 200)
            let greedy = try RawConnection(port: node.port)
            let request = "GET /blocks/1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
            try await greedy.send(String(repeating: request, count: 1_000))
            for _ in 0..<5 {
                #expect(try await node.client.get("/blocks/1").status == 200)
                try await Task.sleep(for: .milliseconds(100))
            }
            // And all of them once it takes them.
            var received = 0
            while received < 20 << 20 { received += try await greedy.receive(limit: 1 << 20).count }
            #expect(try await node.client.get("/blocks/1").status == 200)
        }
    }
}
