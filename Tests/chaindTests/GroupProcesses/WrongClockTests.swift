// Real nodes with wrong clocks: they say so, nobody else is harmed, and no block from the future enters.

import Foundation
import TestSupport
import Testing

@testable import chaind

@Suite(.serialized, .timeLimit(.minutes(3)))
struct WrongClockTests {
    private static let told = "this machine's clock is wrong"

    @Test(arguments: [86_400, -3_600])
    func aWrongClockAmongRightOnesIsToldAndGivesNoBlockItsTime(aheadSeconds: Int) async throws {
        try await withWrongClock { clock in
            try clock.set(aheadSeconds: aheadSeconds)
            try await withGroup(count: 3, environments: [2: clock.environment]) { group in
                try await Self.waitUntilTold(group.nodes[2], Self.told)
                #expect(group.nodes[2].error.contains("off_by_seconds=\(aheadSeconds.signum() == 1 ? "" : "-")"))
                let ledger = GroupLedger()
                for index in 0..<9 { await ledger.append(["text \(index)"], to: group.nodes[index % 3]) }
                let list = try await ledger.check(group)
                #expect(list.count == 10)
                Self.expectTimesOfNow(list)
                for index in [0, 1] { #expect(!group.nodes[index].error.contains(Self.told)) }
                try await group.waitUntilTogether()
            }
        }
    }

    @Test func whatAFastClockGaveATimeWhileItsNodeWasAloneEntersWithTheRightTime() async throws {
        try await withWrongClock { clock in
            try clock.set(aheadSeconds: 86_400)
            try await withGroup(count: 3, started: 2, environments: [2: clock.environment]) { group in
                let ledger = GroupLedger()
                group.setLinks(between: [0, 1], and: [2], .cut)
                try await group.nodes[2].start()
                try await eventually("it knows its group") { try await group.view(of: 2).members.count == 2 }
                for index in 0..<3 { await ledger.append(["alone \(index)"], to: group.nodes[2]) }
                let early = try #require(try await group.nodes[2].wholeList().last)
                #expect(early.timestamp > systemSeconds() + 80_000, "the clock is not wrong")
                for index in 0..<2 { await ledger.append(["together \(index)"], to: group.nodes[index]) }
                group.openLinks()
                try await Self.waitUntilTold(group.nodes[2], Self.told)
                for node in group.nodes[..<2] { Self.expectTimesOfNow(try await node.wholeList()) }
                try clock.set(aheadSeconds: 0)
                let list = try await ledger.check(group)
                #expect(list.count == 6)
                Self.expectTimesOfNow(list)
            }
        }
    }

    @Test(arguments: [86_400, -86_400])
    func twoNodesWhoseClocksDifferBothSaySo(aheadSeconds: Int) async throws {
        try await withWrongClock { clock in
            try clock.set(aheadSeconds: aheadSeconds)
            try await withGroup(count: 2, environments: [1: clock.environment]) { group in
                let ledger = GroupLedger()
                for index in 0..<4 { await ledger.append(["text \(index)"], to: group.nodes[index % 2]) }
                for node in group.nodes { try await Self.waitUntilTold(node, "a member's clock differs") }
                // Nothing from the future enters; what was taken meanwhile is there once the clock is right.
                let right = group.nodes[aheadSeconds > 0 ? 0 : 1]
                let latest = systemSeconds() + Int64(min(0, aheadSeconds)) + 60
                #expect(try await right.wholeList().allSatisfy { $0.timestamp <= latest })
                try clock.set(aheadSeconds: 0)
                #expect(try await ledger.check(group).count == 5)
            }
        }
    }

    private static func waitUntilTold(_ node: NodeProcess, _ what: String) async throws {
        do {
            try await eventually("\"\(what)\" is in the log") { node.error.contains(what) }
        } catch let error as TestSupportError {
            throw TestSupportError("\(error): \(node.error)")
        }
    }

    /// Expects that all blocks but the genesis were appended in this minute or the last.
    private static func expectTimesOfNow(_ list: [BlockAnswer]) {
        for block in list.dropFirst() {
            #expect(abs(block.timestamp - systemSeconds()) < 120, "block \(block.height): \(block.timestamp)")
        }
    }
}

/// Runs a body with a clock for nodes, which is right until it is set.
func withWrongClock(_ body: (WrongClock) async throws -> Void) async throws {
    try await withTemporaryDirectory { directory in try await body(try await WrongClock(in: directory.path)) }
}
