// Who belongs to a group with an engine, as the rest of the node needs to know it.

import Chain

/// The members by what etcd says.
struct OrderedGroup: Hashable, Sendable {
    /// All members, sorted.
    var members: [MemberAddress] = []
    /// Nodes that have a place, sorted: members, and those that are about to become some.
    var live: [MemberAddress] = []
    /// Those that were taken out of the group.
    var forgotten: [MemberAddress] = []

    /// Members that are there, in the order that every node names them in.
    var up: [MemberAddress] { members.filter(live.contains) }

    /// Members that are away.
    var down: [MemberAddress] { members.filter { !live.contains($0) } + forgotten }

    /// How a member stands by etcd, or as this node itself sees it where etcd does not know it.
    func state(of view: MemberView) -> MemberState {
        if live.contains(view.address) { return .up }
        return members.contains(view.address) ? .removed : view.state
    }
}

extension Consensus {
    /// Who belongs to the group now.
    var group: OrderedGroup {
        let members = view.members.value?.record
        return OrderedGroup(
            members: members?.members ?? [], live: view.live.keys.sorted(), forgotten: members?.forgotten ?? [])
    }

    /// What `GET /sync/` says.
    var answer: ConsensusAnswer {
        let refusal = inbox.refusal
        let (state, reason): (String, String?) =
            switch phase {
            case .blocked(let reason): ("blocked", reason)
            case .entering(let reason): ("waiting", reason)
            case .following where leadership != nil: ("leading", refusal?.description)
            case .following: (session == nil ? "waiting" : "following", refusal?.description)
            }
        return ConsensusAnswer(
            state: state, reason: reason, leader: view.leader.value?.record.address.description,
            revision: view.members.revision, members: group.members.map(\.description),
            finalHeight: list.status.finalHeight,
            orderHeight: view.head.value?.record.height ?? 0, keptHeight: view.members.value?.record.keptHeight ?? 0)
    }
}

extension Replica {
    /// What may come of an exchange with a member.
    func role(with address: MemberAddress) -> ExchangeRole {
        guard consensus != nil else { return .both }
        return ordered.members.contains(address) || ordered.live.contains(address) ? .compareOnly : .sendOnly
    }

    /// Takes over what etcd says of the members, so that it is known when the group goes on without an engine.
    func orderChanged(_ group: OrderedGroup) async {
        guard group != ordered else { return }
        ordered = group
        var isChanged = false
        do {
            for address in group.members where self.group.membership.isIn(address) != true {
                try self.group.membership.join(address)
                isChanged = true
            }
            for address in group.forgotten where self.group.membership.isIn(address) == true {
                try self.group.membership.forget(address)
                isChanged = true
            }
            if isChanged { try await keepMembership() }
        } catch {
            logger.error("the members cannot be kept", metadata: ["reason": "\(error)"])
        }
        onChange()
    }
}
