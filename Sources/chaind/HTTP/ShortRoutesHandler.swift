// Takes short requests off the way to Hummingbird. One for each connection, on its event loop.

import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Answers short requests, one at a time and in order with those that go on to Hummingbird. What comes while one is under way
/// waits, and when much waits no more is read.
final class ShortRoutesHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private enum State {
        case idle
        /// The body of a short request comes in.
        case reading(HTTPRequest, ShortRequest, body: ByteBuffer)
        case answering
    }

    /// What came while a request is under way.
    private enum Waiting {
        case part(HTTPRequestPart)
        case event(Any)
        case error(any Error)
    }

    /// So much may wait before no more is read.
    private static let waitingMax = 16
    /// How long a connection is not served after one of its appends found the queue full: to refuse the next ones at once would
    /// take the processor from those that are taken.
    private static let queueFullPause = TimeAmount.milliseconds(250)

    private let routes: ShortRoutes
    private let date: HTTPDate
    private var state = State.idle
    /// Requests that went on to Hummingbird and are not answered yet.
    private var unanswered = 0
    private var waiting = CircularBuffer<Waiting>()
    private var readIsWanted = false
    /// Whether the next request is taken once the client has taken enough of the answers.
    private var endIsWanted = false

    init(routes: ShortRoutes, date: HTTPDate) {
        self.routes = routes
        self.date = date
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        take(.part(unwrapInboundIn(data)), context: context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // Only the end of what the client sends has its place among the requests.
        guard case .inputClosed? = event as? ChannelEvent else { return context.fireUserInboundEventTriggered(event) }
        take(.event(event), context: context)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        take(.error(error), context: context)
    }

    private func take(_ item: Waiting, context: ChannelHandlerContext) {
        if case .answering = state { return waiting.append(item) }
        switch item {
        case .part(let part): take(part, context: context)
        case .event(let event):
            giveUpReading(context: context)
            context.fireUserInboundEventTriggered(event)
        case .error(let error):
            giveUpReading(context: context)
            context.fireErrorCaught(error)
        }
    }

    private func take(_ part: HTTPRequestPart, context: ChannelHandlerContext) {
        switch (part, state) {
        case (.head(let head), .idle) where unanswered == 0:
            guard let request = ShortRequest(head) else { fallthrough }
            state = .reading(head, request, body: ByteBuffer())
        case (.head, _):
            unanswered += 1
            context.fireChannelRead(wrapInboundOut(part))
        case (.body(var buffer), .reading(let head, let request, var body)):
            // No copy of the body is left in the state while it grows.
            state = .idle
            body.writeBuffer(&buffer)
            state = .reading(head, request, body: body)
        case (.end, .reading(let head, let request, let body)):
            answer(request, head: head, body: body, context: context)
        default: context.fireChannelRead(wrapInboundOut(part))
        }
    }

    /// Leaves a request whose body does not come whole to Hummingbird.
    private func giveUpReading(context: ChannelHandlerContext) {
        guard case .reading(let head, _, let body) = state else { return }
        state = .idle
        unanswered += 1
        context.fireChannelRead(wrapInboundOut(.head(head)))
        if body.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(.body(body))) }
        context.fireChannelReadComplete()
    }

    // MARK: Answers

    private func answer(
        _ request: ShortRequest, head: HTTPRequest, body: ByteBuffer, context: ChannelHandlerContext
    ) {
        state = .answering
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        routes.answer(request, head: head, body: body, on: context.channel) { answer in
            bound.value.handler.send(answer, context: bound.value.context)
        }
    }

    private func send(_ answer: ShortRoutes.Answer, context: ChannelHandlerContext) {
        // The client may be gone.
        guard case .answering = state else { return }
        var fields = answer.fields
        fields[.contentType] = "application/json"
        fields[.contentLength] = String(answer.content.readableBytes)
        fields[.date] = date.now
        context.write(wrapOutboundOut(.head(HTTPResponse(status: answer.status, headerFields: fields))), promise: nil)
        context.write(wrapOutboundOut(.body(answer.content)), promise: nil)
        var sent: EventLoopPromise<Void>?
        if let memory = answer.memory {
            sent = context.eventLoop.makePromise()
            sent?.futureResult.whenComplete { _ in withExtendedLifetime(memory) {} }
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: sent)
        guard answer.isQueueFull else { return endOnceTaken(context: context) }
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.queueFullPause) {
            bound.value.handler.endOnceTaken(context: bound.value.context)
        }
    }

    /// A client that does not take its answers gets no more of them.
    private func endOnceTaken(context: ChannelHandlerContext) {
        endIsWanted = !context.channel.isWritable
        if !endIsWanted { end(context: context) }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if endIsWanted, context.channel.isWritable {
            endIsWanted = false
            end(context: context)
        }
        context.fireChannelWritabilityChanged()
    }

    private func end(context: ChannelHandlerContext) {
        guard case .answering = state else { return }
        state = .idle
        takeWaiting(context: context)
    }

    private func takeWaiting(context: ChannelHandlerContext) {
        guard !waiting.isEmpty || readIsWanted else { return }
        while !isAnswering, let item = waiting.popFirst() { take(item, context: context) }
        context.fireChannelReadComplete()
        if readIsWanted, waiting.count < Self.waitingMax {
            readIsWanted = false
            context.read()
        }
    }

    private var isAnswering: Bool {
        if case .answering = state { true } else { false }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) { unanswered -= 1 }
        context.write(data, promise: promise)
    }

    func read(context: ChannelHandlerContext) {
        if waiting.count < Self.waitingMax { context.read() } else { readIsWanted = true }
    }

    func channelInactive(context: ChannelHandlerContext) {
        state = .idle
        waiting.removeAll()
        context.fireChannelInactive()
    }
}

@available(*, unavailable)
extension ShortRoutesHandler: Sendable {}
