// Waiting for what has to come about by itself, with a bound.

/// Waits until a condition holds; a request that fails meanwhile counts as one that does not.
///
/// - Throws: `TestSupportError` if it does not before the time-out.
public func eventually(
    _ what: String, timeoutSeconds: Double = 30, isolation: isolated (any Actor)? = #isolation,
    _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + .seconds(timeoutSeconds)
    var failure = ""
    while ContinuousClock.now < deadline {
        do {
            if try await condition() { return }
            failure = ""
        } catch let error as CancellationError {
            throw error
        } catch {
            failure = " (\(error))"
        }
        try await Task.sleep(for: .milliseconds(20))
    }
    throw TestSupportError("not within \(timeoutSeconds) s: \(what)\(failure)")
}
