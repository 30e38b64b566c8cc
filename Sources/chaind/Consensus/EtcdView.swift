// What a node knows of its group's keys. A value: what is known is never older than what was known before.

import Chain

/// The small keys of a group, as they were at some revision each.
struct EtcdView: Sendable {
    /// A key, present or not, as it was at a revision.
    struct Known<Value: Hashable & Sendable>: Hashable, Sendable {
        private(set) var value: Value?
        private(set) var revision = 0

        /// Takes that over if it is newer than what was known.
        mutating func learn(_ value: Value?, at revision: Int) {
            guard revision > self.revision else { return }
            self.revision = revision
            self.value = value
        }
    }

    let keys: ConsensusKeys
    private(set) var head = Known<Kept<HeadRecord>>()
    private(set) var leader = Known<Kept<LeaderRecord>>()
    private(set) var members = Known<Kept<MembersRecord>>()
    private var liveNodes: [MemberAddress: Known<Kept<LiveRecord>>] = [:]
    private var storedHeights: [MemberAddress: Known<Kept<StoredRecord>>] = [:]
    /// Which etcd it is; `nil` before it has answered.
    private(set) var clusterID: String?
    /// The revision of the newest snapshot.
    private(set) var revision = 0
    /// What stands in a key and cannot be read, in a line; `nil` if all can.
    private(set) var fault: String?

    init(keys: ConsensusKeys) {
        self.keys = keys
    }

    /// Who has a place in the group now.
    var live: [MemberAddress: Kept<LiveRecord>] { liveNodes.compactMapValues(\.value) }

    /// What each node says that it has on disk.
    var stored: [MemberAddress: Kept<StoredRecord>] { storedHeights.compactMapValues(\.value) }

    // MARK: Snapshots

    /// What reads everything within a transaction.
    var ranges: [EtcdTransaction.Operation] {
        [
            .range(EtcdRange(keys.head)), .range(EtcdRange(keys.leader)), .range(EtcdRange(keys.members)),
            .range(keys.allLive), .range(keys.allStored),
        ]
    }

    /// Takes over what `ranges` found.
    mutating func learn(_ answer: EtcdTransactionAnswer) {
        let ranges = answer.ranges
        guard ranges.count == self.ranges.count else { return }
        clusterID = answer.clusterID
        let now = answer.revision
        fault = nil
        head.learn(record(ranges[0].first), at: now)
        leader.learn(record(ranges[1].first), at: now)
        members.learn(record(ranges[2].first), at: now)
        learn(\.liveNodes, ranges[3], below: "live/", at: now)
        learn(\.storedHeights, ranges[4], below: "stored/", at: now)
        revision = max(revision, now)
    }

    private mutating func record<Record: Codable>(_ entry: EtcdEntry?) -> Kept<Record>? {
        guard let entry else { return nil }
        let value = Kept<Record>(entry)
        if value == nil { fault = "what stands in \(entry.key) cannot be read" }
        return value
    }

    private mutating func learn<Record: Codable>(
        _ path: WritableKeyPath<Self, [MemberAddress: Known<Kept<Record>>]>, _ entries: [EtcdEntry], below name: String,
        at revision: Int
    ) {
        var known = self[keyPath: path]
        var found: Set<MemberAddress> = []
        for entry in entries {
            guard let address = keys.address(of: entry.key, below: name) else { continue }
            found.insert(address)
            known[address, default: Known()].learn(Kept<Record>(entry), at: revision)
        }
        for address in known.keys where !found.contains(address) { known[address]?.learn(nil, at: revision) }
        self[keyPath: path] = known
    }

    // MARK: Changes

    /// Takes over a change.
    mutating func learn(_ event: EtcdEvent) {
        switch event {
        case .put(let entry):
            let revision = entry.modRevision
            switch entry.key {
            case keys.head: head.learn(Kept(entry), at: revision)
            case keys.leader: leader.learn(Kept(entry), at: revision)
            case keys.members: members.learn(Kept(entry), at: revision)
            case let key:
                if let address = keys.address(of: key, below: "live/") {
                    liveNodes[address, default: Known()].learn(Kept(entry), at: revision)
                } else if let address = keys.address(of: key, below: "stored/") {
                    storedHeights[address, default: Known()].learn(Kept(entry), at: revision)
                }
            }
        case .deleted(let key, let revision):
            switch key {
            case keys.head: head.learn(nil, at: revision)
            case keys.leader: leader.learn(nil, at: revision)
            case keys.members: members.learn(nil, at: revision)
            default:
                if let address = keys.address(of: key, below: "live/") { liveNodes[address]?.learn(nil, at: revision) }
                if let address = keys.address(of: key, below: "stored/") {
                    storedHeights[address]?.learn(nil, at: revision)
                }
            }
        }
    }

    /// Takes over a head that a transaction of this node's own has written.
    mutating func wroteHead(_ record: HeadRecord, createRevision: Int, at revision: Int) {
        head.learn(Kept(record: record, createRevision: createRevision, modRevision: revision), at: revision)
    }
}
