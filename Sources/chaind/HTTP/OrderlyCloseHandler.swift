// Closes connections so that the client gets the answer. One for each connection, on its event loop.
//
// A close discards what still waits to be sent, and a socket that is closed while bytes from the client are unread
// makes the kernel send a reset, which discards what the client has received and not read. So a close waits until the
// answer is sent; and after an answer that says `Connection: close` (one to a request whose body was not read, say)
// the client is told the end and what it still sends is dropped, within limits, until it closes too.

import NIOCore
import NIOHTTPTypes

/// Delays closing a connection until the answer is sent and the client had the chance to read it.
final class OrderlyCloseHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// How long a client may take to close, and how much it may still send.
    private static let lingerTime = TimeAmount.seconds(2)
    private static let lingerSizeBytesMax = 64 << 20

    private enum State {
        /// Answers are sent as they come.
        case open
        /// The end of the answer is written and not yet sent; the connection ends with it or stays.
        case ending(closes: Bool)
        /// Everything is sent, and what the client still sends is dropped.
        case lingering(droppedBytes: Int)
    }

    private var state = State.open
    private var answerCloses = false
    private var closeRequested: EventLoopPromise<Void>?
    private var deadline: Scheduled<Void>?

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head):
            answerCloses = head.headerFields[.connection] == "close"
            context.write(data, promise: promise)
        case .body:
            context.write(data, promise: promise)
        case .end:
            state = .ending(closes: answerCloses)
            let sent = context.eventLoop.makePromise(of: Void.self)
            sent.futureResult.cascade(to: promise)
            sent.futureResult.assumeIsolated().whenComplete { _ in self.answerSent(context: context) }
            context.write(data, promise: sent)
        }
    }

    private func answerSent(context: ChannelHandlerContext) {
        guard case .ending(let closes) = state else { return }
        if closes {
            linger(context: context)
        } else {
            state = .open
            if closeRequested != nil { context.close(promise: nil) }
        }
    }

    private func linger(context: ChannelHandlerContext) {
        state = .lingering(droppedBytes: 0)
        context.close(mode: .output, promise: nil)
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: Self.lingerTime) {
            context.close(promise: nil)
        }
        context.read()
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if case .open = state { return context.close(mode: mode, promise: promise) }
        guard mode == .all else { return context.close(mode: mode, promise: promise) }
        let requested = closeRequested ?? context.eventLoop.makePromise()
        requested.futureResult.cascade(to: promise)
        closeRequested = requested
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .lingering(let droppedBytes) = state else { return context.fireChannelRead(data) }
        guard case .body(let buffer) = unwrapInboundIn(data) else { return }
        let dropped = droppedBytes + buffer.readableBytes
        state = .lingering(droppedBytes: dropped)
        if dropped > Self.lingerSizeBytesMax { context.close(promise: nil) }
    }

    /// Reads on by itself, since nobody behind this handler asks for more.
    func channelReadComplete(context: ChannelHandlerContext) {
        if case .lingering = state { context.read() }
        context.fireChannelReadComplete()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .lingering = state, case .inputClosed? = event as? ChannelEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if case .lingering = state { context.close(promise: nil) }
        context.fireErrorCaught(error)
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { finish() }

    private func finish() {
        deadline?.cancel()
        closeRequested?.succeed()
        closeRequested = nil
    }
}

@available(*, unavailable)
extension OrderlyCloseHandler: Sendable {}
