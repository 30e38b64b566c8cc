// The client of etcd against servers that answer as etcd never would, or as it seldom does.

import Hummingbird
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import chaind

@Suite struct EtcdBadAnswerTests {
    private static let header = #""header":{"cluster_id":"1","member_id":"2","revision":"6"}"#

    private func settings(_ address: MemberAddress) -> EtcdSettings {
        EtcdSettings(endpoints: [address.description], attemptSeconds: 0.5, statusSeconds: 0.5, watchIdleSeconds: 0.5)
    }

    private func transact(_ etcd: Etcd) async throws -> EtcdError? {
        try await etcdFailure { try await etcd.transact(.put("a", "1")) }
    }

    @Test(arguments: [
        (
            400, "etcdserver: duplicate key given in txn request",
            EtcdError.refused("etcdserver: duplicate key given in txn request")
        ),
        (400, "etcdserver: authentication failed, invalid user ID or password", .denied("wrong user name or password")),
        (400, "etcdserver: revision of auth store is old", .denied("etcdserver: revision of auth store is old")),
        (401, "etcdserver: invalid auth token", .denied("etcdserver: invalid auth token")),
        (403, "etcdserver: permission denied", .denied("etcdserver: permission denied")),
        (404, "etcdserver: requested lease not found", .refused("etcdserver: requested lease not found")),
        (429, "etcdserver: mvcc: database space exceeded", .full),
        (429, "etcdserver: too many requests", .refused("etcdserver: too many requests")),
        (404, "not here", .unknown("URL: status 404: not here")),
        (408, "context canceled", .unknown("URL: status 408: context canceled")),
        (412, "etcdserver: not leader", .unknown("URL: status 412: etcdserver: not leader")),
        (500, "context deadline exceeded", .unknown("URL: status 500: context deadline exceeded")),
        (503, "etcdserver: request timed out", .unknown("URL: status 503: etcdserver: request timed out")),
        (201, "", .unknown("URL: status 201: ")),
    ])
    func aStatusSaysWhatBecameOfIt(status: Int, message: String, expected: EtcdError) async throws {
        try await withPeerServer { _, _ in
            let body = ByteBuffer(string: #"{"error":"\#(message)","message":"\#(message)","code":3}"#)
            return Response(status: .init(code: status), body: .init(byteBuffer: body))
        } _: { address in
            try await withEtcdClient(settings(address)) { etcd in
                let failure = try await transact(etcd)
                if case .unknown(let reason) = expected {
                    #expect(failure == .unknown(reason.replacing("URL", with: address.description)))
                } else {
                    #expect(failure == expected)
                }
            }
        }
    }

    @Test func whatStandsBeforeEtcdMayRefuseToo() async throws {
        try await withPeerServer { request, _ in
            request.uri.path == "/v3/kv/txn"
                ? Response(status: .badGateway, body: .init(byteBuffer: .init(string: "<html>\nno</html>")))
                : Response(status: .temporaryRedirect, headers: [.location: "/elsewhere"])
        } _: { address in
            try await withEtcdClient(settings(address)) { etcd async throws in
                #expect(try await transact(etcd) == .unknown("\(address): status 502: <html> no</html>"))
                #expect(
                    try await etcdFailure { try await etcd.grantLease(1) }
                        == .unknown("\(address): status 307: "))
            }
        }
    }

    @Test(arguments: [
        "", "<html>", "{}", "[]", "null", "{\(header)", "{\(header),\"succeeded\":1}", "{\"header\":{\"revision\":6}}",
        "\u{0}", String(repeating: "[", count: 100_000), "{\(header),\"responses\":\"\"}",
    ])
    func aGarbledAnswerIsNone(text: String) async throws {
        try await withPeerServer { _, _ in
            .json(ByteBuffer(string: text))
        } _: { address in
            try await withEtcdClient(settings(address)) { etcd in
                let failures = [
                    try await transact(etcd),
                    try await etcdFailure { try await etcd.grantLease(1) },
                    try await etcdFailure { try await etcd.keepAlive(1) },
                    try await etcdFailure { try await etcd.watch(EtcdRange("a"), 1) },
                ]
                #expect(failures.allSatisfy { $0?.isUnknown == true }, "\(failures)")
                #expect(await etcd.status().isEmpty)
            }
        }
    }

    @Test func anAnswerThatIsCutOffIsNone() async throws {
        let start = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        for bytes in [start, "HTTP/1.1 200 OK\r\n", "", "garbage\r\n\r\n"] {
            for closes in [true, false] {
                try await withRawServer(sending: Array(bytes.utf8), closes: closes) { address in
                    try await withEtcdClient(settings(address)) { etcd async throws in
                        #expect(try await transact(etcd)?.isUnknown == true)
                    }
                }
            }
        }
    }

    @Test func aHugeAnswerIsNotRead() async throws {
        try await withPeerServer { _, _ in
            .body { writer in
                for _ in 0..<1_000_000 { try await writer.write(ByteBuffer(repeating: 0x20, count: 64 << 10)) }
                try await writer.finish(nil)
            }
        } _: { address in
            var patient = settings(address)
            patient.attemptSeconds = 10
            try await withEtcdClient(patient) { etcd async throws in
                let tooLarge = EtcdError.unknown("\(address): not of the protocol: the answer is too large")
                #expect(try await transact(etcd) == tooLarge)
                #expect(
                    try await etcdFailure { try await etcd.watch(EtcdRange("a"), 1) }
                        == .unknown("\(address): a line of a watch is too long"))
            }
        }
    }

    // MARK: Watches

    /// What a watch gives that comes in these pieces.
    private func watching(_ pieces: [String], _ body: (EtcdWatch) async throws -> Void) async throws {
        try await withPeerServer { _, _ in
            .body { writer in
                for piece in pieces {
                    try await writer.write(ByteBuffer(string: piece))
                    try await Task.sleep(for: .milliseconds(2))
                }
                try await writer.finish(nil)
            }
        } _: { address in
            try await withEtcdClient(settings(address)) { etcd in
                try await body(try await etcd.watch(EtcdRange("a"), 1))
            }
        }
    }

    @Test(arguments: [1, 7, 1_000])
    func aWatchComesInAnyPieces(sizeBytes: Int) async throws {
        func put(_ value: String) -> String { #"{"kv":{"key":"YQ==","mod_revision":"1","value":"\#(value)"}}"# }
        let text = """
            {"result":{\(EtcdBadAnswerTests.header),"created":true}}
            {"result":{\(EtcdBadAnswerTests.header),"events":[\(put("MQ==")),\(put("Mg=="))]}}
            {"result":{\(EtcdBadAnswerTests.header)}}
            {"result":{\(EtcdBadAnswerTests.header),"events":[\(put("Mw=="))]}}

            """
        let characters = Array(text)
        let pieces = stride(from: 0, to: characters.count, by: sizeBytes).map {
            String(characters[$0..<min($0 + sizeBytes, characters.count)])
        }
        try await watching(pieces) { watch async throws in
            #expect(try await watch.next()?.map(\.text) == ["a=1", "a=2"])
            // etcd only says that it is there.
            #expect(try await watch.next() == [])
            #expect(try await watch.next()?.map(\.text) == ["a=3"])
            #expect(try await watch.next() == nil)
        }
    }

    @Test(arguments: [
        "garbage\n", "\n", "{}\n", "{\"result\":{", "{\"result\":{\"events\":1}}\n",
        "{\"error\":{\"message\":\"no leader\"}}",
    ])
    func aGarbledLineEndsAWatch(line: String) async throws {
        try await watching([#"{"result":{"created":true}}"# + "\n" + line]) { watch async throws in
            #expect(try await etcdFailure { try await watch.next() }?.isUnknown == true)
            #expect(try await watch.next() == nil)
        }
    }

    // MARK: Logins

    @Test func manyRequestsLogInOnce() async throws {
        let logins = Mutex(0)
        let isSpent = Mutex(false)
        try await withPeerServer { request, _ in
            if request.uri.path == "/v3/auth/authenticate" {
                logins.withLock { $0 += 1 }
                isSpent.withLock { $0 = false }
                try await Task.sleep(for: .milliseconds(50))
                return .json(
                    ByteBuffer(string: #"{\#(EtcdBadAnswerTests.header),"token":"t\#(logins.withLock { $0 })"}"#))
            }
            guard request.headers[.authorization] == "t\(logins.withLock { $0 })", !isSpent.withLock({ $0 }) else {
                return Response(
                    status: .unauthorized,
                    body: .init(byteBuffer: .init(string: #"{"error":"etcdserver: invalid auth token"}"#)))
            }
            return .json(ByteBuffer(string: "{\(EtcdBadAnswerTests.header),\"succeeded\":true}"))
        } _: { address in
            var settings = settings(address)
            settings.userName = "user"
            settings.password = "secret"
            settings.attemptSeconds = 5
            try await withEtcdClient(settings) { etcd in
                for expected in 1...2 {
                    try await withThrowingTaskGroup(of: Bool.self) { group in
                        for _ in 0..<20 {
                            group.addTask { try await etcd.transact(.put("a", "1")).isSucceeded }
                        }
                        for try await isSucceeded in group { #expect(isSucceeded) }
                    }
                    #expect(logins.withLock { $0 } == expected)
                    isSpent.withLock { $0 = true }
                }
            }
        }
    }

    /// A token that is refused twice is not tried for ever.
    @Test func aLoginIsRenewedOnce() async throws {
        let requests = Mutex(0)
        try await withPeerServer { request, _ in
            if request.uri.path == "/v3/auth/authenticate" {
                return .json(ByteBuffer(string: #"{\#(EtcdBadAnswerTests.header),"token":"t"}"#))
            }
            requests.withLock { $0 += 1 }
            return Response(
                status: .unauthorized,
                body: .init(byteBuffer: .init(string: #"{"error":"etcdserver: invalid auth token"}"#)))
        } _: { address in
            var settings = settings(address)
            settings.userName = "user"
            settings.password = "secret"
            try await withEtcdClient(settings) { etcd async throws in
                #expect(try await transact(etcd) == .denied("etcdserver: invalid auth token"))
                #expect(requests.withLock { $0 } == 2)
            }
        }
    }
}
