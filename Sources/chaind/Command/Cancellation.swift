// What SIGINT and SIGTERM do to a command other than `serve`.

import ArgumentParser
import Glibc
import Synchronization
import UnixSignals

/// Does work whose task the first SIGINT or SIGTERM cancels. A second signal ends the process at once.
///
/// - Throws: what the work throws; exit status 128 and the signal's number where it ended by `CancellationError`.
func cancelledBySignal<Value: Sendable>(_ work: @escaping @Sendable () async throws -> Value) async throws -> Value {
    let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
    let received = Mutex<Int32?>(nil)
    let task = Task { try await work() }
    let watcher = Task {
        for await signal in signals {
            if task.isCancelled { _exit(128 + signal.rawValue) }
            received.withLock { $0 = signal.rawValue }
            task.cancel()
        }
    }
    defer { watcher.cancel() }
    do {
        return try await task.value
    } catch let error as CancellationError {
        guard let signal = received.withLock({ $0 }) else { throw error }
        throw ExitCode(128 + signal)
    }
}
