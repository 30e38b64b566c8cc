// Ends a request whose body does not arrive in time. One for each connection, on its event loop.

import NIOCore
import NIOHTTPTypes

/// The body of a request took longer than it may. Whoever reads the body gets this error.
struct BodyTimeout: Error {}

/// Fails the reading of a request that has begun and has not ended within the time.
final class BodyDeadlineHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart

    private let timeoutSeconds: Int
    private let streamTimeoutSeconds: Int
    /// Whether the head of a request has come, and not its end.
    private(set) var isReadingBody = false
    /// How many parts of requests came so far.
    private(set) var partCount = 0
    private var readsStream = false
    private var deadline: Scheduled<Void>?

    /// - Parameter streamTimeoutSeconds: how long the body may take that is a block stream; whoever reads it sees to it
    ///   that it is no trickle.
    init(timeoutSeconds: Int, streamTimeoutSeconds: Int) {
        self.timeoutSeconds = timeoutSeconds
        self.streamTimeoutSeconds = streamTimeoutSeconds
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        partCount += 1
        switch unwrapInboundIn(data) {
        case .head(let head):
            isReadingBody = true
            readsStream = head.method == .post && SyncPath.isStream(head.path ?? "")
        case .body: break
        case .end: stop()
        }
        context.fireChannelRead(data)
    }

    /// Most requests have arrived whole by now and need no timer.
    func channelReadComplete(context: ChannelHandlerContext) {
        if isReadingBody, deadline == nil {
            let seconds = readsStream ? streamTimeoutSeconds : timeoutSeconds
            deadline = context.eventLoop.assumeIsolated().scheduleTask(in: .seconds(Int64(seconds))) {
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
