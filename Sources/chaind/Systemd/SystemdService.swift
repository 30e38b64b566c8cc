// Tells systemd when the node is ready, that it lives, and that it stops.

import Chain
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization

/// What systemd is told, as a service that is stopped before all others.
///
/// A sign of life is sent only if what answers requests works: it runs in the cooperative pool, each event loop has had a turn
/// since the last one, and the writer of the database was not busy with one thing for too long. Pool and loops may be late
/// by half of what systemd waits. The writer may be by more: a restart makes no disk faster, and takes the reads away too.
struct SystemdService: Service {
    /// How often, and after which pause, a datagram is sent again that finds no room.
    private static let triesMax = 50
    private static let retrySeconds = 0.1

    let socket: NotifySocket
    let list: BlockList
    /// Ends with an element once the node can be reached.
    let listening: AsyncStream<Void>
    let logger: Logger
    /// How long the writer may be busy with one thing. Its transactions are bounded; what a disk needs for them is not.
    var writerSecondsMax = 120.0

    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown { try await live() }
        } catch is CancellationError {
            // The node stops.
        }
        await tell("STOPPING=1")
    }

    private func live() async throws {
        var listening = listening.makeAsyncIterator()
        guard await listening.next() != nil else { return }
        await tell("READY=1")
        guard let watchdogSeconds = socket.watchdogSeconds else { return try await gracefulShutdown() }
        let writer = WriterWatch()
        while true {
            for loop in MultiThreadedEventLoopGroup.singleton.makeIterator() { try await loop.submit {}.get() }
            if writer.busySeconds(list) < writerSecondsMax { await tell("WATCHDOG=1") }
            try await Task.sleep(for: .seconds(watchdogSeconds / 2))
        }
    }

    private func tell(_ state: String) async {
        var tries = 0
        while true {
            do throws(NotifySocket.SendError) {
                return try socket.send(state)
            } catch {
                tries += 1
                guard error.isFull, tries < Self.triesMax else {
                    return logger.warning("systemd is not told", metadata: ["state": "\(state)", "reason": "\(error)"])
                }
            }
            do {
                try await Task.sleep(for: .seconds(Self.retrySeconds))
            } catch {
                return  // The node stops, and says that next.
            }
        }
    }
}

/// Asks the writer of a list whether it does anything, without waiting for it.
private final class WriterWatch: Sendable {
    /// Since when the writer owes an answer.
    private let askedSeconds = Mutex<Double?>(nil)

    /// How long the writer has owed an answer; it is asked again if it owes none.
    func busySeconds(_ list: BlockList) -> Double {
        let now = monotonicSeconds()
        if let askedSeconds = askedSeconds.withLock(\.self) { return now - askedSeconds }
        askedSeconds.withLock { $0 = now }
        list.afterWrites { [self] in askedSeconds.withLock { $0 = nil } }
        return 0
    }
}
