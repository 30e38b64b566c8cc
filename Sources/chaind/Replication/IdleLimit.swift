// A limit on how long something may stand still, for work whose length cannot be known before.

import Synchronization

/// When something last went on. Shared by who notes it and who watches.
final class Activity: Sendable {
    private let last = Mutex(ContinuousClock.now)

    /// Says that something goes on now.
    func note() {
        last.withLock { $0 = .now }
    }

    fileprivate var lastNoted: ContinuousClock.Instant { last.withLock { $0 } }
}

/// Does work, and cancels it when no activity was noted for so long.
///
/// - Throws: `TimeLimitExceeded`, or what the work throws.
func withIdleLimit<Value: Sendable>(
    seconds: Double, _ activity: Activity, _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value.self) { group in
        group.addTask { try await work() }
        group.addTask {
            var limit = activity.lastNoted + .seconds(seconds)
            while limit > .now {
                try await Task.sleep(until: limit)
                limit = activity.lastNoted + .seconds(seconds)
            }
            throw TimeLimitExceeded(seconds: seconds)
        }
        defer { group.cancelAll() }
        guard let value = try await group.next() else { throw CancellationError() }
        return value
    }
}
