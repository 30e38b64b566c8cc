// Groups of nodes under seeded schedules of everything that can happen to them. A seed that fails is played again, with
// its trace, by the command that the failure prints.

import Foundation
import TestSupport
import Testing

@testable import chaind

@Suite("Simulated groups")
struct SimulationTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let onlySeed = environment["CHAIND_SIMULATION_SEED"].flatMap { UInt64($0) }
    private static let first = environment["CHAIND_SIMULATION_FIRST"].flatMap { UInt64($0) } ?? 1
    private static let count = environment["CHAIND_SIMULATION_SEEDS"].flatMap { Int($0) } ?? 100

    /// A history does one thing at a time.
    private static let historiesAtOnce = ProcessInfo.processInfo.activeProcessorCount

    @Test("Whatever happens, all lists are equal in the end, and nothing that was acknowledged is lost or there twice")
    func histories() async throws {
        let seeds = Self.onlySeed.map { [$0] } ?? (0..<Self.count).map { Self.first + UInt64($0) }
        var rest = seeds.makeIterator()
        var outcomes: [HistoryOutcome] = []
        await withTaskGroup(of: HistoryOutcome?.self) { tasks in
            for _ in 0..<Self.historiesAtOnce { if let seed = rest.next() { tasks.addTask { await Self.play(seed) } } }
            for await outcome in tasks {
                if let outcome { outcomes.append(outcome) }
                if let seed = rest.next() { tasks.addTask { await Self.play(seed) } }
            }
        }
        let conflicts = outcomes.filter { $0.conflicts > 0 }.map(\.seed).sorted()
        #expect(conflicts.count <= max(1, seeds.count / 1_000), "conflicts in \(conflicts)")
        let events = outcomes.reduce(0) { $0 + $1.events }
        print("\(outcomes.count) histories, \(events) events, conflicts in \(conflicts)")
    }

    @Test("A seed gives the same history again")
    func repetition() async throws {
        for seed in UInt64(1)...3 {
            let first = await Self.play(seed)
            let second = await Self.play(seed)
            #expect(first == second)
        }
    }

    private static func play(_ seed: UInt64) async -> HistoryOutcome? {
        do {
            return try await withTemporaryDirectory(isInMemory: true) { directory in
                let outcome = await Simulation(
                    seed: seed, directory: directory.path, isTraced: onlySeed != nil
                ).play()
                for violation in outcome.violations {
                    Issue.record(
                        """
                        seed \(seed), \(violation)
                        again: CHAIND_SIMULATION_SEED=\(seed) swift test --filter SimulationTests.histories
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
