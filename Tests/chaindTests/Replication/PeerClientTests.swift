// Messages over HTTP: from the client to a server on 127.0.0.1 that answers well, badly, slowly or not at all.

import Chain
import Hummingbird
import NIOCore
import Testing

@testable import chaind

@Suite struct PeerClientTests {
    private static let health =
        #"{"health":true,"version":"1","node_id":"abc","height":1,"head_hash":"\#(Block.hello.hash)","damaged":[]}"#

    private static func status(_ address: MemberAddress) -> StatusMessage {
        StatusMessage(
            address: address, nodeID: "abc", timeSeconds: 1_700_000_000, head: Block.hello.point, finalHeight: 0,
            settledHeight: 0, members: [MembershipEntry(address: address, counter: 1, isIn: true)])
    }

    /// What a request fails with.
    private func failure<Answer>(_ request: () async throws(PeerError) -> Answer) async -> PeerError? {
        do throws(PeerError) {
            _ = try await request()
            return nil
        } catch {
            #expect(!error.description.contains("\n"))
            return error
        }
    }

    @Test func messagesComeAndGo() async throws {
        try await withPeerServer { request, context in
            let memory = MemoryBudget(sizeBytesMax: 1 << 20).share()
            let body = ByteBuffer(
                bytes: try await request.readBody(
                    sizeBytesMax: 1 << 20, memory: memory, tooLarge: .outOfMemory, context: context))
            switch request.uri.path {
            case "/":
                #expect(request.headers[.accept] == "application/json")
                return .json(ByteBuffer(string: PeerClientTests.health))
            case "/sync/status": return try .message(MessageCoding.decode(StatusMessage.self, from: body))
            case "/sync/locate":
                let points = try MessageCoding.decode(LocateRequest.self, from: body).points
                return try .message(LocateAnswer(list: points.last, staged: points.first))
            case "/sync/leave":
                #expect(try MessageCoding.decode(LeaveMessage.self, from: body).nodeID == "abc")
                return .json(ByteBuffer(string: "{}"))
            default: throw HTTPFailure.notFound
            }
        } _: { address in
            try await withPeerClient { transport in
                #expect(
                    try await transport.health(address) == HealthMessage(nodeID: "abc", head: Block.hello.point))
                let status = PeerClientTests.status(address)
                #expect(try await transport.status(address, status) == status)
                let points = [Block.genesis.point, Block.hello.point]
                #expect(
                    try await transport.locate(address, points) == LocateAnswer(list: points[1], staged: points[0]))
                try await transport.leave(address, LeaveMessage(address: address, nodeID: "abc"))
            }
        }
    }

    // MARK: Bad answers

    @Test func aStatusOtherThan200IsARefusalWithItsReason() async throws {
        try await withPeerServer { request, _ in
            switch request.uri.path {
            case "/": throw HTTPFailure(.serviceUnavailable, "starting\nsoon")
            case "/sync/status":
                throw HTTPFailure(RequestFault(["body", "time"], "time: negative", type: "value_error"))
            case "/sync/locate": return Response(status: .badGateway, body: .init(byteBuffer: .init(string: "<html>")))
            default: throw HTTPFailure.notFound
            }
        } _: { address in
            try await withPeerClient { transport in
                #expect(
                    await failure { () async throws(PeerError) in try await transport.health(address) }
                        == .refused(status: 503, detail: "starting soon"))
                let status = PeerClientTests.status(address)
                #expect(
                    await failure { () async throws(PeerError) in try await transport.status(address, status) }
                        == .refused(status: 422, detail: "time: negative"))
                #expect(
                    await failure { () async throws(PeerError) in try await transport.locate(address, []) }
                        == .refused(status: 502, detail: ""))
                #expect(
                    await failure { () async throws(PeerError) in
                        try await transport.pull(address, Block.genesis.point)
                    } == .refused(status: 404, detail: "Not Found"))
            }
        }
    }

    @Test func aRedirectIsToldAndNotFollowed() async throws {
        try await withPeerServer { request, _ in
            #expect(request.uri.path != "/elsewhere")
            return Response(status: .temporaryRedirect, headers: [.location: "/elsewhere"])
        } _: { address in
            try await withPeerClient { transport in
                let redirect = PeerError.redirect(location: "/elsewhere")
                #expect(await failure { () async throws(PeerError) in try await transport.health(address) } == redirect)
                #expect(
                    await failure { () async throws(PeerError) in
                        try await transport.pull(address, Block.genesis.point)
                    } == redirect)
                #expect(
                    await failure { () async throws(PeerError) in
                        try await transport.push(address, StreamSample.hello.outgoing)
                    } == redirect)
            }
        }
    }

    @Test(arguments: ["<html>hello</html>", "{}", "", #"{"health":true}"#, "[true]"])
    func anAnswerThatIsNoHealthAnswerIsAFailure(text: String) async throws {
        try await withPeerServer { _, _ in
            .json(ByteBuffer(string: text))
        } _: { address in
            try await withPeerClient { transport in
                let error = await failure { () async throws(PeerError) in try await transport.health(address) }
                #expect(error?.description.hasPrefix("not of the protocol: ") == true)
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
            try await withPeerClient(.patient) { transport in
                let tooLarge = PeerError.invalid(reason: "the answer is too large")
                #expect(await failure { () async throws(PeerError) in try await transport.health(address) } == tooLarge)
                let status = PeerClientTests.status(address)
                #expect(
                    await failure { () async throws(PeerError) in try await transport.status(address, status) }
                        == tooLarge)
            }
        }
    }

    @Test func anAnswerThatTricklesIsGivenUp() async throws {
        try await withPeerServer { _, _ in
            .body { writer in
                for _ in 0..<1_000 {
                    try await writer.write(ByteBuffer(string: " "))
                    try await Task.sleep(for: .milliseconds(50))
                }
            }
        } _: { address in
            try await withPeerClient { transport in
                let start = ContinuousClock.now
                #expect(
                    await failure { () async throws(PeerError) in try await transport.health(address) } == .timedOut)
                #expect(ContinuousClock.now - start < .seconds(20))
            }
        }
    }

    @Test func whoSaysNothingTimesOut() async throws {
        try await withRawServer(sending: [], closes: false) { address in
            try await withPeerClient { transport in
                #expect(
                    await failure { () async throws(PeerError) in try await transport.health(address) } == .timedOut)
                #expect(
                    await failure { () async throws(PeerError) in
                        try await transport.pull(address, Block.genesis.point)
                    } == .timedOut)
                #expect(
                    await failure { () async throws(PeerError) in
                        try await transport.push(address, StreamSample.hello.outgoing)
                    } == .timedOut)
            }
        }
    }

    @Test func whoIsNotThereIsUnreachable() async throws {
        var gone = try MemberAddress("http://127.0.0.1:1")
        try await withRawServer(sending: [], closes: true) { gone = $0 }
        try await withPeerClient { transport in
            let error = await failure { () async throws(PeerError) in try await transport.health(gone) }
            #expect(error?.description.hasPrefix("no connection: ") == true)
            #expect(error?.description.lowercased().contains("refused") == true)
            let unknown = try MemberAddress("http://chaind.invalid")
            let failure = await failure { () async throws(PeerError) in try await transport.health(unknown) }
            #expect(failure == .timedOut || failure?.description.hasPrefix("no connection: ") == true)
        }
    }

    @Test func whatIsNoAnswerIsAFailure() async throws {
        let texts = [
            "no HTTP at all\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", "HTTP/1.1 2", "",
            "HTTP/1.1 200 OK\r\nX: \(String(repeating: "x", count: 200_000))\r\n\r\n",
        ]
        for text in texts {
            try await withRawServer(sending: Array(text.utf8), closes: true) { address in
                try await withPeerClient { transport in
                    let error = await failure { () async throws(PeerError) in try await transport.health(address) }
                    let pull = await failure { () async throws(PeerError) in
                        try await transport.pull(address, Block.genesis.point)
                    }
                    for found in [error, pull] {
                        let found = found?.description ?? "nothing"
                        #expect(
                            found.hasPrefix("no connection: ") || found.hasPrefix("not of the protocol: "),
                            "\(text.prefix(40))")
                    }
                }
            }
        }
    }

    @Test func cancellingEndsARequest() async throws {
        try await withRawServer(sending: [], closes: false) { address in
            try await withPeerClient(.patient) { transport in
                let requests = [
                    Task { await failure { () async throws(PeerError) in try await transport.health(address) } },
                    Task {
                        await failure { () async throws(PeerError) in
                            try await transport.push(address, StreamSample.hello.outgoing)
                        }
                    },
                ]
                try await Task.sleep(for: .milliseconds(100))
                let start = ContinuousClock.now
                for request in requests {
                    request.cancel()
                    #expect(await request.value == .cancelled)
                }
                #expect(ContinuousClock.now - start < .seconds(3))
            }
        }
    }
}
