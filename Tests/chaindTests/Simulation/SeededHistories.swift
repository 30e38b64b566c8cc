// Plays the histories of the seeds that the environment chooses.

import Foundation
import TestSupport
import Testing

/// Histories of one kind of simulation. `NAME_FIRST` and `NAME_SEEDS` choose the seeds, and `NAME_SEED` one that is traced.
struct SeededHistories<Outcome: Sendable>: Sendable {
    /// What the variables of the environment begin with.
    let name: String
    /// The test, as `swift test --filter` names it.
    let test: String
    /// What must not be, of an outcome.
    let violations: @Sendable (Outcome) -> [String]
    /// Plays a seed in a folder.
    let play: @Sendable (_ seed: UInt64, _ directory: String, _ isTraced: Bool) async -> Outcome

    private func number(_ variable: String) -> UInt64? {
        ProcessInfo.processInfo.environment["\(name)_\(variable)"].flatMap { UInt64($0) }
    }

    /// The one seed that is traced; `nil` where many are played.
    var onlySeed: UInt64? { number("SEED") }

    /// The seeds that are played: the first hundred unless others are chosen.
    var seeds: [UInt64] {
        let first = number("FIRST") ?? 1
        return onlySeed.map { [$0] } ?? (0..<(number("SEEDS") ?? 100)).map { first + $0 }
    }

    /// Plays all seeds, as many at a time as there are processors, since a history does one thing at a time.
    func playAll() async -> [Outcome] {
        var rest = seeds.makeIterator()
        var outcomes: [Outcome] = []
        await withTaskGroup(of: Outcome?.self) { tasks in
            for _ in 0..<ProcessInfo.processInfo.activeProcessorCount {
                if let seed = rest.next() { tasks.addTask { await play(seed) } }
            }
            for await outcome in tasks {
                if let outcome { outcomes.append(outcome) }
                if let seed = rest.next() { tasks.addTask { await play(seed) } }
            }
        }
        return outcomes
    }

    /// Plays a seed, and records what must not be with the command that plays it again.
    func play(_ seed: UInt64) async -> Outcome? {
        do {
            return try await withTemporaryDirectory(isInMemory: true) { directory in
                let outcome = await play(seed, directory.path, onlySeed != nil)
                for violation in violations(outcome) {
                    Issue.record(
                        """
                        seed \(seed), \(violation)
                        again: \(name)_SEED=\(seed) swift test --filter \(test)
                        """)
                }
                return outcome
            }
        } catch {
            Issue.record("seed \(seed): \(error)")
            return nil
        }
    }
}
