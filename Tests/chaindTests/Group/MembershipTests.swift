// The map of members: what a node decides, and what maps become when they meet.

import TestSupport
import Testing

@testable import chaind

@Suite struct MembershipTests {
    private let own = address(1)
    private let other = address(2)

    @Test func joiningForgettingAndJoiningAgainAddOneEach() throws {
        var membership = Membership()
        try membership.join(other)
        #expect(membership.members == [other])
        #expect(membership.entries == [MembershipEntry(address: other, counter: 1, isIn: true)])
        try membership.forget(other)
        #expect(membership.members.isEmpty)
        #expect(membership.formerMembers == [other])
        #expect(membership.entries == [MembershipEntry(address: other, counter: 2, isIn: false)])
        try membership.join(other)
        #expect(membership.entries == [MembershipEntry(address: other, counter: 3, isIn: true)])
    }

    @Test func aMemberIsNotJoinedTwiceAndAStrangerNotForgotten() throws {
        var membership = Membership()
        #expect(throws: MembershipError.noMember(other)) { try membership.forget(other) }
        try membership.join(other)
        #expect(throws: MembershipError.isMember(other)) { try membership.join(other) }
        try membership.forget(other)
        #expect(throws: MembershipError.noMember(other)) { try membership.forget(other) }
        #expect(membership.entries.map(\.counter) == [2])
    }

    @Test func aNodeAnnouncesItselfOnceAndARestartDoesNotBringAForgottenOneBack() throws {
        var membership = Membership()
        try membership.announce(own, isTold: false)
        try membership.announce(own, isTold: false)
        try membership.announce(own, isTold: true)
        #expect(membership.entries == [MembershipEntry(address: own, counter: 1, isIn: true)])
        try membership.forget(own)
        try membership.announce(own, isTold: false)
        #expect(membership.isIn(own) == false)
        try membership.announce(own, isTold: true)
        #expect(membership.entries == [MembershipEntry(address: own, counter: 3, isIn: true)])
    }

    @Test func theGreaterCounterWinsAndOutOnATie() throws {
        func merged(_ first: (Int, Bool), _ second: (Int, Bool)) throws -> Bool? {
            var membership = Membership()
            try membership.merge([MembershipEntry(address: other, counter: first.0, isIn: first.1)])
            try membership.merge([MembershipEntry(address: other, counter: second.0, isIn: second.1)])
            return membership.isIn(other)
        }
        #expect(try merged((1, true), (2, false)) == false)
        #expect(try merged((2, false), (1, true)) == false)
        #expect(try merged((2, false), (3, true)) == true)
        #expect(try merged((3, true), (2, false)) == true)
        #expect(try merged((2, true), (2, false)) == false)
        #expect(try merged((2, false), (2, true)) == false)
        #expect(try merged((2, true), (2, true)) == true)
    }

    @Test func mergingTellsWhetherAnythingChanged() throws {
        var membership = Membership()
        let entries = [MembershipEntry(address: other, counter: 4, isIn: true)]
        #expect(try membership.merge(entries))
        #expect(try !membership.merge(entries))
        #expect(try !membership.merge([MembershipEntry(address: other, counter: 3, isIn: false)]))
        #expect(try !membership.merge([]))
    }

    @Test(arguments: 0..<50)
    func mapsBecomeEqualInAnyOrder(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let maps = (0..<4).map { _ in
            (0..<Int.random(in: 0...12, using: &generator)).map { _ in
                MembershipEntry(
                    address: address(Int.random(in: 1...6, using: &generator)),
                    counter: Int.random(in: 1...3, using: &generator), isIn: Bool.random(using: &generator))
            }
        }
        var first = Membership()
        for map in maps { try first.merge(map) }
        var second = Membership()
        for map in (maps + maps).shuffled(using: &generator) { try second.merge(map.shuffled(using: &generator)) }
        #expect(first == second)
        // Also by way of another node's map.
        var third = Membership()
        try third.merge(maps[3])
        var fourth = Membership()
        for map in maps.dropLast() { try fourth.merge(map) }
        try third.merge(fourth.entries)
        #expect(first == third)
        #expect(try !third.merge(third.entries))
    }

    @Test func aSixtyFifthMemberIsRefusedButOthersMayDecideForMore() throws {
        var membership = Membership()
        for number in 1...64 { try membership.join(address(number)) }
        #expect(throws: MembershipError.tooManyMembers(max: 64)) { try membership.join(address(65)) }
        #expect(throws: MembershipError.tooManyMembers(max: 64)) { try membership.announce(address(65), isTold: true) }
        #expect(membership.members.count == 64)
        try membership.merge([MembershipEntry(address: address(65), counter: 1, isIn: true)])
        #expect(membership.members.count == 65)
        for number in 1...2 { try membership.forget(address(number)) }
        try membership.join(address(66))
        #expect(membership.members.count == 64)
    }

    @Test func theMapHasAtMost1024Addresses() throws {
        let full = (1...1_024).map { MembershipEntry(address: address($0), counter: 1, isIn: false) }
        var membership = Membership()
        try membership.merge(full)
        #expect(throws: MembershipError.tooManyEntries) { try membership.join(address(1_025)) }
        try membership.join(address(7))
        let before = membership
        #expect(throws: MembershipError.tooManyEntries) {
            try membership.merge([
                MembershipEntry(address: address(1), counter: 9, isIn: true),
                MembershipEntry(address: address(1_025), counter: 1, isIn: true),
            ])
        }
        #expect(throws: MembershipError.tooManyEntries) { try membership.merge(full + full.prefix(1)) }
        #expect(membership == before)
        try membership.merge(full)
        #expect(membership == before)
    }

    @Test(arguments: [0, -1, .min, 1 << 53 + 1, .max])
    func aBadEntryIsNamedAndNothingOfItsMapIsTaken(counter: Int) throws {
        var membership = Membership()
        try membership.join(own)
        let before = membership
        let good = MembershipEntry(address: other, counter: 5, isIn: true)
        let bad = MembershipEntry(address: address(3), counter: counter, isIn: false)
        #expect(throws: MembershipError.counter(address(3), counter)) { try membership.merge([good, bad]) }
        #expect(membership == before)
    }

    @Test func aCounterThatHasComeToItsEndIsRefused() throws {
        var membership = Membership()
        try membership.merge([MembershipEntry(address: other, counter: 1 << 53, isIn: true)])
        #expect(throws: MembershipError.counter(other, 1 << 53)) { try membership.forget(other) }
        #expect(membership.isIn(other) == true)
    }

    @Test func whatIsKeptIsReadAgain() throws {
        var membership = Membership()
        try membership.join(own)
        try membership.join(other)
        try membership.forget(other)
        #expect(try Membership(encoded: membership.encoded()) == membership)
        #expect(try Membership(encoded: Membership().encoded()) == Membership())
    }

    @Test(arguments: [
        "", "{", "null", "[{}]", #"[{"address": "http://a", "counter": 1e300, "in": true}]"#,
        #"[{"address": "http://a/b", "counter": 1, "in": true}]"#,
    ])
    func whatCannotBeReadIsDamaged(text: String) {
        #expect(throws: MembershipError.damaged) { try Membership(encoded: Array(text.utf8)) }
    }

    @Test func entriesHaveTheirNamesInJSON() throws {
        let text = #"[{"address":"http://localhost:8001","counter":3,"in":false}]"#
        let membership = try Membership(encoded: Array(text.utf8))
        #expect(membership.formerMembers == [own])
        #expect(membership.entries == [MembershipEntry(address: own, counter: 3, isIn: false)])
    }
}
