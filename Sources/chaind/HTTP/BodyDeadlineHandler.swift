// Ends a request whose body does not arrive in time. One for each connection, on its event loop.

import NIOCore
import NIOHTTPTypes

/// The body of a request took longer than it may. Whoever reads the body gets this error.
struct BodyTimeout: Error {}

/// Fails the reading of a request that has begun and has not ended within the time.
final class BodyDeadlineHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart

    private let timeout: TimeAmount
    private var isReadingBody = false
    private var deadline: Scheduled<Void>?

    init(timeoutSeconds: Int) {
        timeout = .seconds(Int64(timeoutSeconds))
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head: isReadingBody = true
        case .body: break
        case .end: stop()
        }
        context.fireChannelRead(data)
    }

    /// Most requests have arrived whole by now and need no timer.
    func channelReadComplete(context: ChannelHandlerContext) {
        if isReadingBody, deadline == nil {
            deadline = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) {
                context.fireErrorCaught(BodyTimeout())
            }
        }
        context.fireChannelReadComplete()
    }

    func handlerRemoved(context: ChannelHandlerContext) { stop() }

    private func stop() {
        isReadingBody = false
        deadline?.cancel()
        deadline = nil
    }
}

@available(*, unavailable)
extension BodyDeadlineHandler: Sendable {}
