// Runs an actor on a dispatch queue of its own, so that its blocking calls hold no thread of the cooperative pool.

import Dispatch

/// A serial executor over a dispatch queue (SE-0392).
final class QueueExecutor: SerialExecutor {
    private let queue: DispatchQueue

    init(label: String) {
        queue = DispatchQueue(label: label)
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
}
