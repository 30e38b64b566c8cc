// Who leads, what the leader deletes from etcd, and how full that may be.

import Chain

extension Consensus {
    private static let retrySeconds = 1.0
    private static let statusSeconds = 60.0

    // MARK: Elections

    /// Tries to become the leader, if there is none and this node has the whole list.
    func elect() async {
        guard let session, !session.isDoubtful, leadership == nil, phase == .following, isMember, !isStopping,
            leaderlessSeconds != nil, let head = view.head.value
        else { return }
        schedule(.elect, afterSeconds: Self.retrySeconds)
        guard await mayLead(head) else { return schedule(.follow) }
        let record = LeaderRecord(address: ownAddress, nodeID: nodeID, attempt: newAttempt())
        do throws(EtcdError) {
            let answer = try await settle(
                EtcdTransaction(
                    comparisons: [
                        .createRevision(keys.leader, 0), .modRevision(keys.head, head.modRevision),
                        .createRevision(keys.live(ownAddress), session.revision),
                    ],
                    success: [.put(keys.leader, try record.etcdValue(), leaseID: session.leaseID)] + view.ranges,
                    failure: view.ranges))
            view.learn(answer)
            if let leader = view.leader.value, leader.record == record, self.session?.revision == session.revision,
                let head = view.head.value, head.record.height == list.height
            {
                leadership = Leadership(
                    epoch: leader.createRevision, headRevision: head.modRevision,
                    writtenSizeBytes: head.record.writtenSizeBytes,
                    sizes: [(head.record.height, head.record.writtenSizeBytes)])
                statusDueSeconds = 0
                logger.notice(
                    "leads the group",
                    metadata: ["epoch": "\(leader.createRevision)", "height": "\(head.record.height)"])
                schedule(.order)
                schedule(.trim)
            }
            viewChanged()
        } catch {
            // The next turn tries again.
        }
    }

    private func mayLead(_ head: Kept<HeadRecord>) async -> Bool {
        let status = list.status
        guard status.height == head.record.height, status.headHash == head.record.hash,
            status.finalHeight == head.record.height
        else { return false }
        guard abs(time.ownSeconds - time.seconds) <= Int64(GroupClock.differenceSecondsMax) else {
            tell("does not lead", "this machine's clock is wrong", level: .warning)
            return false
        }
        do throws(ReadError) {
            guard try await !list.mayLackTags() else {
                tell("does not lead", "its file was rebuilt and lacks what it has to know of the last 24 hours")
                return false
            }
        } catch {
            return false
        }
        return true
    }

    /// Leaves the lead to somebody else.
    func resign(_ reason: String) async {
        guard let ended = leadership else { return }
        logger.error("gives up the lead", metadata: ["reason": "\(reason)"])
        stopLeading()
        schedule(.follow)
        do throws(EtcdError) {
            let answer = try await settle(
                EtcdTransaction(
                    comparisons: [.createRevision(keys.leader, ended.epoch)],
                    success: [.delete(EtcdRange(keys.leader))] + view.ranges, failure: view.ranges))
            learn(answer)
        } catch {
            // Its lease ends it.
        }
    }

    // MARK: What etcd keeps

    func trimIfMuch() {
        guard let leadership, let members = view.members.value?.record,
            leadership.writtenSizeBytes - members.keptSizeBytes > settings.tailSizeBytesMax / 8 || isStatusDue
        else { return }
        schedule(.trim)
    }

    /// Whether etcd may have become much fuller since it was asked: by a thirty-second of its quota, or others have written.
    private var isStatusDue: Bool {
        let written = (leadership?.writtenSizeBytes ?? 0) - statusWrittenSizeBytes
        return isFull || nowSeconds() >= statusDueSeconds || written >= settings.quotaSizeBytes / 32
    }

    /// Deletes what a majority of all members has on disk, and looks at how full etcd is.
    func trim() async {
        guard let leadership else { return }
        schedule(.trim, afterSeconds: isFull ? Self.retrySeconds : settings.intervalSeconds)
        do {
            try await deleteKept(leadership)
            try await lookAtSize()
            tell("keeping etcd small", nil)
        } catch {
            tell("keeping etcd small", "\(error)", level: .warning)
        }
        if !queue.isEmpty { schedule(.order) }
    }

    private func deleteKept(_ leadership: Leadership) async throws {
        guard let members = view.members.value else { return }
        let stored = try await confirmedStored()
        let majority = members.record.members.count / 2 + 1
        let having = members.record.members.compactMap { address in stored[address].map { (address: address, kept: $0) }
        }
        .sorted { $0.kept.record.height > $1.kept.record.height }.prefix(majority)
        guard having.count == majority, let height = having.last?.kept.record.height,
            height >= members.record.keptHeight
        else { return }
        var record = members.record
        record.keptHeight = height
        if let size = leadership.sizes.last(where: { $0.height <= height }) {
            record.keptSizeBytes = max(record.keptSizeBytes, size.writtenSizeBytes)
        }
        // Who deleted it need not have known its size: a leader that was not told yet that its batch is made.
        guard record != members.record else { return }
        let answer = try await settle(
            EtcdTransaction(
                comparisons: [
                    .createRevision(keys.leader, leadership.epoch), .modRevision(keys.members, members.modRevision),
                ] + having.map { .modRevision(keys.stored($0.address), $0.kept.modRevision) },
                success: [
                    .put(keys.members, try record.etcdValue()), .delete(keys.batches(below: height + 1)),
                    .delete(keys.chunks(below: height + 1)),
                ] + view.ranges, failure: view.ranges))
        learn(answer)
        guard answer.isSucceeded else { return }
        self.leadership?.sizes.removeAll { $0.height < height }
    }

    /// What nodes have on disk of this node's list: what they have of another one does not count.
    func confirmedStored() async throws -> [MemberAddress: Kept<StoredRecord>] {
        var confirmed: [MemberAddress: Kept<StoredRecord>] = [:]
        for (address, kept) in view.stored where kept.record.height <= list.height {
            guard try await list.storedHashes(at: [kept.record.height]) == [kept.record.hash] else { continue }
            confirmed[address] = kept
        }
        return confirmed
    }

    /// Members that have less than the leader, those that are away first.
    func laggards(of record: MembersRecord) -> [MemberAddress] {
        let (stored, live) = (view.stored, view.live)
        let away = record.members.filter { live[$0] == nil }
        if !away.isEmpty { return away }
        return record.members.filter { $0 != ownAddress && (stored[$0]?.record.height ?? 0) < list.height }
    }

    private func lookAtSize() async throws {
        guard isStatusDue else { return }
        let writtenSizeBytes = self.leadership?.writtenSizeBytes ?? 0
        let statuses = await etcd.status()
        guard let used = statuses.map(\.usedSizeBytes).max() else { return }
        statusDueSeconds = nowSeconds() + Self.statusSeconds
        statusWrittenSizeBytes = writtenSizeBytes
        if used > settings.quotaSizeBytes / 2, settings.mayCompact { try await etcd.compact(view.revision) }
        isFull = used > settings.quotaSizeBytes / 4 * 3
        tell("etcd is full", isFull ? "\(used) of \(settings.quotaSizeBytes) bytes" : nil)
    }
}
