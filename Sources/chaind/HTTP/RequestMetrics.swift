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

    /// Records a request; a timer counts what it is given.
    func record(route: Route?, status: HTTPResponse.Status, duration: Duration) {
        let key = Key(route: route?.name ?? "none", status: status.code)
        let timer = timers.withLock { timers in
            if let timer = timers[key] { return timer }
            let timer = Timer(
                label: Metric.requestSeconds.name, dimensions: [("route", key.route), ("status", String(key.status))])
            timers[key] = timer
            return timer
        }
        timer.record(duration: duration)
    }
}
