// Syncs: when each member's turn is, what changes do, and what failures cost.

import Testing

@testable import chaind

@Suite struct GroupSyncTests {
    private let first = address(1)
    private let second = address(2)

    /// Everything that is due, without the checks, which all succeed.
    private func syncs(_ play: inout GroupPlay, after seconds: Double = 0) -> [MemberAddress] {
        play.due(after: seconds).compactMap { action in
            switch action {
            case .check(let member):
                play.succeed(member)
                return nil
            case .sync(let member): return member
            }
        }
    }

    @Test(arguments: 0..<10)
    func everyMemberIsSyncedWithAboutEveryFiveSecondsAndNotInStep(seed: UInt64) throws {
        var play = try GroupPlay(members: 2, seed: seed)
        let done = play.run(for: 100)
        for member in [first, second] {
            let turns = done.seconds(of: .sync(member))
            #expect(turns[0] == 1_000)
            #expect(zip(turns.dropFirst(), turns).allSatisfy { 4.5...5.5 ~= $0 - $1 })
            #expect(turns.count > 15)
        }
        #expect(done.seconds(of: .sync(first)) != done.seconds(of: .sync(second)))
    }

    @Test func changesThatComeTogetherMakeOneRound() throws {
        var play = try GroupPlay(members: 2)
        _ = play.run(for: 0)
        play.nowSeconds += 1
        for _ in 1...100 { play.group.listChanged() }
        #expect(play.group.nextDueSeconds <= play.nowSeconds)
        #expect(syncs(&play) == [first, second])
        // A change while one is under way makes one more after it.
        for _ in 1...100 { play.group.listChanged() }
        #expect(syncs(&play) == [])
        play.agree(first)
        #expect(syncs(&play) == [first])
        play.agree(first)
        play.agree(second)
        #expect(syncs(&play) == [second])
        play.agree(second)
        #expect(syncs(&play) == [])
    }

    @Test func aMemberThatIsDownCostsOneTimeOutAndNotOneAChange() throws {
        var play = try GroupPlay(members: 1)
        _ = play.run(for: 0)
        play.group.listChanged()
        #expect(syncs(&play, after: 1) == [first])
        play.nowSeconds += 1
        play.sync(first, .failed("no answer"))
        for _ in 1...20 {
            play.group.listChanged()
            #expect(syncs(&play, after: 0.1) == [])
        }
        #expect(play.view(first)?.lastError == "no answer")
        // Its next turn comes whether something changed or not.
        #expect(syncs(&play, after: 3.5) == [first])
        play.agree(first)
        #expect(play.view(first)?.lastError == nil)
        play.group.listChanged()
        #expect(syncs(&play) == [first])
    }

    @Test func aHealthCheckThatSucceedsLetsChangesStartASyncAgain() throws {
        var play = try GroupPlay(members: 1)
        _ = play.run(for: 3)
        play.group.listChanged()
        #expect(play.due() == [.sync(first)])
        play.sync(first, .failed("no answer"))
        play.group.listChanged()
        #expect(play.due() == [])
        #expect(play.due(after: 2) == [.check(first)])
        play.succeed(first)
        #expect(play.due() == [.sync(first)])
    }

    @Test func aFailingMemberIsSyncedWithAndARemovedOneIsNot() throws {
        var play = try GroupPlay(members: 1)
        for _ in 1...2 {
            _ = play.due(after: 6)
            play.fail(first)
            play.sync(first, .failed("no answer"))
        }
        #expect(play.due(after: 6) == [.check(first), .sync(first)])
        // Removed while a sync is under way, which even ends well: only a check brings it back.
        play.fail(first)
        play.agree(first)
        #expect(play.state(first) == .removed)
        play.group.listChanged()
        play.group.roundRequested()
        let done = play.run(for: 100, answers: { _ in false })
        #expect(done.seconds(of: .sync(first)) == [])
        #expect(!done.isEmpty)
    }

    @Test func aSyncThatWasOvertakenIsTriedAgainSoonAndThenLessOften() throws {
        var play = try GroupPlay(members: 1)
        #expect(syncs(&play) == [first])
        for pauseSeconds in [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5] {
            play.sync(first, .overtaken("its list changed meanwhile"))
            play.group.listChanged()
            #expect(syncs(&play, after: pauseSeconds * 0.85) == [], "whatever changes")
            #expect(syncs(&play, after: pauseSeconds * 0.3) == [first])
        }
        play.agree(first)
        play.group.listChanged()
        #expect(syncs(&play) == [first])
        play.sync(first, .overtaken("its list changed meanwhile"))
        #expect(syncs(&play, after: 0.06) == [first])
    }

    @Test(arguments: 0..<10)
    func aRefusedMemberIsTriedLessAndLessOften(seed: UInt64) throws {
        var play = try GroupPlay(members: 1, seed: seed)
        var pauses: [Double] = []
        #expect(syncs(&play) == [first])
        for _ in 1...9 {
            play.sync(first, .refused("block 7: wrong hash"))
            #expect(play.view(first)?.lastError == "block 7: wrong hash")
            let refusedSeconds = play.nowSeconds
            while true {
                play.group.listChanged()
                play.nowSeconds = max(play.nowSeconds + 0.5, play.group.nextDueSeconds)
                if syncs(&play) == [first] { break }
            }
            pauses.append(play.nowSeconds - refusedSeconds)
        }
        for (pause, pauseSeconds) in zip(pauses, [5.0, 10, 20, 40, 80, 160, 300, 300, 300]) {
            #expect(pauseSeconds * 0.9...pauseSeconds * 1.1 + 0.5 ~= pause)
        }
        // One that goes well begins anew.
        play.agree(first)
        #expect(play.view(first)?.lastError == nil)
        play.group.listChanged()
        #expect(syncs(&play) == [first])
        play.sync(first, .refused("block 7: wrong hash"))
        #expect(syncs(&play, after: 5.5) == [first])
    }

    @Test func aRefusedMemberThatGoesAwayAndComesBackIsNotTriedSooner() throws {
        var play = try GroupPlay(members: 1)
        for _ in 1...5 {
            _ = syncs(&play, after: 400)
            play.sync(first, .refused("endless"))
        }
        for _ in 1...3 {
            #expect(play.due(after: 5) == [.check(first)])
            play.fail(first)
        }
        #expect(play.due(after: 5) == [.check(first)])
        play.succeed(first)
        #expect(play.due() == [])
        // Somebody who asks for a round is not made to wait.
        play.group.roundRequested()
        #expect(play.due() == [.sync(first)])
    }

    @Test func aConflictIsShownUntilASyncEndsWell() throws {
        var play = try GroupPlay(members: 1)
        #expect(syncs(&play) == [first])
        let conflict = SyncOutcome.conflict(height: 7)
        #expect(play.group.synced(first, outcome: conflict, nowSeconds: 1_000) == [.conflict(first, height: 7)])
        #expect(play.group.synced(first, outcome: conflict, nowSeconds: 1_000) == [], "it is told once")
        #expect(play.state(first) == .conflict)
        #expect(play.view(first)?.lastError?.contains("7") == true)
        #expect(play.group.upAddresses.contains(first))
        play.group.listChanged()
        #expect(syncs(&play, after: 1) == [])
        #expect(syncs(&play, after: 4.5) == [first])
        play.sync(first, .failed("no answer"))
        #expect(play.state(first) == .conflict)
        play.group.roundRequested()
        #expect(syncs(&play) == [first])
        play.agree(first)
        #expect(play.state(first) == .up)
        #expect(play.view(first)?.lastError == nil)
    }

    @Test func whatASyncFindsIsKeptForSettling() throws {
        var play = try GroupPlay(members: 2)
        #expect(play.group.commonPoints == [nil, nil])
        _ = syncs(&play)
        play.agree(first)
        play.agree(second)
        #expect(play.group.commonPoints == Array(repeating: CommonPoint(height: 7, foundSeconds: 1_000), count: 2))
        // A sync that fails finds nothing.
        play.nowSeconds = 1_010
        _ = syncs(&play)
        play.sync(first, .failed("no answer"))
        play.agree(second)
        #expect(Set(play.group.commonPoints.map { $0?.foundSeconds }) == [1_000, 1_010])
    }

    @Test func aForgottenNodeSyncsWithNobodyUntilItIsAMemberAgain() throws {
        var play = try GroupPlay(members: 1)
        _ = play.run(for: 1)
        try play.group.merge([MembershipEntry(address: address(0), counter: 2, isIn: false)])
        play.group.listChanged()
        let done = play.run(for: 20)
        #expect(done.seconds(of: .sync(first)) == [])
        #expect(done.seconds(of: .check(first)).count == 4)
        #expect(play.group.upAddresses == [first])
        #expect(play.group.downAddresses == [address(0)])
        try play.group.merge([MembershipEntry(address: address(0), counter: 3, isIn: true)])
        #expect(play.due() == [.sync(first)])
        #expect(play.group.upAddresses == [address(0), first])
    }

    @Test func aNodeThatIsToldToJoinDoesSoAgainstWhatOthersKnow() throws {
        func ownEntry(isTold: Bool, wasForgotten: Bool) throws -> MembershipEntry? {
            var membership = Membership()
            if wasForgotten { try membership.merge([MembershipEntry(address: address(0), counter: 2, isIn: false)]) }
            var group = try GroupState(ownAddress: address(0), nodeID: "own", membership: membership, isTold: isTold)
            try group.merge([MembershipEntry(address: address(0), counter: 4, isIn: false)])
            return group.membership.entries.first
        }
        #expect(try ownEntry(isTold: false, wasForgotten: true)?.isIn == false)
        #expect(try ownEntry(isTold: false, wasForgotten: false)?.isIn == false)
        let joined = MembershipEntry(address: address(0), counter: 5, isIn: true)
        #expect(try ownEntry(isTold: true, wasForgotten: true) == joined)
        // Also with a database that was lost.
        #expect(try ownEntry(isTold: true, wasForgotten: false) == joined)
        // What is decided later holds.
        var group = try GroupState(ownAddress: address(0), nodeID: "own", membership: Membership(), isTold: true)
        try group.merge([])
        try group.merge([MembershipEntry(address: address(0), counter: 4, isIn: false)])
        #expect(!group.isMember)
    }

    @Test func aFullGroupKeepsOutWhoIsToldToJoinAndTellsItOnce() throws {
        let full = (0...64).map { MembershipEntry(address: address($0), counter: 3, isIn: $0 > 0) }
        var group = try GroupState(ownAddress: address(0), nodeID: "own", membership: Membership(), isTold: true)
        #expect(throws: MembershipError.tooManyMembers(max: 64)) { try group.merge(full) }
        #expect(group.membership.members == [address(0)])
        #expect(try group.merge(full) == true)
        #expect(!group.isMember)
        #expect(group.membership.members.count == 64)
        #expect(throws: MembershipError.tooManyMembers(max: 64)) {
            try GroupState(ownAddress: address(0), nodeID: "own", membership: group.membership, isTold: true)
        }
    }

    @Test func aBadMapIsRefusedAndChangesNothing() throws {
        var play = try GroupPlay(members: 1)
        let before = play.group.membership
        #expect(throws: MembershipError.counter(second, -1)) {
            try play.group.merge([
                MembershipEntry(address: first, counter: 2, isIn: false),
                MembershipEntry(address: second, counter: -1, isIn: true),
            ])
        }
        #expect(play.group.membership == before)
        #expect(play.state(first) == .up)
        #expect(play.state(second) == nil)
    }
}
