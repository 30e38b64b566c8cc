// Groups of nodes under seeded schedules of everything that can happen to them. A seed that fails is played again, with
// its trace, by the command that the failure prints.

import Testing

@testable import chaind

@Suite("Simulated groups")
struct SimulationTests {
    private static let all = SeededHistories<HistoryOutcome>(
        name: "CHAIND_SIMULATION", test: "SimulationTests.histories", violations: \.violations
    ) { seed, directory, isTraced in
        await Simulation(seed: seed, directory: directory, isTraced: isTraced).play()
    }

    @Test("Whatever happens, all lists are equal in the end, and nothing that was acknowledged is lost or there twice")
    func histories() async throws {
        let outcomes = await Self.all.playAll()
        let conflicts = outcomes.filter { $0.conflicts > 0 }.map(\.seed).sorted()
        #expect(conflicts.count <= max(1, Self.all.seeds.count / 1_000), "conflicts in \(conflicts)")
        let events = outcomes.reduce(0) { $0 + $1.events }
        print("\(outcomes.count) histories, \(events) events, conflicts in \(conflicts)")
    }

    @Test("A seed gives the same history again")
    func repetition() async throws {
        for seed in UInt64(1)...3 {
            let first = await Self.all.play(seed)
            let second = await Self.all.play(seed)
            #expect(first == second)
        }
    }
}
