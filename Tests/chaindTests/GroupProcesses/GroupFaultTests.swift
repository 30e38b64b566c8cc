// Groups of real nodes under load, with nodes killed and stopped and links cut, frozen and slowed at random moments. In
// the end everything works again, and every acknowledged block has to stand in every list exactly once.

import Foundation
import TestSupport
import Testing

@Suite(.serialized)
struct GroupFaultTests {
    private static let rounds = setting("CHAIND_TEST_GROUP_ROUNDS") ?? 1
    /// Repeats the faults of a run that failed, though not their exact moments.
    private static let seed = setting("CHAIND_TEST_SEED") ?? Int.random(in: 0..<1_000_000_000)

    private static func setting(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }

    @Test(.timeLimit(.minutes(60)), arguments: [3, 5])
    func everyAcknowledgedBlockIsInEveryListOnce(count: Int) async throws {
        for round in 0..<Self.rounds {
            let seed = Self.seed + round
            do {
                try await play(count: count, faults: 10, seed: seed)
            } catch {
                Issue.record("\(count) nodes, seed \(seed): \(error)")
                return
            }
        }
    }

    private func play(count: Int, faults: Int, seed: Int) async throws {
        try await withGroup(count: count, arguments: ["--orphan-seconds", "2"]) { group in
            let load = GroupLoad()
            async let running: Void = load.run(on: group)
            var story = FaultStory(group: group, seed: seed)
            for _ in 0..<faults { try await story.next() }
            try await story.heal()
            try await Task.sleep(for: .milliseconds(500))
            await load.end()
            await running
            do {
                try await group.waitUntilTogether(timeoutSeconds: 90)
                try await load.finish(on: group)
                let list = try await load.ledger.check(group)
                try await load.checkKeys(on: group, list: list)
                #expect(await load.ledger.acknowledged.count > 50 * count, "there was no load")
                try await stopAndVerify(group)
            } catch {
                throw TestSupportError("\(error)\n\(story.told.joined(separator: "\n"))\n\(logs(of: group))")
            }
        }
    }

    private func stopAndVerify(_ group: NodeGroup) async throws {
        for node in group.nodes { #expect(try await node.end(SIGTERM) == 0) }
        for node in group.nodes {
            let verified = try await runChaind(["verify", node.databasePath])
            #expect(verified.status == 0, "\(verified.output)\(verified.error)")
        }
    }

    private func logs(of group: NodeGroup) -> String {
        group.nodes.enumerated().map { "node \($0), \(group.address(of: $0)):\n" + $1.error.suffix(3_000) }
            .joined(separator: "\n")
    }
}

/// Faults that follow each other at random, each beginning while others last.
struct FaultStory {
    /// What happened, for who has to find out why a test failed.
    private(set) var told: [String] = []
    private let group: NodeGroup
    private var random: SeededGenerator
    private var killed: Set<Int> = []
    private var stopped: Set<Int> = []
    private let start = ContinuousClock.now

    init(group: NodeGroup, seed: Int) {
        self.group = group
        random = SeededGenerator(seed: UInt64(seed))
    }

    /// Lets one thing happen, and some time pass.
    mutating func next() async throws {
        let node = Int.random(in: group.nodes.indices, using: &random)
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<3: try await killOrStart(node)
        case 3..<5: stopOrContinue(node)
        case 5: part()
        case 6:
            tell("all links are open")
            group.openLinks()
        default: breakLink(of: node)
        }
        try await Task.sleep(for: .milliseconds(Int.random(in: 100...1_200, using: &random)))
    }

    /// Everything works again.
    mutating func heal() async throws {
        tell("all is well")
        group.openLinks()
        for node in stopped { group.nodes[node].signal(SIGCONT) }
        stopped = []
        for node in killed { try await group.nodes[node].start() }
        killed = []
    }

    private mutating func killOrStart(_ node: Int) async throws {
        if killed.contains(node) {
            tell("\(node) starts")
            try await group.nodes[node].start()
            killed.remove(node)
        } else {
            tell("\(node) is killed")
            #expect(try await group.nodes[node].end(SIGKILL) == 128 + SIGKILL)
            killed.insert(node)
            stopped.remove(node)
        }
    }

    private mutating func stopOrContinue(_ node: Int) {
        guard !killed.contains(node) else { return }
        if stopped.remove(node) != nil {
            tell("\(node) goes on")
            group.nodes[node].signal(SIGCONT)
        } else {
            tell("\(node) is stopped")
            group.nodes[node].signal(SIGSTOP)
            stopped.insert(node)
        }
    }

    private mutating func part() {
        let nodes = Array(group.nodes.indices).shuffled(using: &random)
        let side = Array(nodes.prefix(Int.random(in: 1..<nodes.count, using: &random)))
        let other = nodes.filter { !side.contains($0) }
        let state: LinkState = Bool.random(using: &random) ? .cut : .frozen
        tell("\(side) and \(other): \(state)")
        group.setLinks(between: side, and: other, state)
    }

    private mutating func breakLink(of node: Int) {
        let others = group.nodes.indices.filter { $0 != node }
        let other = others[Int.random(in: others.indices, using: &random)]
        let states: [LinkState] = [
            .cut, .frozen, .halfOpen, .slow(milliseconds: 50), .answersLost, .brittle(sizeBytes: 20_000),
        ]
        let state = states[Int.random(in: states.indices, using: &random)]
        tell("from \(node) to \(other): \(state)")
        group.setLink(from: node, to: other, state)
    }

    private mutating func tell(_ what: String) {
        told.append("\((ContinuousClock.now - start) / .seconds(1)) s: \(what)")
    }
}
