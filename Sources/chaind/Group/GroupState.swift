// The decisions of a node about its group: whom to check and to sync with, and when; whom to take off the list and on
// again. A value without sockets and clocks; the driver of the group owns it, does what `due` says and tells the result.

/// How often members are checked and synced with.
struct GroupPace: Hashable, Sendable {
    /// The longest pause between two tries of a member that was taken off the list.
    static let removedPauseSecondsMax = 60.0
    /// The first pause after a sync that a change of one of the lists overtook; the next ones grow up to `syncSeconds`.
    static let overtakenPauseSeconds = 0.05
    /// The longest pause between two syncs with a member whose blocks were refused.
    static let refusedPauseSecondsMax = 300.0

    /// The time between two health checks of a member.
    var checkSeconds = 5.0
    /// The time between two syncs with a member while nothing changes.
    var syncSeconds = 5.0
    /// How many syncs may move blocks at once.
    var transfersMax = 4
    /// So many blocks are fetched from one member at a time, and what others send meanwhile is not taken: each has them all.
    var bulkBlocksMin = 4_096
    /// For how long: that member may be slow.
    var bulkSeconds = 60.0
}

/// What is to be done now. Each is done at once, on its own, and ends with a call of `checked` or `synced`.
enum GroupAction: Hashable, Sendable {
    case check(MemberAddress)
    case sync(MemberAddress)
}

/// What a health check came to.
enum CheckResult: Sendable {
    case answered(MemberHead)
    /// Why not, in a line.
    case failed(String)
}

/// What a sync came to.
enum SyncOutcome: Sendable {
    /// It ended well: the member's head, and the height of the last block that both lists have.
    case agreed(MemberHead, commonHeight: Int)
    /// As many transfers as may be were under way: `mayTransfer` was false.
    case postponed
    /// One of the lists changed meanwhile; how, in a line. It is tried again soon.
    case overtaken(String)
    /// It broke off, and nobody is to blame; why, in a line.
    case failed(String)
    /// What the member sent was wrong; what and where, in a line.
    case refused(String)
    /// The member's list would replace settled blocks, the first at this height.
    case conflict(height: Int)
}

/// What the operator is told in the log: each once, when it comes about.
enum GroupEvent: Hashable, Sendable {
    /// A member was taken off the list, and why.
    case removed(MemberAddress, String)
    /// A member has said that it stops, and was taken off the list.
    case stopped(MemberAddress)
    /// A member is on the list again.
    case returned(MemberAddress)
    /// A member's address leads to this node itself.
    case isSelf(MemberAddress)
    /// Two addresses lead to one node.
    case sharedNode(MemberAddress, MemberAddress)
    /// Two nodes answer for one address.
    case sharedAddress(MemberAddress)
    /// A member's list differs from settled blocks of this node's, the first at this height.
    case conflict(MemberAddress, height: Int)
    /// Another node says that it has this node's address.
    case ownAddressTaken
}

/// The group as one node sees it.
///
/// A node whose own address was forgotten goes on with its health checks but syncs with nobody until it is a member
/// again, which it learns from a member's message.
struct GroupState: Sendable {
    /// Where this node is found.
    let ownAddress: MemberAddress
    /// The random id of this process.
    let nodeID: String
    /// The map of the members; each change of it begins or ends what is known of a member.
    var membership: Membership { didSet { alignRecords() } }

    private let pace: GroupPace
    private var generator: any RandomNumberGenerator & Sendable
    private(set) var records: [MemberAddress: MemberRecord] = [:]
    /// Whether the node still has to become a member against what others decided before its start.
    private var isTold: Bool
    private var transferring: Set<MemberAddress> = []
    /// When fetches of many blocks began.
    private var bulkStartSeconds: [MemberAddress: Double] = [:]
    /// Who waits for a transfer, in turn. At most one place a member.
    private var waiting: [MemberAddress] = []
    private var ownAddressTakenSeconds = -Double.infinity

    /// The group at the start of a node.
    ///
    /// - Parameters:
    ///   - membership: what was kept of it.
    ///   - isTold: whether the node starts with `--join` or as a founding member, which makes it a member again even if
    ///     it was forgotten.
    ///   - generator: the source of the jitter.
    /// - Throws: `MembershipError` if there is no room for this node.
    init(
        ownAddress: MemberAddress, nodeID: String, membership: Membership, isTold: Bool, pace: GroupPace = GroupPace(),
        generator: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
    ) throws(MembershipError) {
        self.ownAddress = ownAddress
        self.nodeID = nodeID
        self.membership = membership
        self.pace = pace
        self.generator = generator
        self.isTold = isTold
        try self.membership.announce(ownAddress, isTold: isTold)
        alignRecords()
    }

    /// Takes over what a member's map knows better.
    ///
    /// - Returns: whether anything changed, so that the map has to be kept and `sync.json` to be written.
    /// - Throws: `MembershipError`: a bad map, or the group is full and this node, told to join it, stays out. The map is
    ///   left as it was.
    @discardableResult
    mutating func merge(_ entries: [MembershipEntry]) throws(MembershipError) -> Bool {
        var merged = membership
        try merged.merge(entries)
        // A database that was lost has forgotten how often was decided on this node: only now can it say it anew. Once:
        // what is decided later holds.
        let isTold = isTold
        self.isTold = false
        try merged.announce(ownAddress, isTold: isTold)
        guard merged != membership else { return false }
        membership = merged
        return true
    }

    // MARK: What to do

    /// What is due. Each of it counts as under way from now on.
    mutating func due(nowSeconds: Double) -> [GroupAction] {
        var actions: [GroupAction] = []
        for (address, record) in records.sorted(by: { $0.key < $1.key }) {
            if record.checkDueSeconds <= nowSeconds {
                records[address]?.checkBegins(nowSeconds: nowSeconds)
                actions.append(.check(address))
            }
            if isMember, record.syncDueSeconds <= nowSeconds, !waiting.contains(address) {
                records[address]?.syncBegins()
                actions.append(.sync(address))
            }
        }
        while isTransferDue {
            let address = waiting.removeFirst()
            // Who cannot be synced with now loses its place.
            guard isMember, let record = records[address], record.syncDueSeconds < .infinity else { continue }
            records[address]?.syncBegins()
            transferring.insert(address)
            actions.append(.sync(address))
        }
        return actions
    }

    /// When something is due next: minus infinity if at once, infinity if nothing is before something is reported.
    var nextDueSeconds: Double {
        if isTransferDue { return -.infinity }
        return records.reduce(.infinity) { soonest, entry in
            let syncs = isMember && !waiting.contains(entry.key)
            return min(soonest, entry.value.checkDueSeconds, syncs ? entry.value.syncDueSeconds : .infinity)
        }
    }

    /// The list has blocks that the members have not: what this node appended, or appended again.
    ///
    /// What came by a sync is no such change: who sent it tells all its members itself, and the next turns do the rest.
    /// If every node told every other of everything, a change would cost the square of the members.
    mutating func listChanged() {
        for address in records.keys { records[address]?.listChanged() }
    }

    /// Blocks of this node's list were replaced from a height on: what members had of them is not common any more.
    mutating func listReplaced(from height: Int) {
        for address in records.keys { records[address]?.listReplaced(from: height) }
    }

    /// A part of a pause that is to be different on each node, from 0 to 1.
    mutating func jitter() -> Double { Double.random(in: 0...1, using: &generator) }

    /// A round of sync is asked for, or an operator has ended a conflict: nobody's turn is waited for.
    mutating func roundRequested() {
        for address in records.keys { records[address]?.roundRequested() }
    }

    // MARK: Transfers

    /// Whether a sync that is under way may move blocks now. If not it ends as `postponed`, and `due` names the member
    /// again as soon as a transfer has ended, those who wait longest first.
    mutating func mayTransfer(with address: MemberAddress) -> Bool {
        if transferring.contains(address) { return true }
        if transferring.count < pace.transfersMax, waiting.isEmpty {
            transferring.insert(address)
            return true
        }
        if !waiting.contains(address) { waiting.append(address) }
        return false
    }

    /// Blocks no longer move between this node and the member. The end of the sync says so as well.
    mutating func transferEnded(with address: MemberAddress) { transferring.remove(address) }

    /// Whether a sync that may move blocks may fetch so many now.
    mutating func mayFetch(blocks: Int, from address: MemberAddress, nowSeconds: Double) -> Bool {
        guard blocks >= pace.bulkBlocksMin else { return true }
        guard !isFetchingMany(nowSeconds: nowSeconds) else { return false }
        bulkStartSeconds[address] = nowSeconds
        return true
    }

    /// Whether so many blocks may be sent to a member that was asked what it has: it has a turn to fetch them itself first.
    mutating func maySend(blocks: Int, to address: MemberAddress, nowSeconds: Double) -> Bool {
        guard blocks >= pace.bulkBlocksMin else { return true }
        return records[address]?.hadTurnToFetch(nowSeconds: nowSeconds) != false
    }

    /// Whether many blocks are fetched from a member, so that none are taken that others send.
    func isFetchingMany(nowSeconds: Double) -> Bool {
        bulkStartSeconds.values.contains { nowSeconds - $0 < pace.bulkSeconds }
    }

    private var isTransferDue: Bool {
        guard transferring.count < pace.transfersMax, let first = waiting.first else { return false }
        return records[first]?.isSyncUnderWay != true
    }

    /// Whether this node is a member, so that its list is the members' business.
    var isMember: Bool { membership.isIn(ownAddress) == true }

    // MARK: What happened

    /// A health check ended, in any way.
    mutating func checked(_ address: MemberAddress, result: CheckResult, nowSeconds: Double) -> [GroupEvent] {
        guard let known = records[address] else { return [] }
        switch result {
        case .failed(let reason):
            let jitter = removedJitter()
            let isRemoved = records[address]?.checkFailed(reason, jitter: jitter, nowSeconds: nowSeconds)
            return isRemoved == true ? [.removed(address, reason)] : []
        case .answered(let head):
            let hasReturned = records[address]?.checkSucceeded(head, nowSeconds: nowSeconds)
            return (hasReturned == true ? [.returned(address)] : [])
                + identityEvents(address, known: known, nowSeconds: nowSeconds)
        }
    }

    /// A sync ended, in any way.
    mutating func synced(_ address: MemberAddress, outcome: SyncOutcome, nowSeconds: Double) -> [GroupEvent] {
        transferring.remove(address)
        bulkStartSeconds[address] = nil
        guard let known = records[address] else { return [] }
        let jitter = Double.random(in: 0.9...1.1, using: &generator)
        records[address]?.syncEnded(outcome, jitter: jitter, nowSeconds: nowSeconds)
        let events = identityEvents(address, known: known, nowSeconds: nowSeconds)
        guard known.conflictHeight == nil, let height = records[address]?.conflictHeight else { return events }
        return events + [.conflict(address, height: height)]
    }

    /// A status message came. Its map is merged first, so that a new member is known.
    mutating func heard(from address: MemberAddress, head: MemberHead, nowSeconds: Double) -> [GroupEvent] {
        if address == ownAddress {
            guard head.nodeID != nodeID, nowSeconds - ownAddressTakenSeconds > MemberRecord.sharedAddressSeconds else {
                return []
            }
            ownAddressTakenSeconds = nowSeconds
            return [.ownAddressTaken]
        }
        guard let known = records[address] else { return [] }
        records[address]?.heard(head, nowSeconds: nowSeconds)
        return identityEvents(address, known: known, nowSeconds: nowSeconds)
    }

    /// A member says that it stops: it is off the list at once, and stays a member.
    mutating func left(_ address: MemberAddress, nodeID: String, nowSeconds: Double) -> [GroupEvent] {
        let jitter = removedJitter()
        let isRemoved = records[address]?.left(nodeID: nodeID, jitter: jitter, nowSeconds: nowSeconds)
        return isRemoved == true ? [.stopped(address)] : []
    }

    /// Never longer than the pause, so that a minute is a minute.
    private mutating func removedJitter() -> Double { Double.random(in: 0.9...1, using: &generator) }

    private func identityEvents(
        _ address: MemberAddress, known: MemberRecord, nowSeconds: Double
    ) -> [GroupEvent] {
        guard let record = records[address], record.head?.nodeID != known.head?.nodeID else { return [] }
        if record.isShared(nowSeconds: nowSeconds) {
            return known.isShared(nowSeconds: nowSeconds) ? [] : [.sharedAddress(address)]
        }
        if record.isSelf { return [.isSelf(address)] }
        return otherAddress(of: record, at: address).map { [.sharedNode($0, address)] } ?? []
    }

    private mutating func alignRecords() {
        let others = Set(membership.members).subtracting([ownAddress])
        records = records.filter { others.contains($0.key) }
        for address in others where records[address] == nil {
            records[address] = MemberRecord(ownNodeID: nodeID, pace: pace)
        }
    }
}
