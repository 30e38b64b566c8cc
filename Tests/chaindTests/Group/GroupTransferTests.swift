// Transfers: four at once, the others in turn, nobody for ever.

import TestSupport
import Testing

@testable import chaind

@Suite struct GroupTransferTests {
    @Test func fourMembersMayTransferAtOnceAndTheOthersTakeTurns() throws {
        var play = try GroupPlay(members: 7)
        #expect(play.due().count == 14)
        for number in 1...7 { play.succeed(address(number)) }
        for number in 1...4 { #expect(play.group.mayTransfer(with: address(number)) == true) }
        #expect(play.group.mayTransfer(with: address(1)) == true)
        for number in 5...7 {
            #expect(play.group.mayTransfer(with: address(number)) == false)
            play.sync(address(number), .postponed)
        }
        // Neither a change nor its turn lets anybody past those who wait.
        play.group.listChanged()
        #expect(play.due(after: 4) == [])
        play.group.transferEnded(with: address(3))
        #expect(play.group.nextDueSeconds == -.infinity)
        #expect(play.due() == [.sync(address(5))])
        #expect(play.group.mayTransfer(with: address(5)) == true)
        // The end of a sync frees its place too, however it ended.
        play.sync(address(1), .failed("no answer"))
        play.agree(address(2))
        #expect(play.due() == [.sync(address(2)), .sync(address(6)), .sync(address(7))])
        #expect(play.due() == [])
    }

    @Test func whoIsForgottenOrRemovedWhileItWaitsLosesItsPlace() throws {
        var play = try GroupPlay(members: 4, pace: GroupPace(transfersMax: 1))
        _ = play.due()
        #expect(play.group.mayTransfer(with: address(1)) == true)
        for number in 2...4 {
            #expect(play.group.mayTransfer(with: address(number)) == false)
            play.sync(address(number), .postponed)
        }
        try play.group.membership.forget(address(2))
        _ = play.leave(address(3), nodeID: "3")
        play.agree(address(1))
        #expect(play.due() == [.sync(address(4))])
    }

    @Test func nobodyIsServedBeforeThoseWhoWait() throws {
        var play = try GroupPlay(members: 3, pace: GroupPace(transfersMax: 1))
        _ = play.due()
        #expect(play.group.mayTransfer(with: address(1)) == true)
        #expect(play.group.mayTransfer(with: address(2)) == false)
        play.sync(address(2), .postponed)
        play.group.transferEnded(with: address(1))
        #expect(play.group.mayTransfer(with: address(3)) == false)
        play.sync(address(3), .postponed)
        #expect(play.due().filter { $0 != .sync(address(1)) } == [.sync(address(2))])
    }

    @Test func theOneWhoseTurnIsNextStillEndsItsSync() throws {
        var play = try GroupPlay(members: 2, pace: GroupPace(transfersMax: 1))
        _ = play.due()
        #expect(play.group.mayTransfer(with: address(1)) == true)
        #expect(play.group.mayTransfer(with: address(2)) == false)
        play.agree(address(1))
        #expect(play.due() == [])
        play.sync(address(2), .postponed)
        #expect(play.due() == [.sync(address(2))])
    }

    @Test func manyBlocksAreFetchedFromOneMemberAtATime() throws {
        var play = try GroupPlay(members: 3)
        _ = play.due()
        #expect(play.mayFetch(4_096, from: address(1)) == true)
        #expect(play.mayFetch(4_096, from: address(2)) == false)
        #expect(play.mayFetch(4_095, from: address(2)) == true)
        // The first one may be slow.
        _ = play.due(after: 59)
        #expect(play.mayFetch(4_096, from: address(2)) == false)
        _ = play.due(after: 1)
        #expect(play.mayFetch(4_096, from: address(2)) == true)
        #expect(play.mayFetch(4_096, from: address(3)) == false)
        play.sync(address(2), .failed("no answer"))
        #expect(play.mayFetch(4_096, from: address(3)) == true)
    }

    @Test func nothingIsTakenWhileManyBlocksAreFetched() throws {
        var play = try GroupPlay(members: 2)
        _ = play.due()
        #expect(play.mayFetch(4_095, from: address(1)) == true)
        #expect(!play.isFetchingMany)
        #expect(play.mayFetch(4_096, from: address(1)) == true)
        #expect(play.isFetchingMany)
        play.agree(address(1))
        #expect(!play.isFetchingMany)
    }

    @Test func aMemberThatLacksManyBlocksHasATurnToFetchThem() throws {
        var play = try GroupPlay(members: 1)
        _ = play.due()
        #expect(play.maySend(4_096, to: address(1)) == false)
        #expect(play.maySend(4_095, to: address(1)) == true)
        _ = play.due(after: 4)
        #expect(play.maySend(5_000, to: address(1)) == false)
        _ = play.due(after: 1)
        #expect(play.maySend(5_000, to: address(1)) == true)
        play.agree(address(1))
        #expect(play.maySend(5_000, to: address(1)) == false)
    }

    @Test(arguments: 0..<20)
    func everybodyGetsATurnWhileEverythingChangesAllTheTime(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var play = try GroupPlay(members: 9, seed: seed)
        var transfers: [MemberAddress: Int] = [:]
        var underWay: [MemberAddress] = []
        for _ in 0..<400 {
            play.group.listChanged()
            for action in play.due(after: 0.05) {
                switch action {
                case .check(let member): play.succeed(member)
                case .sync(let member):
                    if play.group.mayTransfer(with: member) {
                        underWay.append(member)
                    } else {
                        play.sync(member, .postponed)
                    }
                }
            }
            #expect(underWay.count <= 4)
            #expect(Set(underWay).count == underWay.count)
            if let member = underWay.randomElement(using: &generator) {
                underWay.removeAll { $0 == member }
                transfers[member, default: 0] += 1
                play.agree(member)
            }
        }
        #expect(transfers.count == 9)
        #expect(transfers.values.allSatisfy { $0 > 400 / 9 / 2 })
    }
}
