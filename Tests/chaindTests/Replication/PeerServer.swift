// A server that behaves as a test tells it to, well or badly, with the handlers of a real node.

import Hummingbird
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle

@testable import chaind

/// Serves on a port of 127.0.0.1 while the body runs, which is given the address.
func withPeerServer(
    bodyTimeoutSeconds: Int = 30,
    respond: @escaping @Sendable (Request, ConnectionContext) async throws -> Response,
    _ body: (MemberAddress) async throws -> Void
) async throws {
    struct Responder: HTTPResponder {
        let respond: @Sendable (Request, ConnectionContext) async throws -> Response

        func respond(to request: Request, context: ConnectionContext) async throws -> Response {
            do {
                return try await respond(request, context)
            } catch let failure as HTTPFailure {
                return Response(failure).closingConnection()
            }
        }
    }
    let (ports, continuation) = AsyncStream<Int>.makeStream()
    let silent = Logger(label: "peer-server") { _ in SwiftLogNoOpLogHandler() }
    let application = Application(
        responder: Responder(respond: respond),
        server: .http1(
            configuration: .init(
                additionalChannelHandlers: [
                    WriteDeadlineHandler(timeoutSeconds: 30), OrderlyCloseHandler(),
                    BodyDeadlineHandler(timeoutSeconds: bodyTimeoutSeconds, streamTimeoutSeconds: 30),
                ])),
        configuration: .init(address: .hostname("127.0.0.1", port: 0)),
        onServerRunning: { channel in
            continuation.yield(channel.localAddress?.port ?? 0)
            continuation.finish()
        },
        logger: silent)
    let group = ServiceGroup(configuration: .init(services: [application], logger: silent))
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await group.run() }
        var port = 0
        for await found in ports { port = found }
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(MemberAddress("http://127.0.0.1:\(port)")))
        } catch {
            result = .failure(error)
        }
        await group.triggerGracefulShutdown()
        try await tasks.waitForAll()
        try result.get()
    }
}

/// Answers whatever comes, at once, with the same bytes.
private final class RawAnswer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let bytes: [UInt8]
    private let closes: Bool

    init(bytes: [UInt8], closes: Bool) {
        self.bytes = bytes
        self.closes = closes
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if !bytes.isEmpty { context.writeAndFlush(NIOAny(ByteBuffer(bytes: bytes)), promise: nil) }
        if closes { context.close(promise: nil) }
    }
}

/// A port of 127.0.0.1 that answers any request with these bytes, and then closes or says nothing more.
func withRawServer(sending bytes: [UInt8], closes: Bool, _ body: (MemberAddress) async throws -> Void) async throws {
    let server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
        .childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(RawAnswer(bytes: bytes, closes: closes))
            }
        }
        .bind(host: "127.0.0.1", port: 0).get()
    do {
        try await body(MemberAddress("http://127.0.0.1:\(server.localAddress?.port ?? 0)"))
    } catch {
        try await server.close()
        throw error
    }
    try await server.close()
}

/// A client that is quickly out of patience, for as long as the body runs.
func withPeerClient(_ limits: PeerClient.Limits = .hasty, _ body: (Transport) async throws -> Void) async throws {
    let client = PeerClient(limits: limits, credentials: { NodeCredentials() })
    do {
        try await body(client.transport)
    } catch {
        try await client.shutdown()
        throw error
    }
    try await client.shutdown()
}

extension PeerClient.Limits {
    static let hasty = PeerClient.Limits(
        connectSeconds: 1, healthSeconds: 1, requestSeconds: 1, pushIdleSeconds: 1,
        stream: StreamLimits(idleSeconds: 1, windowSeconds: 2, windowSizeBytesMin: 64 << 10, totalSeconds: 5))

    static let patient = PeerClient.Limits()
}

extension Response {
    /// A message as an answer.
    static func message(_ message: some Encodable) throws -> Response {
        .json(try MessageCoding.encode(message))
    }

    /// An answer whose body is written as a test wants.
    static func body(
        contentLength: Int? = nil, _ write: @escaping @Sendable (inout any ResponseBodyWriter) async throws -> Void
    ) -> Response {
        Response(status: .ok, body: ResponseBody(contentLength: contentLength, write))
    }
}
