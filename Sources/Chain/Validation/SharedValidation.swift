// Lets many callers share one validation of the list.

/// Runs at most one validation at a time. A caller joins the one that runs if that goes up to the head of now; else
/// all that come meanwhile share the next. One that nobody waits for any more is cancelled.
actor SharedValidation {
    private typealias Waiter = CheckedContinuation<ValidationReport, any Error>

    private struct Run {
        let end: Int
        let task: Task<Void, Never>
        var waiters: [Int: Waiter]
    }

    private let state: ListState
    private let validate: @Sendable (_ end: Int) async throws -> ValidationReport
    private var run: Run?
    private var waitersForNext: [Int: Waiter] = [:]
    private var lastWaiter = 0
    private var isClosed = false

    /// - Parameter validate: validates the blocks below `end`.
    init(state: ListState, validate: @escaping @Sendable (_ end: Int) async throws -> ValidationReport) {
        self.state = state
        self.validate = validate
    }

    /// The report of a validation that goes up to at least the head of now.
    ///
    /// - Throws: `ReadError`, or `CancellationError` if the caller is cancelled.
    func report() async throws -> ValidationReport {
        lastWaiter += 1
        let waiter = lastWaiter
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { join(waiter, $0) }
        } onCancel: {
            Task { await self.leave(waiter) }
        }
    }

    private func join(_ waiter: Int, _ continuation: Waiter) {
        if isClosed {
            continuation.resume(throwing: ReadError.closed)
        } else if Task.isCancelled {
            continuation.resume(throwing: CancellationError())
        } else if let run, !run.task.isCancelled, run.end > state.head.height {
            self.run?.waiters[waiter] = continuation
        } else {
            waitersForNext[waiter] = continuation
            startIfIdle()
        }
    }

    private func leave(_ waiter: Int) {
        let continuation = waitersForNext.removeValue(forKey: waiter) ?? run?.waiters.removeValue(forKey: waiter)
        continuation?.resume(throwing: CancellationError())
        if let run, run.waiters.isEmpty { run.task.cancel() }
    }

    private func startIfIdle() {
        guard run == nil, !waitersForNext.isEmpty else { return }
        let end = state.head.height + 1
        let task = Task { [validate] in
            let result: Result<ValidationReport, any Error>
            do {
                result = .success(try await validate(end))
            } catch {
                result = .failure(error)
            }
            finish(result)
        }
        run = Run(end: end, task: task, waiters: waitersForNext)
        waitersForNext = [:]
    }

    private func finish(_ result: Result<ValidationReport, any Error>) {
        let waiters = run?.waiters ?? [:]
        run = nil
        for continuation in waiters.values { continuation.resume(with: result) }
        startIfIdle()
    }

    /// Ends what runs and takes no more, for a list that closes.
    func close() async {
        isClosed = true
        let waiters = waitersForNext
        waitersForNext = [:]
        for continuation in waiters.values { continuation.resume(throwing: ReadError.closed) }
        run?.task.cancel()
        await run?.task.value
    }
}
