// Groups with an engine under seeded schedules of everything that can happen to them. A seed that fails is played again,
// with its trace, by the command that the failure prints.

import Testing

@testable import chaind

@Suite("Simulated groups with an engine")
struct ConsensusSimulationTests {
    private static let all = SeededHistories<ConsensusOutcome>(
        name: "CHAIND_CONSENSUS_SIMULATION", test: "ConsensusSimulationTests.histories", violations: \.violations
    ) { seed, directory, isTraced in
        await ConsensusSimulation(seed: seed, directory: directory, isTraced: isTraced).play()
    }

    @Test("Whatever etcd, the network and the nodes do, there is one list with all that was acknowledged, each once")
    func histories() async throws {
        let outcomes = await Self.all.playAll()
        let events = outcomes.reduce(0) { $0 + $1.events }
        let appended = outcomes.reduce(0) { $0 + $1.appended }
        let isEnough = appended >= 10 * Self.all.seeds.count
        #expect(Self.all.onlySeed != nil || isEnough, "hardly anything happened: \(appended) appends")
        print("\(outcomes.count) histories, \(events) events, \(appended) appends")
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
