// Takes every request: finds its route, and turns whatever goes wrong into an answer.

import Chain
import HTTPTypes
import Hummingbird
import Logging

/// Answers the requests of a node.
struct NodeResponder: HTTPResponder {
    let gate: RequestGate
    let list: BlockList
    let blocks: BlockRoutes
    let appends: AppendRoutes
    let events: EventRoutes
    let explorer: ExplorerRoutes
    let probes: ProbeRoutes
    let sync: SyncRoutes
    let metrics: RequestMetrics
    /// Tells this process from any other.
    let nodeID: String
    let logger: Logger

    func respond(to request: Request, context: ConnectionContext) async throws -> Response {
        let requestID = request.headers.requestID ?? RequestID.make()
        var response = await RequestID.$current.withValue(requestID) { await answerOrFail(request, context: context) }
        response.headers.requestID = requestID
        return response
    }

    private func answerOrFail(_ request: Request, context: ConnectionContext) async -> Response {
        let start = ContinuousClock.now
        let route = Route(path: request.uri.path)
        let readsBody = request.method == .post && route?.methods.contains(.post) == true
        // Noticing that a client left while the list is validated takes the connection.
        var closes = route == .validation || request.announcesBody && !readsBody
        // The body of a request that is not let in is not read.
        var isLetIn = false
        var response: Response
        do {
            try gate.check(request.head, route: route, from: context.channel.remoteAddress)
            isLetIn = true
            response =
                gate.isPreflight(request.head)
                ? Response(status: .noContent) : try await answer(request, route: route, context: context)
        } catch {
            let failure = failure(for: error, route: route)
            closes = closes || failure.closesConnection || !isLetIn && request.announcesBody
            response = Response(failure)
        }
        response.headers.append(contentsOf: gate.answerFields(for: request.head))
        answered(
            request.method, route: route, status: response.status, duration: ContinuousClock.now - start,
            requestID: RequestID.current)
        if request.method == .head { response = response.createHeadResponse() }
        return closes ? response.closingConnection() : response
    }

    private func answer(_ request: Request, route: Route?, context: ConnectionContext) async throws -> Response {
        guard let route else { throw HTTPFailure.notFound }
        guard route.methods.contains(request.method) else { throw HTTPFailure(allowed: route.methods) }
        if request.method != .post, route.readsList { try await awaitOrder(request) }
        switch route {
        case .status where ExplorerRoutes.isWanted(by: request): return try await explorer.page(request)
        case .status: return .nodeStatus(list.status, nodeID: nodeID)
        case .asset(let asset): return asset.response
        case .blocks where request.method == .post:
            return try await appends.append(request, context: context, kind: .single)
        case .blocks: return try await blocks.page(request, context: context)
        case .batch: return try await appends.append(request, context: context, kind: .batch)
        case .head: return try await blocks.head(context: context)
        case .validation: return try await blocks.validate(request)
        case .events: return try await events.listen(request)
        case .live: return probes.live()
        case .ready: return try await probes.ready()
        case .verified: return try probes.verified()
        case .metrics: return try await probes.metrics()
        case .block(let name): return try await blocks.block(name, context: context)
        case .group, .groupAddress, .groupForget, .groupAdopt, .receivedList, .round, .orphans, .peerStatus,
            .peerLocate, .peerStream, .peerLeave, .peerForward:
            return try await sync.answer(route, request, context: context)
        }
    }

    /// Waits until this node has all that was in the order when the request came, if it asks for that.
    private func awaitOrder(_ request: Request) async throws {
        guard let consistency = request.uri.queryParameters["consistency"], consistency != "local" else { return }
        let location: [RequestFault.Step] = ["query", "consistency"]
        guard consistency == "linearizable" else {
            throw HTTPFailure(RequestFault(location, "value is not local or linearizable", type: "value_error"))
        }
        guard let consensus = sync.replica.consensus else {
            throw HTTPFailure(
                RequestFault(location, "this group has no engine that could tell", type: "value_error"))
        }
        do {
            try await withTimeLimit(seconds: Self.orderSeconds) { try await consensus.awaitOrder() }
        } catch let error as OrderNotKnown {
            throw HTTPFailure(.serviceUnavailable, error.reason)
        } catch is TimeLimitExceeded {
            throw HTTPFailure(.serviceUnavailable, "this node is behind the order, or etcd does not answer")
        }
    }

    /// How long a read waits for the order.
    private static let orderSeconds = 10.0

    /// Counts an answer and logs it, without anything that a client has sent: at level info if the node failed, else debug.
    func answered(
        _ method: HTTPRequest.Method, route: Route?, status: HTTPResponse.Status, duration: Duration,
        requestID: String?
    ) {
        metrics.record(route: route, status: status, duration: duration)
        logger.log(
            level: status.kind == .serverError ? .info : .debug, "answered",
            metadata: [
                "method": "\(method.rawValue)", "route": "\(route?.name ?? "none")",
                "status": .stringConvertible(status.code),
                "seconds": .stringConvertible(duration / .seconds(1)), "request_id": "\(requestID ?? "none")",
            ])
    }

    /// What an error is answered with. What whoever runs the node should know is logged.
    func failure(for error: any Error, route: Route?) -> HTTPFailure {
        switch error {
        case let failure as HTTPFailure: return failure
        case let error as AppendError:
            switch error {
            case .outcomeUnknown, .diskFull, .unavailable, .damagedHead, .damaged:
                logger.error("append failed", metadata: ["reason": "\(error)"])
            default: break
            }
            return HTTPFailure(error)
        case let error as ReadError:
            switch error {
            case .damaged, .database: logger.error("read failed", metadata: ["reason": "\(error)"])
            case .hashesIncomplete, .listChanged, .closed: break
            }
            return HTTPFailure(error)
        case is CancellationError: return .givenUp
        default:
            // Its type only: a description could hold what the client sent.
            logger.error(
                "request failed", metadata: ["route": "\(route?.name ?? "none")", "error": "\(type(of: error))"])
            return HTTPFailure.internalError.closingConnection()
        }
    }
}
