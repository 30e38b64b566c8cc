// A server that answers as a test tells it to: for what no real node does on demand.

import Hummingbird
import Logging
import ServiceLifecycle
import Synchronization

/// Requests as they came, and answers as they are to be.
final class ScriptedNode: Sendable {
    /// A request that came.
    struct Request: Sendable {
        let method: String
        let path: String
        let query: String
        let key: String?
        let body: String
    }

    /// How to answer.
    enum Answer: Sendable {
        case status(Int, String, retryAfter: String? = nil)
        /// Ends the connection in the middle of the answer.
        case cut
    }

    private let received = Mutex<[Request]>([])
    private let answer: @Sendable (Request, Int) -> Answer

    /// The requests so far.
    var requests: [Request] { received.withLock { $0 } }

    /// - Parameter answer: is given the request, and how many came before.
    init(answer: @escaping @Sendable (Request, Int) -> Answer) {
        self.answer = answer
    }

    private struct Cut: Error {}

    private func respond(to request: Hummingbird.Request) async throws -> Response {
        let body = try await request.body.collect(upTo: 64 * 1024 * 1024)
        let noted = Request(
            method: request.method.rawValue, path: request.uri.path, query: request.uri.query ?? "",
            key: request.headers[.init("Idempotency-Key")!], body: String(buffer: body))
        let count = received.withLock { received in
            received.append(noted)
            return received.count - 1
        }
        switch answer(noted, count) {
        case .status(let status, let text, let retryAfter):
            var headers: HTTPFields = [.contentType: "application/json"]
            headers[.retryAfter] = retryAfter
            return Response(status: .init(code: status), headers: headers, body: .init(byteBuffer: .init(string: text)))
        case .cut:
            return Response(status: .ok, body: .init(contentLength: 1000) { _ in throw Cut() })
        }
    }

    /// Serves on a port of 127.0.0.1 while the body runs, which is given the URL.
    func serve(_ body: (String) async throws -> Void) async throws {
        let (ports, continuation) = AsyncStream<Int>.makeStream()
        let application = Application(
            responder: CallbackResponder<BasicRequestContext> { request, _ in try await self.respond(to: request) },
            configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { channel in
                continuation.yield(channel.localAddress?.port ?? 0)
                continuation.finish()
            },
            logger: Logger(label: "scripted-node") { _ in SwiftLogNoOpLogHandler() })
        let group = ServiceGroup(
            configuration: .init(
                services: [application], logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            var port = 0
            for await found in ports { port = found }
            do {
                try await body("http://127.0.0.1:\(port)")
            } catch {
                await group.triggerGracefulShutdown()
                throw error
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }
}
