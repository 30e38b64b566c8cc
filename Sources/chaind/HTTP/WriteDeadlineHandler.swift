// Ends a connection whose client does not take its answer. One for each connection, on its event loop.

import NIOCore

/// Closes a connection that has had more to send than its buffers hold for longer than the time.
final class WriteDeadlineHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = Any

    private let timeout: TimeAmount
    private var deadline: Scheduled<Void>?

    init(timeoutSeconds: Int) {
        timeout = .seconds(Int64(timeoutSeconds))
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        deadline?.cancel()
        deadline = nil
        if !context.channel.isWritable {
            deadline = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) {
                context.close(promise: nil)
            }
        }
        context.fireChannelWritabilityChanged()
    }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }
}

@available(*, unavailable)
extension WriteDeadlineHandler: Sendable {}
