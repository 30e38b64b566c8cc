// What a node measures, and by what it judges itself.

import Chain
import Metrics

/// What those are told who watch a node.
struct NodeWatch: Sendable {
    let recorded: PrometheusMetrics
    let verification: Verification
    let bounds: ProbeBounds
    let databasePath: String
    /// When the process began, in seconds since the Unix epoch.
    let startedTime: Int64
}

extension CommitObserver {
    /// Records what the writer does.
    static var recording: CommitObserver {
        let seconds = Timer(label: Metric.commitSeconds.name)
        let blocks = Counter(label: Metric.appendedBlocks.name)
        let batch = Recorder(label: Metric.batchBlocks.name)
        return CommitObserver(
            nowSeconds: monotonicSeconds, committed: { seconds.recordSeconds($0) },
            appended: { count in
                blocks.increment(by: count)
                batch.record(count)
            })
    }
}
