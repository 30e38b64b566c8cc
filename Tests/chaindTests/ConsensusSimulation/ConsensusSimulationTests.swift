// Groups with an engine under seeded schedules of everything that can happen to them. A seed that fails is played again,
// with its trace, by the command that the failure prints.

import Foundation
import TestSupport
import Testing

@testable import chaind

@Suite("Simulated groups with an engine")
struct ConsensusSimulationTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let onlySeed = environment["CHAIND_CONSENSUS_SIMULATION_SEED"].flatMap { UInt64($0) }
    private static let first = environment["CHAIND_CONSENSUS_SIMULATION_FIRST"].flatMap { UInt64($0) } ?? 1
    private static let count = environment["CHAIND_CONSENSUS_SIMULATION_SEEDS"].flatMap { Int($0) } ?? 100

    /// A history does one thing at a time.
    private static let historiesAtOnce = ProcessInfo.processInfo.activeProcessorCount

    @Test("Whatever etcd, the network and the nodes do, there is one list with all that was acknowledged, each once")
    func histories() async throws {
        let seeds = Self.onlySeed.map { [$0] } ?? (0..<Self.count).map { Self.first + UInt64($0) }
        var rest = seeds.makeIterator()
        var outcomes: [ConsensusOutcome] = []
        await withTaskGroup(of: ConsensusOutcome?.self) { tasks in
            for _ in 0..<Self.historiesAtOnce { if let seed = rest.next() { tasks.addTask { await Self.play(seed) } } }
            for await outcome in tasks {
                if let outcome { outcomes.append(outcome) }
                if let seed = rest.next() { tasks.addTask { await Self.play(seed) } }
            }
        }
        let events = outcomes.reduce(0) { $0 + $1.events }
        let appended = outcomes.reduce(0) { $0 + $1.appended }
        #expect(Self.onlySeed != nil || appended >= 10 * seeds.count, "hardly anything happened: \(appended) appends")
        print("\(outcomes.count) histories, \(events) events, \(appended) appends")
    }

    @Test("A seed gives the same history again")
    func repetition() async throws {
        for seed in UInt64(1)...3 {
            let first = await Self.play(seed)
            let second = await Self.play(seed)
            #expect(first == second)
        }
    }

    private static func play(_ seed: UInt64) async -> ConsensusOutcome? {
        do {
            return try await withTemporaryDirectory(isInMemory: true) { directory in
                let outcome = await ConsensusSimulation(
                    seed: seed, directory: directory.path, isTraced: onlySeed != nil
                ).play()
                for violation in outcome.violations {
                    Issue.record(
                        """
                        seed \(seed), \(violation)
                        again: CHAIND_CONSENSUS_SIMULATION_SEED=\(seed) \
                        swift test --filter ConsensusSimulationTests.histories
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
