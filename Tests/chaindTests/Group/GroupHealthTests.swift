// Health checks: who is taken off the list, when, and how it comes back.

import Testing

@testable import chaind

@Suite struct GroupHealthTests {
    private let first = address(1)
    private let second = address(2)

    @Test func allMembersAreCheckedAtOnceEveryFiveSeconds() throws {
        var play = try GroupPlay(members: 3)
        let done = play.run(for: 20)
        for number in 1...3 {
            #expect(done.seconds(of: .check(address(number))) == [1_000, 1_005, 1_010, 1_015, 1_020])
        }
        #expect(play.group.records[address(0)] == nil)
    }

    @Test func aCheckUnderWayIsNotRepeatedAndHoldsUpNobody() throws {
        var play = try GroupPlay(members: 2)
        _ = play.due()
        play.succeed(second)
        #expect(play.due(after: 5).filter { $0 == .check(first) || $0 == .check(second) } == [.check(second)])
        play.succeed(second)
        // The slow one fails at last, and is checked again without a pause, for its turn has come.
        play.nowSeconds += 1
        play.fail(first)
        #expect(play.due().contains(.check(first)) == true)
    }

    @Test func aMemberIsRemovedExactlyAtTheThirdFailureInARow() throws {
        var play = try GroupPlay(members: 1)
        #expect(play.state(first) == .up)
        for failures in 1...2 {
            #expect(play.due(after: 5).contains(.check(first)) == true)
            #expect(play.check(first, .failed("no answer")) == [])
            #expect(play.state(first) == .failing)
            #expect(play.view(first)?.failures == failures)
            #expect(play.group.upAddresses == [address(0), first])
        }
        #expect(play.due(after: 5).contains(.check(first)) == true)
        #expect(play.check(first, .failed("no answer")) == [.removed(first, "no answer")])
        #expect(play.state(first) == .removed)
        #expect(play.view(first)?.lastError == "no answer")
        #expect(play.group.upAddresses == [address(0)])
        #expect(play.group.downAddresses == [first])
        // It is told once.
        #expect(play.due(after: 5).contains(.check(first)) == true)
        #expect(play.check(first, .failed("no answer")) == [])
        #expect(play.view(first)?.failures == 4)
    }

    @Test func anySuccessInBetweenResets() throws {
        var play = try GroupPlay(members: 1)
        for result in [false, false, true, false, false, true, true, false, false] {
            #expect(play.due(after: 5).contains(.check(first)) == true)
            result ? play.succeed(first) : play.fail(first)
            #expect(play.state(first) == (result ? .up : .failing))
        }
        play.succeed(first)
        #expect(play.view(first)?.failures == 0)
        #expect(play.view(first)?.lastError == nil)
    }

    @Test(arguments: 0..<20)
    func aRemovedMemberIsTriedWithGrowingPausesUpToAMinute(seed: UInt64) throws {
        var play = try GroupPlay(members: 1, seed: seed)
        let tries = play.run(for: 600, answers: { _ in false }).seconds(of: .check(first))
        let pauses = zip(tries.dropFirst(), tries).map { $0 - $1 }
        #expect(pauses.prefix(2) == [5, 5])
        for (pause, most) in zip(pauses.dropFirst(2), [5.0, 10, 20, 40, 60, 60, 60, 60]) {
            #expect(most * 0.9...most ~= pause)
        }
        #expect(tries.count > 10)
    }

    @Test func nodesDoNotTryInStep() throws {
        var play = try GroupPlay(members: 2)
        let done = play.run(for: 300, answers: { _ in false })
        #expect(done.seconds(of: .check(first)).dropFirst(3) != done.seconds(of: .check(second)).dropFirst(3))
    }

    @Test func aRemovedMemberComesBackAtOneSuccessAndIsSyncedWithAtOnce() throws {
        var play = try GroupPlay(members: 1)
        _ = play.run(for: 100, answers: { _ in false })
        #expect(play.state(first) == .removed)
        let tries = play.run(for: 60, answers: { _ in true })
        let returned = try #require(tries.seconds(of: .check(first)).first)
        #expect(tries.seconds(of: .sync(first)).first == returned)
        #expect(play.state(first) == .up)
        #expect(play.group.upAddresses == [address(0), first])
        // From then on it is checked every five seconds, and pauses begin anew.
        #expect(tries.seconds(of: .check(first)).prefix(3) == [returned, returned + 5, returned + 10])
        play.nowSeconds += 1_000
        for _ in 1...3 {
            _ = play.due()
            play.fail(first)
        }
        #expect(4.5...5 ~= play.group.nextDueSeconds - play.nowSeconds)
    }

    @Test func aMemberThatIsAwayForASecondIsSyncedWithBeforeItsTurn() throws {
        var play = try GroupPlay(members: 1)
        _ = play.run(for: 0)
        _ = play.leave(first, nodeID: "1")
        play.nowSeconds += 1
        _ = play.hear(first, nodeID: "1b")
        #expect(play.due() == [.check(first)])
        play.succeed(first, nodeID: "1b")
        #expect(play.due() == [.sync(first)])
    }

    @Test func aReturnIsToldOnce() throws {
        var play = try GroupPlay(members: 1)
        _ = play.run(for: 30, answers: { _ in false })
        #expect(play.due(after: 60) == [.check(first)])
        let head = MemberHead(nodeID: "1", height: 3, headHash: .zero)
        #expect(play.check(first, .answered(head)) == [.returned(first)])
        #expect(play.due(after: 5).contains(.check(first)) == true)
        #expect(play.check(first, .answered(head)) == [])
    }

    @Test func aRemovedMemberThatAnnouncesItselfIsCheckedAtOnce() throws {
        var play = try GroupPlay(members: 1)
        _ = play.run(for: 200, answers: { _ in false })
        #expect(play.due() == [])
        _ = play.hear(first)
        #expect(play.due() == [.check(first)])
        // Being heard of is not enough: it has to be reached.
        #expect(play.state(first) == .removed)
        play.fail(first)
        // However often it does so, not more than one check a second comes of it.
        _ = play.hear(first)
        #expect(play.due(after: 0.9) == [])
        _ = play.hear(first)
        #expect(play.due(after: 0.1) == [.check(first)])
        _ = play.hear(first)
        #expect(play.due() == [])
        play.succeed(first)
        #expect(play.state(first) == .up)
    }

    @Test func aMemberOnTheListThatIsHeardOfIsNotCheckedSooner() throws {
        var play = try GroupPlay(members: 1)
        _ = play.run(for: 0)
        play.nowSeconds += 2
        _ = play.hear(first)
        #expect(play.due() == [])
        #expect(play.view(first)?.lastContactSeconds == 0)
    }

    @Test func aMemberThatStopsIsOffTheListAtOnceAndTriedAgain() throws {
        var play = try GroupPlay(members: 2)
        _ = play.run(for: 10)
        #expect(play.leave(first, nodeID: "1") == [.stopped(first)])
        #expect(play.state(first) == .removed)
        #expect(play.view(first)?.lastError == "has stopped")
        #expect(play.group.upAddresses == [address(0), second])
        #expect(play.group.membership.members == [address(0), first, second])
        #expect(play.leave(first, nodeID: "1") == [])
        let tries = play.run(for: 60, answers: { $0 == second }).seconds(of: .check(first))
        #expect(1_014.5...1_015 ~= tries[0])
        #expect(tries.count == 3)
        #expect(play.state(first) == .removed)
    }

    @Test func aProcessThatSaidItStopsDoesNotComeBackByAnsweringForAWhile() throws {
        var play = try GroupPlay(members: 1)
        _ = play.run(for: 9)
        #expect(play.due(after: 1).contains(.check(first)) == true)
        _ = play.leave(first, nodeID: "1")
        // The check that was under way, and a message that was overtaken.
        play.succeed(first)
        _ = play.hear(first)
        #expect(play.state(first) == .removed)
        #expect(play.due(after: 1) == [])
        // The process that takes its place.
        _ = play.hear(first, nodeID: "1b")
        #expect(play.due() == [.check(first)])
        play.succeed(first, nodeID: "1b")
        #expect(play.state(first) == .up)
        // The old one's message comes late.
        #expect(play.leave(first, nodeID: "1") == [])
        #expect(play.state(first) == .up)
    }

    @Test func aMemberThatIsForgottenOrJoinedBeginsAnew() throws {
        var play = try GroupPlay(members: 2)
        _ = play.run(for: 30, answers: { $0 == first })
        #expect(play.state(second) == .removed)
        try play.group.membership.forget(second)
        #expect(play.state(second) == nil)
        #expect(play.group.downAddresses == [second])
        // What was under way for it means nothing any more.
        play.fail(second)
        #expect(play.leave(second, nodeID: "2") == [])
        #expect(play.hear(second) == [])
        #expect(play.state(second) == nil)
        try play.group.membership.join(second)
        #expect(play.state(second) == .up)
        #expect(play.due() == [.check(second), .sync(second)])
        let entries = [MembershipEntry(address: address(3), counter: 1, isIn: true)]
        #expect(try play.group.merge(entries))
        #expect(play.due() == [.check(address(3)), .sync(address(3))])
        #expect(try !play.group.merge(entries))
    }

    @Test func theViewTellsWhatIsKnown() throws {
        var play = try GroupPlay(members: 1)
        let unknown = try #require(play.view(first))
        #expect(unknown.head == nil && unknown.lastContactSeconds == nil && unknown.lagBlocks == nil)
        #expect(unknown.state == .up && unknown.failures == 0 && unknown.lastError == nil)
        _ = play.due()
        let head = MemberHead(nodeID: "1", height: 3, headHash: .zero)
        _ = play.check(first, .answered(head))
        play.nowSeconds += 2
        let known = try #require(play.view(first))
        #expect(known.head == head && known.lastContactSeconds == 2 && known.lagBlocks == 7)
        _ = play.group.heard(from: first, head: MemberHead(nodeID: "1", height: 30, headHash: .zero), nowSeconds: 1_002)
        #expect(play.view(first)?.lagBlocks == 0)
    }
}
