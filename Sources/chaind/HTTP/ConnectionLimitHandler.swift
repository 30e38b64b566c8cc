// Closes a connection of a client that has as many as it may. One for each connection, first on its event loop.

import NIOCore

/// Counts the connection while it is open.
final class ConnectionLimitHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = Any

    private let connections: ClientConnections
    /// Whose place the connection has.
    private var client: ClientAddress?

    init(connections: ClientConnections) {
        self.connections = connections
    }

    func channelActive(context: ChannelHandlerContext) {
        if let client = ClientAddress.counted(context.remoteAddress) {
            guard connections.take(client) else { return context.close(promise: nil) }
            self.client = client
        }
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        if let client { connections.giveBack(client) }
        client = nil
        context.fireChannelInactive()
    }
}

@available(*, unavailable)
extension ConnectionLimitHandler: Sendable {}
