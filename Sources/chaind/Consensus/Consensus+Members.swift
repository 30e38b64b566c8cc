// How a node comes into its group, and who belongs to it.

import Chain
import Foundation

/// Which group a list belongs to, kept with it.
private struct GroupIdentity: Hashable, Codable {
    let clusterID: String
    /// The revision at which the group's head was made.
    let headRevision: Int

    private enum CodingKeys: String, CodingKey {
        case clusterID = "cluster_id"
        case headRevision = "head_revision"
    }
}

extension Consensus {
    private static let retrySeconds = 1.0
    private static let identityRecord = "consensus"
    private static let changesMax = 20

    // MARK: Entering

    /// Finds out whether this list and the group's are one, and brings it to where the group's is.
    func enter() async {
        do {
            try await enterOrThrow()
            phase = .following
            logger.notice(
                "is part of the group", metadata: ["prefix": "\(settings.prefix)", "height": "\(list.height)"])
            schedule(.renew)
            schedule(.watch)
            schedule(.follow)
            return
        } catch let error as FollowError {
            switch error {
            case .later(let reason): phase = .entering(reason: reason)
            case .differs: takeNote(of: error)
            }
        } catch let error as EtcdError {
            phase = .entering(reason: error.description)
        } catch {
            phase = .entering(reason: "\(error)")
        }
        guard case .entering(let reason) = phase else { return }
        tell("waits for etcd", reason, level: .warning)
        schedule(.enter, afterSeconds: Self.retrySeconds)
    }

    private func enterOrThrow() async throws {
        try await checkVersion()
        try await snapshot()
        try await publishFinal()
        if let fault = view.fault { throw FollowError.later(fault) }
        guard let head = view.head.value, view.members.value != nil else {
            try await found()
            throw FollowError.later("the group is being made")
        }
        guard head.record.format == 1, head.record.genesis == Block.genesis.hash else {
            throw FollowError.differs("what is below \(keys.root) in etcd is another kind of list")
        }
        let identity = GroupIdentity(clusterID: view.clusterID ?? "", headRevision: head.createRevision)
        let status = list.status
        if let kept = try await keptIdentity(), kept != identity {
            throw FollowError.differs(
                "this list belongs to another group or another etcd, and is final up to height \(status.finalHeight)")
        }
        guard status.finalHeight <= head.record.height else {
            throw FollowError.differs(
                "this list is final up to height \(status.finalHeight), and etcd's ends at \(head.record.height)")
        }
        let isSame = try await list.storedHashes(at: [status.finalHeight]) == [head.record.hash]
        guard status.finalHeight < head.record.height || isSame else {
            throw FollowError.differs("block \(status.finalHeight), which is final here, is another one in etcd")
        }
        while try await followOn() {}
        let end = view.head.value?.record.point ?? head.record.point
        if list.status.finalHeight == end.height, list.height > end.height {
            let result = try await list.cut(after: end.height, hash: end.hash)
            logger.notice("blocks are sent again", metadata: ["blocks": "\(result?.replacedBlocks ?? 0)"])
        }
        guard list.height == list.status.finalHeight else { throw FollowError.later("the order goes on meanwhile") }
        try await list.setRecord(Self.identityRecord, to: Array(try JSONEncoder().encode(identity)))
        isMerging = false
        await joinIfForgottenByNobody()
    }

    private func checkVersion() async throws {
        for status in await etcd.status() {
            let numbers = status.version.split(separator: ".").compactMap { Int($0) }
            guard numbers.count >= 2, (numbers[0], numbers[1]) >= (3, 4) else {
                throw FollowError.later("etcd \(status.version) at \(status.endpoint) is too old: 3.4 is needed")
            }
        }
    }

    /// Says what this node has on disk, before anything else: it may be less than before.
    private func publishFinal() async throws {
        _ = try await list.sync()
        let height = list.status.finalHeight
        guard let hash = try await list.storedHashes(at: [height]).first ?? nil else {
            throw FollowError.later("block \(height) is damaged")
        }
        let record = StoredRecord(height: height, hash: hash)
        let publication = try publication(of: record)
        let answer = try await settle(
            EtcdTransaction(
                comparisons: [publication.comparison], success: [publication.operation] + view.ranges,
                failure: [.put(keys.probe(ownAddress), [])] + view.ranges))
        learn(answer)
        guard view.stored[ownAddress]?.record == record else {
            throw FollowError.later("a process before this one has published another height meanwhile")
        }
    }

    private func keptIdentity() async throws -> GroupIdentity? {
        guard let kept = try await list.record(Self.identityRecord) else { return nil }
        return try JSONDecoder().decode(GroupIdentity.self, from: Data(kept))
    }

    /// Makes the group: this node's list is the order so far.
    private func found() async throws {
        guard view.head.value == nil, view.members.value == nil else {
            throw FollowError.later("parts of the group's keys are gone from etcd")
        }
        if let kept = try await keptIdentity() {
            throw FollowError.differs(
                """
                this list belongs to a group in etcd \(kept.clusterID) that is not there any more, and is final up to height \
                \(list.status.finalHeight)
                """)
        }
        try await makeOrder(comparing: [.createRevision(keys.head, 0), .createRevision(keys.members, 0)])
        logger.notice("makes the group", metadata: ["height": "\(list.height)"])
    }

    /// Makes this node's list the order, and this node the only member so far.
    private func makeOrder(comparing comparisons: [EtcdTransaction.Comparison]) async throws {
        _ = try await list.sync()
        let status = list.status
        guard status.headHash != .zero else { throw FollowError.later("block \(status.height) is damaged") }
        let head = HeadRecord(height: status.height, hash: status.headHash, writtenSizeBytes: 0)
        let members = MembersRecord(
            members: [ownAddress], forgotten: [], keptHeight: status.height, keptSizeBytes: 0)
        let stored = StoredRecord(height: status.height, hash: status.headHash)
        let answer = try await settle(
            EtcdTransaction(
                comparisons: comparisons,
                success: [
                    .put(keys.head, try head.etcdValue()), .put(keys.members, try members.etcdValue()),
                    .put(keys.stored(ownAddress), try stored.etcdValue()), .delete(keys.batches(from: 0)),
                    .delete(keys.chunks(from: 0)), .delete(EtcdRange(keys.leader)),
                ] + view.ranges, failure: view.ranges))
        learn(answer)
    }

    // MARK: Members

    /// What becomes of the members, by a transaction that compares more than that nobody else changes them.
    private struct MembersChange {
        let record: MembersRecord
        var comparisons: [EtcdTransaction.Comparison] = []
        var operations: [EtcdTransaction.Operation] = []
    }

    /// Changes who is a member, where nobody else does so meanwhile.
    ///
    /// - Parameter change: what to change; `nil` for nothing.
    private func changeMembers(
        _ change: (MembersRecord) throws -> MembersChange?
    ) async throws {
        for _ in 0..<Self.changesMax {
            guard let members = view.members.value, let changed = try change(members.record) else { return }
            let answer = try await settle(
                EtcdTransaction(
                    comparisons: [.modRevision(keys.members, members.modRevision)] + changed.comparisons,
                    success: [.put(keys.members, try changed.record.etcdValue())] + changed.operations + view.ranges,
                    failure: view.ranges))
            learn(answer)
            if answer.isSucceeded {
                await tellMembers()
                return
            }
        }
        throw EtcdError.unknown("the members change all the time")
    }

    /// Becomes a member, unless it was decided that this node is none. It has all that etcd does not keep any more.
    func joinIfForgottenByNobody() async {
        guard !isMember, !isForgotten, let members = view.members.value else { return }
        guard let stored = await storedRecord(), stored.height >= members.record.keptHeight else { return }
        do {
            try await changeMembers { record in
                guard !record.members.contains(ownAddress), !record.forgotten.contains(ownAddress),
                    // More may be deleted meanwhile.
                    stored.height >= record.keptHeight
                else { return nil }
                guard record.members.count < settings.membersMax else {
                    throw FollowError.later("the group has \(record.members.count) members, and may not have more")
                }
                var changed = record
                changed.members = (record.members + [ownAddress]).sorted()
                let publication = try publication(of: stored)
                return MembersChange(
                    record: changed, comparisons: [publication.comparison], operations: [publication.operation])
            }
            tell("becoming a member", nil)
        } catch {
            tell("becoming a member", "\(error)", level: .warning)
        }
    }

    /// Lets a node come back that was forgotten.
    ///
    /// - Throws: `MembershipError.isMember`; `EtcdError`.
    func allow(_ address: MemberAddress) async throws {
        if view.members.value?.record.members.contains(address) == true { throw MembershipError.isMember(address) }
        try await changeMembers { record in
            guard record.forgotten.contains(address) else { return nil }
            var changed = record
            changed.forgotten.removeAll { $0 == address }
            return MembersChange(record: changed)
        }
    }

    /// Takes a member out of the group; its appends cannot be put in order from then on.
    ///
    /// - Throws: `MembershipError.noMember`; `EtcdError`; `FollowError` if too few would be left that have what etcd does not
    ///   keep any more.
    func forget(_ address: MemberAddress) async throws {
        try await snapshot()
        let stored = try await confirmedStored()
        try await changeMembers { record in
            guard record.members.contains(address) else { throw MembershipError.noMember(address) }
            var changed = record
            changed.members.removeAll { $0 == address }
            changed.forgotten = (record.forgotten + [address]).sorted()
            let having = changed.members.filter { (stored[$0]?.record.height ?? 0) >= record.keptHeight }
            guard 2 * having.count > changed.members.count else {
                throw FollowError.later(
                    "too few of the members that would be left have the blocks that etcd does not keep any more")
            }
            return MembersChange(
                record: changed,
                comparisons: having.map { .modRevision(keys.stored($0), stored[$0]?.modRevision ?? 0) },
                operations: [.delete(EtcdRange(keys.live(address))), .delete(EtcdRange(keys.stored(address)))])
        }
    }

    // MARK: Decisions of operators

    /// Makes this node's own list the order, whatever etcd says: for an etcd that was set back.
    func imposeOwnList() async throws {
        view = EtcdView(keys: keys)
        try await snapshot()
        let comparison = EtcdTransaction.Comparison.modRevision(keys.head, view.head.value?.modRevision ?? 0)
        try await makeOrder(comparing: [comparison])
        guard let head = view.head.value,
            head.record.point
                == BlockPoint(
                    height: list.status.height, hash: list.status.headHash)
        else { throw FollowError.later("the group's head changed meanwhile") }
        try await beginAgain()
    }

    /// Forgets which group the list belonged to, after an operator chose its list, and enters anew.
    func beginAgain() async throws {
        view = EtcdView(keys: keys)
        try await snapshot()
        try await list.setRecord(Self.identityRecord, to: Array(try JSONEncoder().encode(currentIdentity)))
        isMerging = true
        session = nil
        stopLeading()
        phase = .entering(reason: "an operator chose a list")
        schedule(.enter)
        updateGate()
        onChange()
    }

    private var currentIdentity: GroupIdentity {
        GroupIdentity(clusterID: view.clusterID ?? "", headRevision: view.head.value?.createRevision ?? 0)
    }
}
