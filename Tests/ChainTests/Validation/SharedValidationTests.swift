// Many who ask for a validation share one.

import Synchronization
import TestSupport
import Testing

@testable import Chain

@Suite struct SharedValidationTests {
    /// Counts the runs, and holds each one until it is let go or cancelled.
    private final class Runs: Sendable {
        let ends = Mutex<[Int]>([])
        let cancelled = Mutex(0)
        private let gate: AsyncStream<Void>
        private let gateKeeper: AsyncStream<Void>.Continuation

        init() { (gate, gateKeeper) = AsyncStream.makeStream() }

        func letGo() { gateKeeper.finish() }

        func run(_ end: Int) async throws -> ValidationReport {
            ends.withLock { $0.append(end) }
            for await _ in gate {}
            if Task.isCancelled {
                cancelled.withLock { $0 += 1 }
                throw CancellationError()
            }
            return ValidationReport(height: end - 1, blocks: end, fault: nil)
        }
    }

    private func state(height: Int) -> ListState {
        let state = ListState()
        state.opened(with: Head(height: height, hash: .zero, timestamp: 0), settledHeight: 0, finalHeight: 0)
        return state
    }

    @Test func callersShareARunAndLaterOnesGetTheirOwnBlocksToo() async throws {
        let runs = Runs()
        let state = state(height: 9)
        let shared = SharedValidation(state: state) { try await runs.run($0) }
        let early = (0..<20).map { _ in Task { try await shared.report().height } }
        try await waitUntil { runs.ends.withLock { $0.count } == 1 }
        // A head that the running one does not reach: these share the next.
        state.advance(to: Head(height: 15, hash: .zero, timestamp: 0))
        let late = (0..<20).map { _ in Task { try await shared.report().height } }
        try await Task.sleep(for: .milliseconds(50))
        runs.letGo()
        for task in late { #expect(try await task.value == 15) }
        for task in early { #expect(try await [9, 15].contains(task.value)) }
        #expect(runs.ends.withLock { $0 } == [10, 16])
    }

    @Test func aRunThatNobodyWaitsForEnds() async throws {
        let runs = Runs()
        let shared = SharedValidation(state: state(height: 9)) { try await runs.run($0) }
        let tasks = (0..<3).map { _ in Task { try await shared.report() } }
        try await waitUntil { runs.ends.withLock { $0.count } == 1 }
        try await Task.sleep(for: .milliseconds(50))
        for task in tasks { task.cancel() }
        for task in tasks { await #expect(throws: CancellationError.self) { try await task.value } }
        try await waitUntil { runs.cancelled.withLock { $0 } == 1 }
        // Who comes now is not given the cancelled one's outcome.
        runs.letGo()
        #expect(try await shared.report().isValid)
        #expect(runs.ends.withLock { $0.count } == 2)
    }

    @Test func oneWhoLeavesTakesNobodyAlong() async throws {
        let runs = Runs()
        let shared = SharedValidation(state: state(height: 9)) { try await runs.run($0) }
        let staying = Task { try await shared.report() }
        try await waitUntil { runs.ends.withLock { $0.count } == 1 }
        let leaving = Task { try await shared.report() }
        try await Task.sleep(for: .milliseconds(50))
        leaving.cancel()
        await #expect(throws: CancellationError.self) { try await leaving.value }
        runs.letGo()
        #expect(try await staying.value.isValid)
        #expect(runs.ends.withLock { $0.count } == 1)
    }

    private func waitUntil(_ condition: () -> Bool) async throws {
        for _ in 0..<2_000 where !condition() { try await Task.sleep(for: .milliseconds(5)) }
        try #require(condition())
    }
}
