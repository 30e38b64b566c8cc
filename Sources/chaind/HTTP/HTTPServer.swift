// Puts the HTTP side of a node together.

import Chain
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOSSL

/// Where a node listens, and the limits of what it takes.
struct HTTPServerLimits: Sendable {
    /// The largest text of a block, in bytes of UTF-8.
    var dataSizeBytesMax: Int
    /// How many clients may be connected at once; more wait.
    var connectionsMax: Int
    /// How many connections one address may have that is not this machine's own; more are closed.
    var clientConnectionsMax: Int
    /// How many requests an address may send in a second; 0 for any number.
    var clientRequestsPerSecond: Int
    /// What requests and answers under way may take together.
    var bufferSizeBytesMax: Int
    /// How long the greeting of TLS may take, and the head of a request from its first byte on.
    var headerTimeoutSeconds: Int
    /// How long the body of a request may take.
    var bodyTimeoutSeconds: Int
    /// How long a connection may stay without a request, or not take its answer.
    var idleTimeoutSeconds: Int
    /// How many may listen to the events of the list at once.
    var listenersMax: Int
}

/// The size of the fields of a request, far above what any client of ours sends.
private let fieldsSizeBytesMax = 32 << 10

/// A server for a list. It runs as a service, until that is stopped.
func makeHTTPServer(
    replica: Replica, host: String, port: Int, gate: RequestGate, limits: HTTPServerLimits, watch: NodeWatch,
    nodeID: String, logger: Logger, onListening: @escaping @Sendable (SocketAddress?) async -> Void
) throws -> some ApplicationProtocol {
    let list = replica.list
    let memory = MemoryBudget(sizeBytesMax: limits.bufferSizeBytesMax)
    let listeners = ListenerCount(max: limits.listenersMax)
    let figures = NodeFigures(
        replica: replica, memory: memory, listeners: listeners, verification: watch.verification,
        databasePath: watch.databasePath, startedTime: watch.startedTime, logger: logger)
    let responder = NodeResponder(
        gate: gate, list: list,
        blocks: BlockRoutes(list: list, memory: memory, verification: watch.verification, logger: logger),
        appends: AppendRoutes(
            list: list, replica: replica, memory: memory, dataSizeBytesMax: limits.dataSizeBytesMax),
        events: EventRoutes(list: list, memory: memory, listeners: listeners),
        explorer: try ExplorerRoutes(list: list),
        probes: ProbeRoutes(
            replica: replica, verification: watch.verification, figures: figures, recorded: watch.recorded,
            bounds: watch.bounds),
        sync: SyncRoutes(replica: replica, memory: memory),
        metrics: RequestMetrics(), nodeID: nodeID, logger: logger)
    let shortRoutes = ShortRoutes(responder: responder, memory: memory)
    let date = HTTPDate()
    let connections = ClientConnections(max: limits.clientConnectionsMax)
    let channel = HTTP1Channel.Configuration(
        additionalChannelHandlers: [
            WriteDeadlineHandler(timeoutSeconds: limits.idleTimeoutSeconds),
            OrderlyCloseHandler(),
            BodyDeadlineHandler(
                timeoutSeconds: limits.bodyTimeoutSeconds, streamTimeoutSeconds: Int(StreamLimits().totalSeconds)),
        ],
        idleTimeout: .seconds(Int64(limits.idleTimeoutSeconds)),
        httpDecoderConfiguration: .init(
            maxHeaderFieldSize: fieldsSizeBytesMax, maxHeaderListSize: fieldsSizeBytesMax, maxHeaderFieldCount: 100))
    return Application(
        responder: responder,
        server: HTTPServerBuilder { respond in
            NodeChannel(
                http1: HTTP1Channel(responder: respond, configuration: channel), credentials: gate.credentials,
                connections: connections, headerTimeoutSeconds: limits.headerTimeoutSeconds
            ) {
                ShortRoutesHandler(routes: shortRoutes, date: date)
            }
        },
        configuration: .init(
            address: .hostname(host, port: port),
            availableConnectionsDelegate: .maximum(limits.connectionsMax, logger: logger)),
        onServerRunning: { channel in await onListening(channel.localAddress) },
        logger: logger)
}

/// Hummingbird's connections, with handlers of ours first, where bytes come in, and last before Hummingbird takes the requests.
private struct NodeChannel: ServerChildChannel {
    let http1: HTTP1Channel
    let credentials: Credentials
    let connections: ClientConnections
    let headerTimeoutSeconds: Int
    let makeHandler: @Sendable () -> ShortRoutesHandler

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
        http1.setup(channel: channel, logger: logger).flatMapThrowing { value in
            let pipeline = channel.pipeline.syncOperations
            // It counts the requests under way: which connections are idle, and which a stop has to wait for.
            let state = try pipeline.handler(type: HTTPConnectionStateHandler.self)
            try pipeline.addHandler(makeHandler(), position: .after(state))
            let body = try pipeline.handler(type: BodyDeadlineHandler.self)
            let context = credentials.serverContext
            let header = HeaderDeadlineHandler(
                timeoutSeconds: headerTimeoutSeconds, awaitsHandshake: context != nil, requests: body)
            try pipeline.addHandler(header, position: .first)
            if let context { try pipeline.addHandler(NIOSSLServerHandler(context: context), position: .first) }
            try pipeline.addHandler(ConnectionLimitHandler(connections: connections), position: .first)
            return value
        }
    }

    func handle(value: HTTP1Channel.Value, logger: Logger) async {
        await http1.handle(value: value, logger: logger)
    }
}
