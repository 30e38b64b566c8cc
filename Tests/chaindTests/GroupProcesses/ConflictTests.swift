// Real nodes whose settled blocks differ: they are told, keep their lists, and `chaind adopt` ends it without a loss.

import Chain
import Foundation
import TestSupport
import Testing

@testable import chaind

@Suite(.serialized, .timeLimit(.minutes(3)))
struct ConflictTests {
    /// Nodes 0 and 1 settle three blocks while node 2, which they were told to forget, appends six after the same block.
    private func withConflict(_ body: (NodeGroup, GroupLedger) async throws -> Void) async throws {
        try await withWrongClock { clock in
            // What is appended now is old enough to be settled once the clocks are right.
            try clock.set(aheadSeconds: -172_800)
            let environments = Dictionary(uniqueKeysWithValues: (0..<3).map { ($0, clock.environment) })
            try await withGroup(count: 3, environments: environments) { group in
                let ledger = GroupLedger()
                await ledger.append(["of all"], to: group.nodes[0])
                try await group.waitUntilEqual()
                group.setLinks(between: [0, 1], and: [2], .cut)
                for index in 0..<3 { await ledger.append(["of two \(index)"], to: group.nodes[0]) }
                for index in 0..<6 { await ledger.append(["of one \(index)"], to: group.nodes[2]) }
                let forgotten = ["address": group.address(of: 2)]
                #expect(try await group.nodes[0].client.post("/sync/forget", forgotten).status == 200)
                try clock.set(aheadSeconds: 0)
                try await eventually("both settle their blocks") {
                    for index in [0, 1] where try await Self.settledHeight(of: group.nodes[index]) != 4 { return false }
                    return true
                }
                group.openLinks()
                try await group.join(2, on: 0)
                for (index, other) in [(0, 2), (1, 2), (2, 0), (2, 1)] {
                    try await Self.waitUntilConflictIsTold(of: other, by: index, in: group)
                }
                try await body(group, ledger)
            }
        }
    }

    @Test func theNodeThatWasAwayAdoptsTheSettledListAndKeepsItsBlocks() async throws {
        try await withConflict { group, ledger in
            // Both sides go on as they are.
            await ledger.append(["of two, later"], to: group.nodes[1])
            await ledger.append(["of one, later"], to: group.nodes[2])
            #expect(try await group.waitUntilEqual([0, 1]).height == 5)
            #expect(try await group.nodes[2].client.get("/").json(StatusAnswer.self).height == 8)

            try await Self.adopt(from: 0, on: 2, in: group)
            let list = try await ledger.check(group)
            #expect(list.count == 13)
            #expect(list[2...5].allSatisfy { $0.data.hasPrefix("of two") && $0.origin == nil })
            try await Self.expectOrphansMoved(on: group.nodes[2], count: 7, list: list)
            try await Self.waitUntilNoConflict(in: group)
        }
    }

    @Test func theNodesThatSettledAdoptTheOtherListAndKeepTheirBlocks() async throws {
        try await withConflict { group, ledger in
            for index in [0, 1] { try await Self.adopt(from: 2, on: index, in: group) }
            let list = try await ledger.check(group)
            #expect(list.count == 11)
            #expect(list[2...7].allSatisfy { $0.data.hasPrefix("of one") && $0.origin == nil })
            for index in [0, 1] { try await Self.expectOrphansMoved(on: group.nodes[index], count: 3, list: list) }
            try await Self.waitUntilNoConflict(in: group)
        }
    }

    /// Up to where the node's list is settled, as it tells a member; asked in its own name, so that it learns nothing.
    private static func settledHeight(of node: NodeProcess) async throws -> Int {
        let status: TestSupport.StatusAnswer = try await node.client.get("/").json()
        let url = try await node.client.get("/sync/").json(TestSupport.GroupAnswer.self).ourURL
        let question = StatusMessage(
            address: try MemberAddress(url), nodeID: status.nodeID, timeSeconds: Int(systemSeconds()),
            head: Block.genesis.point, finalHeight: 0, settledHeight: 0, members: [])
        return try await node.client.post("/sync/status", question).json(StatusMessage.self).settledHeight
    }

    private static func waitUntilConflictIsTold(of other: Int, by index: Int, in group: NodeGroup) async throws {
        let address = group.address(of: other)
        try await eventually("node \(index) tells of its conflict with node \(other)") {
            let member = try await group.view(of: index).member(address)
            return member?.state == "conflict" && member?.lastError?.contains("from height 2 on") == true
        }
        #expect(group.nodes[index].error.contains("settled blocks differ"), "the log: \(group.nodes[index].error)")
    }

    private static func waitUntilNoConflict(in group: NodeGroup) async throws {
        try await eventually("no conflict is left") {
            for index in group.nodes.indices {
                let members = try await group.view(of: index).members
                if members.contains(where: { $0.state != "up" || $0.lastError != nil }) { return false }
            }
            return true
        }
    }

    private static func adopt(from other: Int, on index: Int, in group: NodeGroup) async throws {
        let node = group.nodes[index]
        let result = try await runChaind([
            "adopt", "--from", group.address(of: other), "--url", "http://127.0.0.1:\(node.port)",
        ])
        #expect(result.status == 0, "\(result.error)")
        #expect(result.output.contains("\"adopted\":true"), "\(result.output)")
    }

    private static func expectOrphansMoved(on node: NodeProcess, count: Int, list: [BlockAnswer]) async throws {
        var orphans: [TestSupport.OrphanAnswer] = []
        try await eventually("all orphans have moved") {
            orphans = try await node.client.get("/sync/orphans").json(TestSupport.OrphansAnswer.self).orphans
            return orphans.count >= count && orphans.allSatisfy { $0.state == "moved" }
        }
        for orphan in orphans {
            let place = try #require(orphan.block)
            #expect(list[place.height].hash == place.hash && list[place.height].identity == orphan.hash)
        }
    }
}
