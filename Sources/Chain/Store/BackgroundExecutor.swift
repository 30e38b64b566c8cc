// Runs an actor on a thread of its own that gives way to others: a validation or a scrub takes what requests leave of the
// processor, and all of it where there are none.

import Dispatch
import Glibc
import Synchronization

/// A serial executor over a thread of low priority (SE-0392). The thread ends with the executor.
final class BackgroundExecutor: SerialExecutor {
    /// On Linux a nice value is one of a thread, not of its process (setpriority(2)).
    private static let niceness: Int32 = 10

    /// What the thread waits for.
    private final class Inbox: Sendable {
        private let jobs = Mutex<[(@Sendable () -> Void)?]>([])
        private let arrived = DispatchSemaphore(value: 0)

        /// - Parameter job: `nil` to end the thread.
        func put(_ job: (@Sendable () -> Void)?) {
            jobs.withLock { $0.append(job) }
            arrived.signal()
        }

        /// Does what comes until it is to end.
        func run() {
            while true {
                arrived.wait()
                guard let job = jobs.withLock({ $0.removeFirst() }) else { return }
                job()
            }
        }
    }

    private let inbox = Inbox()
    /// Takes the jobs where there can be no more threads.
    private let queue: DispatchQueue?

    init(label: String) {
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(inbox)
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, BackgroundExecutor.niceness)
                Unmanaged<Inbox>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, argument.toOpaque())
        if code == 0 {
            pthread_detach(thread)
            queue = nil
        } else {
            argument.release()
            queue = DispatchQueue(label: label)
        }
    }

    deinit { inbox.put(nil) }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let run: @Sendable () -> Void = { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
        if let queue { queue.async(execute: run) } else { inbox.put(run) }
    }
}
