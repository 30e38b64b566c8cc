// Runs an actor on a thread of its own, so that its blocking calls hold no thread of the cooperative pool.

import Dispatch
import Glibc
import Synchronization

/// A serial executor over one thread (SE-0392). The thread ends with the executor.
final class ThreadExecutor: SerialExecutor {
    /// What the thread waits for.
    private final class Inbox: Sendable {
        private struct Content {
            var jobs: [@Sendable () -> Void] = []
            var isClosed = false
        }

        private let isBackground: Bool
        private let content = Mutex(Content())
        /// Signalled once for each time that something is there and nothing was.
        private let arrived = DispatchSemaphore(value: 0)

        init(isBackground: Bool) {
            self.isBackground = isBackground
        }

        func put(_ job: @escaping @Sendable () -> Void) {
            let isFirst = content.withLock { content in
                content.jobs.append(job)
                return content.jobs.count == 1 && !content.isClosed
            }
            if isFirst { arrived.signal() }
        }

        func close() {
            content.withLock { $0.isClosed = true }
            arrived.signal()
        }

        /// Does what comes until the inbox is closed.
        func run() {
            var politeness = isBackground ? Politeness() : nil
            var isClosed = false
            while !isClosed {
                arrived.wait()
                let jobs = content.withLock { content in
                    isClosed = content.isClosed
                    return exchange(&content.jobs, with: [])
                }
                for job in jobs {
                    job()
                    politeness?.rest()
                }
            }
        }
    }

    private let inbox: Inbox
    private let thread: pthread_t
    /// Takes the jobs where there can be no more threads.
    private let queue: DispatchQueue?

    /// - Parameter isBackground: whether the thread gives way to others: it takes what they leave of the processor, and all
    ///   of it where there are none.
    init(isBackground: Bool = false) {
        inbox = Inbox(isBackground: isBackground)
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(inbox)
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Inbox>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, argument.toOpaque())
        self.thread = thread
        if code == 0 {
            pthread_detach(thread)
            queue = nil
        } else {
            argument.release()
            queue = DispatchQueue(label: "chain")
        }
    }

    deinit { inbox.close() }

    /// Has the thread call `body` when it has done what came before. Unlike a task it needs no other thread on the way.
    func perform(_ body: @escaping @Sendable () -> Void) {
        if let queue { queue.async(execute: body) } else { inbox.put(body) }
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        perform { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }

    func checkIsolated() {
        if let queue {
            dispatchPrecondition(condition: .onQueue(queue))
        } else {
            precondition(pthread_equal(pthread_self(), thread) != 0, "not on the thread of the actor")
        }
    }
}

/// Has this thread give way to others.
private struct Politeness: ~Copyable {
    /// SCHED_IDLE, which the Glibc module does not show. Unlike a nice thread, such a one is stopped at once when another one
    /// wakes up (sched(7)).
    private static let idlePolicy: Int32 = 5
    /// So many times as long as was waited.
    private static let restFactor: UInt64 = 4
    private static let restNanosecondsMax: UInt64 = 50_000_000

    /// What the kernel says of this thread: the time that it ran, and that it waited to run (proc(5)). Where it does not say
    /// so there is no rest.
    private let descriptor = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)
    private var waitedNanoseconds: UInt64 = 0

    init() {
        var parameters = sched_param()
        sched_setscheduler(0, Self.idlePolicy, &parameters)
        waitedNanoseconds = read() ?? 0
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Rests in proportion to what was waited since the last time: where others want the processor too, each turn of this
    /// thread leaves them the caches full of what it read.
    mutating func rest() {
        guard let waited = read(), waited > waitedNanoseconds else { return }
        let nanoseconds = min(Self.restFactor * (waited - waitedNanoseconds), Self.restNanosecondsMax)
        waitedNanoseconds = waited
        var time = timespec(tv_sec: 0, tv_nsec: Int(nanoseconds))
        nanosleep(&time, nil)
    }

    private func read() -> UInt64? {
        withUnsafeTemporaryAllocation(byteCount: 80, alignment: 1) { buffer in
            let count = pread(descriptor, buffer.baseAddress, buffer.count, 0)
            guard count > 0 else { return nil }
            let fields = buffer[..<count].split(separator: UInt8(ascii: " "))
            guard fields.count == 3 else { return nil }
            return UInt64(String(decoding: fields[1], as: UTF8.self))
        }
    }
}
