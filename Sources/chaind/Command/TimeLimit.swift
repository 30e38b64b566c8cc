// A limit on how long something may take.

/// The time was over before there was a result.
struct TimeLimitExceeded: Error, CustomStringConvertible {
    let seconds: Double

    var description: String { "no answer within \(seconds) s" }
}

/// Does work, and cancels it when the time is over.
///
/// - Throws: `TimeLimitExceeded`, or what the work throws. Work that ignores that it is cancelled is waited for.
func withTimeLimit<Value: Sendable>(
    seconds: Double, _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value.self) { group in
        group.addTask { try await work() }
        group.addTask {
            try await Task.sleep(for: .seconds(seconds))
            throw TimeLimitExceeded(seconds: seconds)
        }
        defer { group.cancelAll() }
        guard let value = try await group.next() else { throw CancellationError() }
        return value
    }
}
