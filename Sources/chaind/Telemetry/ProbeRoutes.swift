// What those ask who start, stop and watch nodes: whether it runs, whether it is where its group is, whether its list is good.

import Chain
import HTTPTypes
import Hummingbird
import NIOCore

/// What a node may lack and still be ready, and how long ago its list may have been looked at.
struct ProbeBounds: Sendable {
    let lagBlocksMax: Int
    let verifiedSecondsMax: Int64
}

/// Answers `/live`, `/ready`, `/verified` and `/metrics`.
struct ProbeRoutes: Sendable {
    let replica: Replica
    let verification: Verification
    let figures: NodeFigures
    let recorded: PrometheusMetrics
    let bounds: ProbeBounds

    /// The process runs and answers.
    func live() -> Response { Self.good }

    /// The node takes appends, and has what its group has.
    func ready() async throws -> Response {
        if let failure = await notReady { throw failure }
        return Self.good
    }

    /// What keeps the node from being ready; `nil` if nothing does.
    private var notReady: HTTPFailure? {
        get async {
            let status = replica.list.status
            if status.headHash == .zero { return HTTPFailure(ReadError.damaged(height: status.height)) }
            return await replica.notReadyReason(lagBlocksMax: bounds.lagBlocksMax).map {
                HTTPFailure(.serviceUnavailable, $0)
            }
        }
    }

    /// The whole list was found good, not too long ago.
    func verified() throws -> Response {
        let status = replica.list.status
        if let height = status.damagedHeights.first { throw HTTPFailure(ReadError.damaged(height: height)) }
        if status.structureFault != nil {
            throw HTTPFailure(.serviceUnavailable, "the structure of the database file is damaged")
        }
        guard let ageSeconds = verification.goodAgeSeconds else {
            throw HTTPFailure(
                .serviceUnavailable,
                verification.validation == nil
                    ? "\((status.validatedHeight ?? -1) + 1) of \(status.height + 1) blocks are validated so far"
                    : "the last validation found a fault: validate again")
        }
        guard ageSeconds <= bounds.verifiedSecondsMax else {
            throw HTTPFailure(
                .serviceUnavailable,
                "validated \(ageSeconds) s ago, which may be \(bounds.verifiedSecondsMax) s at most")
        }
        return Self.good
    }

    /// Everything that is measured, as text for Prometheus.
    func metrics() async throws -> Response {
        let ready = MetricFamily(.ready, await notReady == nil ? 1 : 0)
        let text = PrometheusText.text(recorded.families + [ready] + (try await figures.families))
        return Response(
            status: .ok, headers: [.contentType: PrometheusText.contentType], body: ResponseBody(byteBuffer: text))
    }

    private static var good: Response { .json(ByteBuffer(string: "{\"status\":\"ok\"}")) }
}

extension Replica {
    /// Why this node is not where its group is; `nil` if it is.
    func notReadyReason(lagBlocksMax: Int) async -> String? {
        let height = list.status.height
        if let order = await consensus?.answer {
            guard order.takesAppends else {
                return order.reason ?? "it waits for its place in the group"
            }
            let lagBlocks = order.orderHeight - height
            return lagBlocks > lagBlocksMax ? "\(lagBlocks) blocks behind the order" : nil
        }
        for member in group.view(ownHeight: height, nowSeconds: nowSeconds()) where member.state == .up {
            guard let head = member.head else { return "nothing is known of \(member.address) yet" }
            let lagBlocks = head.height - height
            if lagBlocks > lagBlocksMax { return "\(lagBlocks) blocks behind \(member.address)" }
        }
        return nil
    }
}
