// Counts and times requests by route and status, for whatever metrics backend the process has.

import HTTPTypes
import Metrics
import Synchronization

/// The timers of the requests, each made once.
final class RequestMetrics: Sendable {
    private struct Key: Hashable {
        let route: String
        let status: Int
    }

    private let timers = Mutex<[Key: Timer]>([:])

    /// Failures are counted from zero on: of a series that begins with the first one, nobody could tell how many there were.
    init() {
        for status in [500, 503, 504, 507] { _ = timer(Key(route: Route.blocks.name, status: status)) }
    }

    /// Records a request; a timer counts what it is given.
    func record(route: Route?, status: HTTPResponse.Status, duration: Duration) {
        timer(Key(route: route?.name ?? "none", status: status.code)).record(duration: duration)
    }

    private func timer(_ key: Key) -> Timer {
        timers.withLock { timers in
            if let timer = timers[key] { return timer }
            let timer = Timer(
                label: Metric.requestSeconds.name, dimensions: [("route", key.route), ("status", String(key.status))])
            timers[key] = timer
            return timer
        }
    }
}
