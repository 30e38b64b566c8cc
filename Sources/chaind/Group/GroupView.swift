// What a node's view of its group is asked for: by `GET /sync/`, by `sync.json`, and to settle blocks.

import Chain

/// How a node sees a member.
enum MemberState: String, Sendable {
    /// The last health check succeeded, or none has ended yet.
    case up
    /// The last health check failed, or the last two.
    case failing
    /// It is off the list: three failed, or it has said that it stops.
    case removed
    /// Its list would replace settled blocks; an operator has to choose.
    case conflict
}

/// A member as `GET /sync/` shows it.
struct MemberView: Hashable, Sendable {
    let address: MemberAddress
    let state: MemberState
    /// The member's head as it was told last.
    let head: MemberHead?
    /// Health checks that failed in a row.
    let failures: Int
    /// How long ago it was heard of last.
    let lastContactSeconds: Double?
    /// How many blocks shorter its list is than this node's.
    let lagBlocks: Int?
    /// One line.
    let lastError: String?
}

extension GroupState {
    /// All members but this node, in the order of their addresses.
    func view(ownHeight: Int, nowSeconds: Double) -> [MemberView] {
        records.sorted { $0.key < $1.key }
            .map { address, record in
                let shared = otherAddress(of: record, at: address).map { "is the same node as \($0)" }
                return MemberView(
                    address: address, state: record.state, head: record.head, failures: record.failures,
                    lastContactSeconds: record.lastContactSeconds.map { nowSeconds - $0 },
                    lagBlocks: record.head.map { max(0, ownHeight - $0.height) },
                    lastError: record.lastError(nowSeconds: nowSeconds) ?? shared)
            }
    }

    /// What `sync.json` has to hold: this node, and the members that are on the list.
    var upAddresses: [MemberAddress] {
        let others = Set(records.keys).subtracting(offAddresses)
        return (others + (isMember ? [ownAddress] : [])).sorted()
    }

    /// What `sync.json` must not hold: who is off the list, who was forgotten, and second addresses of a node.
    var downAddresses: [MemberAddress] { offAddresses + membership.formerMembers }

    /// Members that are not on the list. Of a node with several addresses only the one that it gives itself is: were each
    /// node to choose for itself, those that share a file would write it again and again.
    private var offAddresses: [MemberAddress] {
        let announced = Set(records.values.filter { !$0.isRemoved }.compactMap(\.announcedNodeID))
        return records.filter { _, record in
            if record.isRemoved || record.isSelf { return true }
            guard let nodeID = record.head?.nodeID, record.announcedNodeID != nodeID else { return false }
            return announced.contains(nodeID)
        }.map(\.key)
    }

    /// What the last syncs have found, for `Settlement`.
    var commonPoints: [CommonPoint?] { records.values.filter { !$0.isSelf }.map(\.commonPoint) }

    /// How many members the group has, for `GroupClock`; this node is counted, and once.
    var memberCount: Int { 1 + records.values.count { !$0.isSelf } }

    /// Another address on the list that leads to the same node.
    func otherAddress(of record: MemberRecord, at address: MemberAddress) -> MemberAddress? {
        guard let nodeID = record.head?.nodeID, !record.isSelf else { return nil }
        return records.filter { $0.key != address && !$0.value.isRemoved && $0.value.head?.nodeID == nodeID }.keys.min()
    }
}
