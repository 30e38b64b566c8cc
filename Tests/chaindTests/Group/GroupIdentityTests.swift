// Who answers at an address: the node itself, another one, two by turns. All told and harmless.

import Testing

@testable import chaind

@Suite struct GroupIdentityTests {
    private let first = address(1)
    private let second = address(2)

    private func head(_ nodeID: String) -> MemberHead { MemberHead(nodeID: nodeID, height: 7, headHash: .zero) }

    @Test func aNodeThatMeetsItselfTellsSoAndLeavesItAtThat() throws {
        var play = try GroupPlay(members: 2)
        _ = play.due()
        #expect(play.check(first, .answered(head("own"))) == [.isSelf(first)])
        play.agree(second)
        play.succeed(second)
        play.sync(first, .agreed(head("own"), commonHeight: 7))
        #expect(play.view(first)?.lastError == "is this node itself")
        #expect(play.group.upAddresses == [address(0), second])
        #expect(play.group.downAddresses == [first])
        #expect(play.group.memberCount == 2)
        #expect(play.group.commonPoints.count == 1)
        play.group.listChanged()
        play.group.roundRequested()
        let done = play.run(for: 60)
        #expect(done.allSatisfy { $0.action == .check(second) || $0.action == .sync(second) })
        #expect(!done.isEmpty)
        // Should another node be found there later, it is a member as any.
        #expect(play.hear(first) == [])
        #expect(play.group.memberCount == 3)
        #expect(play.due() == [.check(first), .sync(first)])
    }

    @Test func aNodeThatMeetsItselfInAStatusMessageOrASyncTellsSoToo() throws {
        var play = try GroupPlay(members: 2)
        #expect(play.hear(first, nodeID: "own") == [.isSelf(first)])
        #expect(play.due() == [.check(second), .sync(second)])
        let outcome = SyncOutcome.agreed(head("own"), commonHeight: 7)
        #expect(play.group.synced(second, outcome: outcome, nowSeconds: 1_000) == [.isSelf(second)])
    }

    @Test func twoAddressesOfOneNodeAreToldAndHarmless() throws {
        var play = try GroupPlay(members: 2)
        _ = play.due()
        #expect(play.check(first, .answered(head("1"))) == [])
        #expect(play.check(second, .answered(head("1"))) == [.sharedNode(first, second)])
        #expect(play.view(first)?.lastError == "is the same node as \(second)")
        #expect(play.view(second)?.lastError == "is the same node as \(first)")
        play.agree(first)
        play.sync(second, .agreed(head("1"), commonHeight: 7))
        // Both go on, and it is told once.
        #expect(play.due(after: 6) == [.check(first), .sync(first), .check(second), .sync(second)])
        #expect(play.check(second, .answered(head("1"))) == [])
        #expect(play.group.upAddresses == [address(0), first, second])
        // Once it is known which of them the node gives itself, only that one stands on the list.
        _ = play.hear(second, nodeID: "1")
        #expect(play.group.upAddresses == [address(0), second] && play.group.downAddresses == [first])
        // The node has moved: the address that it had is taken off.
        for _ in 1...3 {
            play.fail(first)
            _ = play.due(after: 5)
        }
        #expect(play.view(second)?.lastError == nil)
    }

    @Test func twoNodesWithOneAddressAreTold() throws {
        var play = try GroupPlay(members: 1)
        let shared = "two nodes answer for this address"
        _ = play.run(for: 0)
        // A restart is no second node.
        _ = play.hear(first, nodeID: "1b")
        _ = play.hear(first, nodeID: "1c")
        #expect(play.view(first)?.lastError == nil)
        #expect(play.hear(first, nodeID: "1b") == [.sharedAddress(first)])
        #expect(play.hear(first, nodeID: "1c") == [], "it is told once")
        #expect(play.view(first)?.lastError == shared)
        #expect(play.state(first) == .up)
        play.nowSeconds += 60
        #expect(play.view(first)?.lastError == shared)
        play.nowSeconds += 1
        #expect(play.view(first)?.lastError == nil)
    }

    @Test func anotherNodeWithOurAddressIsToldOnceAMinute() throws {
        var play = try GroupPlay(members: 1)
        #expect(play.hear(address(0), nodeID: "own") == [])
        #expect(play.hear(address(0), nodeID: "other") == [.ownAddressTaken])
        play.nowSeconds += 60
        #expect(play.hear(address(0), nodeID: "other") == [])
        play.nowSeconds += 1
        #expect(play.hear(address(0), nodeID: "other") == [.ownAddressTaken])
    }

    @Test func aStrangerIsHeardWithoutConsequence() throws {
        var play = try GroupPlay(members: 1)
        #expect(play.hear(address(9)) == [])
        #expect(play.leave(address(9), nodeID: "9") == [])
        #expect(play.check(address(9), .failed("no answer")) == [])
        #expect(play.group.view(ownHeight: 0, nowSeconds: 0).map(\.address) == [first])
    }
}
