// Ends a connection that begins a request, or the greeting of TLS, and does not get on with it: many that send a byte now and
// then would keep all others out. One for each connection, on its event loop, first after TLS.

import NIOCore
import NIOTLS

/// Closes a connection whose handshake or whose head of a request takes too long. Between requests there is no hurry.
final class HeaderDeadlineHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let timeout: TimeAmount
    /// Sees what the bytes become.
    private let requests: BodyDeadlineHandler
    private var awaitsHandshake: Bool
    private var deadline: Scheduled<Void>?

    init(timeoutSeconds: Int, awaitsHandshake: Bool, requests: BodyDeadlineHandler) {
        timeout = .seconds(Int64(timeoutSeconds))
        self.awaitsHandshake = awaitsHandshake
        self.requests = requests
    }

    func channelActive(context: ChannelHandlerContext) {
        if awaitsHandshake { begin(context: context) }
        context.fireChannelActive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent {
            awaitsHandshake = false
            end()
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let partCount = requests.partCount
        context.fireChannelRead(data)
        // Most heads come whole.
        if requests.partCount > partCount || requests.isReadingBody { end() } else { begin(context: context) }
    }

    private func begin(context: ChannelHandlerContext) {
        guard deadline == nil else { return }
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) {
            context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    private func end() {
        deadline?.cancel()
        deadline = nil
    }
}

@available(*, unavailable)
extension HeaderDeadlineHandler: Sendable {}
