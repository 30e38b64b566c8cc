// What clients ask for most: one small append, the head, a block by its height. These are answered from the event loop of the
// connection, since most of what they cost elsewhere is the way from there to a task and back.

import Chain
import HTTPTypes
import NIOCore

/// A request that is answered on the short way; any other goes on to Hummingbird.
enum ShortRequest: Sendable {
    case append(contentType: String?)
    case head
    case block(height: Int)

    /// A larger body takes the ordinary way.
    static let bodySizeBytesMax = 4 << 10

    /// `nil` unless it is a request of the plain kind that needs nothing but its route and a small body.
    init?(_ request: HTTPRequest) {
        let fields = request.headerFields
        guard fields[.connection] == nil, fields[.expect] == nil, fields[.transferEncoding] == nil else { return nil }
        let bodySizeBytes = fields[.contentLength].map { Int($0) ?? .max }
        switch (request.method, request.path) {
        case (.post, "/blocks/"), (.post, "/blocks"):
            guard let bodySizeBytes, 1...ShortRequest.bodySizeBytesMax ~= bodySizeBytes,
                !fields.contains(where: { $0.name.canonicalName == "idempotency-key" })
            else { return nil }
            self = .append(contentType: fields[.contentType])
        case (.get, let path?) where bodySizeBytes == nil && path.hasPrefix("/blocks/"):
            var name = path.utf8.dropFirst("/blocks/".utf8.count)
            if name.last == UInt8(ascii: "/") { name.removeLast() }
            if name.elementsEqual("head".utf8) {
                self = .head
            } else if 1...18 ~= name.count, name.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) {
                self = .block(height: name.reduce(0) { 10 * $0 + Int($1 - UInt8(ascii: "0")) })
            } else {
                return nil
            }
        default: return nil
        }
    }

    var method: HTTPRequest.Method {
        if case .append = self { .post } else { .get }
    }

    var route: Route {
        switch self {
        case .append: .blocks
        case .head: .head
        case .block(let height): .block(String(height))
        }
    }
}

/// Answers short requests, with what `NodeResponder` answers them.
struct ShortRoutes: Sendable {
    /// An answer, and what it holds of the memory until it is sent.
    struct Answer: Sendable {
        var status = HTTPResponse.Status.ok
        var fields: HTTPFields = [:]
        let content: ByteBuffer
        var memory: MemoryBudget.Share?
        /// Whether an append was refused since too many wait.
        var isQueueFull = false
    }

    let responder: NodeResponder
    let memory: MemoryBudget

    /// Finds the answer, and calls `send` with it on the event loop, also before this returns. To be called there.
    ///
    /// A client's request id is sent back. One is made up only if something is logged about the request, or if something is
    /// wrong.
    func answer(
        _ request: ShortRequest, head: HTTPRequest, body: ByteBuffer, on channel: any Channel,
        send: @escaping @Sendable (Answer) -> Void
    ) {
        let start = ContinuousClock.now
        let originFields = responder.gate.answerFields(for: head)
        find(request, head: head, body: body, on: channel) { result in
            var answer: Answer
            var requestID =
                head.headerFields.requestID ?? (responder.logger.logLevel <= .debug ? RequestID.make() : nil)
            switch result {
            case .success(let found): answer = found
            case .failure(let error):
                let id = requestID ?? RequestID.make()
                requestID = id
                let failure = RequestID.$current.withValue(id) { responder.failure(for: error, route: request.route) }
                answer = Answer(status: failure.status, fields: failure.fields, content: failure.content)
                if case AppendError.queueFull = error { answer.isQueueFull = true }
            }
            answer.fields.append(contentsOf: originFields)
            if let requestID { answer.fields.requestID = requestID }
            responder.answered(
                request.method, route: request.route, status: answer.status, duration: ContinuousClock.now - start,
                requestID: requestID)
            send(answer)
        }
    }

    private func find(
        _ request: ShortRequest, head: HTTPRequest, body: ByteBuffer, on channel: any Channel,
        end: @escaping @Sendable (Result<Answer, any Error>) -> Void
    ) {
        do throws(HTTPFailure) {
            try responder.gate.check(head, route: request.route, from: channel.remoteAddress)
        } catch {
            return end(.failure(error))
        }
        let list = responder.list
        let eventLoop = channel.eventLoop
        switch request {
        case .append(let contentType):
            do throws(HTTPFailure) {
                let content = try AppendContent(
                    [UInt8](body.readableBytesView), contentType: contentType, kind: .single)
                let drafts = content.texts.map { Draft(data: $0) }
                responder.appends.append(AppendRequest(drafts: drafts, lastHash: content.lastHash)) { result in
                    // The writer's thread has better things to do than to write JSON.
                    eventLoop.execute {
                        end(result.map { Answer(content: .blocks($0, members: nil)) }.mapError { $0 })
                    }
                }
            } catch {
                end(.failure(error))
            }
        case .head: block(at: list.height, on: channel, end: end)
        case .block(let height): block(at: height, on: channel, end: end)
        }
    }

    private func block(
        at height: Int, on channel: any Channel, end: @escaping @Sendable (Result<Answer, any Error>) -> Void
    ) {
        let eventLoop = channel.eventLoop
        let client = ClientAddress.counted(channel.remoteAddress)
        responder.list.block(at: height) { result in
            if eventLoop.inEventLoop {
                end(Result { try answer(result.get(), height: height, to: client) })
            } else {
                eventLoop.execute { end(Result { try answer(result.get(), height: height, to: client) }) }
            }
        }
    }

    private func answer(_ block: Block?, height: Int, to client: ClientAddress?) throws(HTTPFailure) -> Answer {
        guard let block else { throw HTTPFailure(.notFound, "Block \(height) not found") }
        let content = ByteBuffer.block(block)
        let share = memory.share(for: client)
        guard share.grow(by: content.readableBytes) else { throw .outOfMemory }
        return Answer(content: content, memory: share)
    }
}
