// A node's view of its group, and a test that plays the driver: it does what is due and decides what comes of it.

import Chain
import TestSupport

@testable import chaind

/// The node at `address(0)` with the id "own", and members 1 and up whose ids are "1" and up.
struct GroupPlay {
    var group: GroupState
    var nowSeconds = 1_000.0

    init(members: Int, seed: UInt64 = 1, pace: GroupPace = GroupPace()) throws {
        var membership = Membership()
        for number in 0..<members { try membership.join(address(number + 1)) }
        group = try GroupState(
            ownAddress: address(0), nodeID: "own", membership: membership, isTold: false, pace: pace,
            generator: SeededGenerator(seed: seed))
    }

    /// What is due now.
    mutating func due() -> [GroupAction] { group.due(nowSeconds: nowSeconds) }

    /// Waits, and says what is due then.
    mutating func due(after seconds: Double) -> [GroupAction] {
        nowSeconds += seconds
        return due()
    }

    /// Does what is due until then, at the moments at which it is; `answers` tells who answers to checks and syncs.
    ///
    /// - Returns: what was done, and when.
    mutating func run(
        for seconds: Double, answers: (MemberAddress) -> Bool = { _ in true }
    ) -> [(action: GroupAction, seconds: Double)] {
        let endSeconds = nowSeconds + seconds
        var done: [(action: GroupAction, seconds: Double)] = []
        while group.nextDueSeconds <= endSeconds {
            nowSeconds = max(nowSeconds, group.nextDueSeconds)
            let actions = due()
            precondition(!actions.isEmpty, "nothing is due when something was said to be")
            for action in actions {
                done.append((action, nowSeconds))
                switch action {
                case .check(let member): answers(member) ? succeed(member) : fail(member)
                case .sync(let member): answers(member) ? agree(member) : sync(member, .failed("no answer"))
                }
            }
        }
        nowSeconds = endSeconds
        return done
    }

    /// A check that succeeds.
    mutating func succeed(_ member: MemberAddress, nodeID: String? = nil) {
        _ = check(member, .answered(head(of: member, nodeID: nodeID)))
    }

    /// A check that fails.
    mutating func fail(_ member: MemberAddress) { _ = check(member, .failed("no answer")) }

    mutating func check(_ member: MemberAddress, _ result: CheckResult) -> [GroupEvent] {
        group.checked(member, result: result, nowSeconds: nowSeconds)
    }

    /// A sync that ends well.
    mutating func agree(_ member: MemberAddress) { sync(member, .agreed(head(of: member), commonHeight: 7)) }

    mutating func sync(_ member: MemberAddress, _ outcome: SyncOutcome) {
        _ = group.synced(member, outcome: outcome, nowSeconds: nowSeconds)
    }

    mutating func mayFetch(_ blocks: Int, from member: MemberAddress) -> Bool {
        group.mayFetch(blocks: blocks, from: member, nowSeconds: nowSeconds)
    }

    mutating func maySend(_ blocks: Int, to member: MemberAddress) -> Bool {
        group.maySend(blocks: blocks, to: member, nowSeconds: nowSeconds)
    }

    var isFetchingMany: Bool { group.isFetchingMany(nowSeconds: nowSeconds) }

    mutating func hear(_ member: MemberAddress, nodeID: String? = nil) -> [GroupEvent] {
        group.heard(from: member, head: head(of: member, nodeID: nodeID), nowSeconds: nowSeconds)
    }

    mutating func leave(_ member: MemberAddress, nodeID: String) -> [GroupEvent] {
        group.left(member, nodeID: nodeID, nowSeconds: nowSeconds)
    }

    /// How the node sees a member.
    func view(_ member: MemberAddress) -> MemberView? {
        group.view(ownHeight: 10, nowSeconds: nowSeconds).first { $0.address == member }
    }

    func state(_ member: MemberAddress) -> MemberState? { view(member)?.state }

    private func head(of member: MemberAddress, nodeID: String? = nil) -> MemberHead {
        MemberHead(nodeID: nodeID ?? String(member.text.suffix(1)), height: 7, headHash: .zero)
    }
}

extension [(action: GroupAction, seconds: Double)] {
    /// When that was done.
    func seconds(of action: GroupAction) -> [Double] { filter { $0.action == action }.map(\.seconds) }
}
