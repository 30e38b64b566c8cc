// A node's place in the group: a live key under a lease. Its appends can be put in order only while it has that key.

import Chain

extension Consensus {
    private static let retrySeconds = 1.0

    /// Renews this node's place and looks at everything, or takes a place.
    func renew() async {
        guard phase == .following else { return }
        do throws(EtcdError) {
            if let session, !session.isDoubtful {
                try await renew(session)
            } else if session != nil {
                await endSession(isOver: false)
            } else if isForgotten {
                // That may have been changed.
                try await snapshot()
            } else {
                try await takeSession()
            }
            if session != nil { try await forgetLeadership() }
            await checkLeader()
            await joinIfForgottenByNobody()
            let isInOrder = session != nil && leaderSilence == nil
            schedule(.renew, afterSeconds: isInOrder ? settings.intervalSeconds : Self.retrySeconds)
        } catch {
            if case .denied = error { tell("etcd does not let this node in", error.description) }
            await doubtIfOver()
            schedule(.renew, afterSeconds: Self.retrySeconds)
        }
        if isLeaderless { schedule(.elect, afterSeconds: jitterSeconds(0...0.2)) }
        if leadership != nil { schedule(.trim) }
        schedule(.orphans)
        await tellMembers()
    }

    /// Looks whether a leader that could not be reached can be now: nobody else finds out while appends are refused.
    private func checkLeader() async {
        guard leaderSilence != nil, let leader = view.leader.value, leader.record.address != ownAddress else { return }
        do throws(PeerError) {
            _ = try await peers.health(leader.record.address)
            leaderSilence = nil
        } catch {
            leaderSilence?.reason = error.description
        }
    }

    private var isLeaderless: Bool { leaderlessSeconds != nil && leadership == nil }

    private func renew(_ session: Session) async throws(EtcdError) {
        let start = nowSeconds()
        // Whatever is said of the lease is a hint; the transaction tells whether the place is still there.
        _ = try await etcd.keepAlive(session.leaseID)
        let record = await storedRecord()
        let publication = view.stored[ownAddress]?.record == record ? nil : try record.map(publication(of:))
        let probe = EtcdTransaction.Operation.put(keys.probe(ownAddress), [])
        let answer = try await attempt(
            EtcdTransaction(
                comparisons: [.createRevision(keys.live(ownAddress), session.revision)]
                    + [publication?.comparison].compactMap(\.self),
                success: [publication?.operation ?? probe] + view.ranges, failure: [probe] + view.ranges))
        view.learn(answer)
        // Where only the publication was not the next one, the place is still there.
        let isThere = answer.isSucceeded || view.live[ownAddress]?.createRevision == session.revision
        if isThere { self.session?.renewedSeconds = start } else { self.session?.isDoubtful = true }
        if answer.isSucceeded { unpublishedSizeBytes = 0 }
        viewChanged()
        if !isThere { await endSession(isOver: true) }
    }

    /// What this node has on disk; `nil` if that does not work, and the height that is published stays true.
    func storedRecord() async -> StoredRecord? {
        do throws(ReceptionError) {
            let head = try await list.sync()
            tell("writing to the disk", nil)
            return StoredRecord(height: head.height, hash: head.hash)
        } catch {
            tell("writing to the disk", error.description)
            return nil
        }
    }

    /// What says which height this node has on disk. One that comes late, from a process before this one on another disk, must
    /// not undo a later one.
    func publication(
        of record: StoredRecord
    ) throws(EtcdError) -> (comparison: EtcdTransaction.Comparison, operation: EtcdTransaction.Operation) {
        let key = keys.stored(ownAddress)
        return (
            .modRevision(key, view.stored[ownAddress]?.modRevision ?? 0), .put(key, try record.etcdValue())
        )
    }

    // MARK: Taking a place

    private func takeSession() async throws(EtcdError) {
        let databaseID: String
        do {
            databaseID = try await self.databaseID()
        } catch {
            throw .refused("the list has no id: \(error)")
        }
        let leaseID = try await etcd.grantLease(settings.leaseSeconds)
        let record = LiveRecord(nodeID: nodeID, databaseID: databaseID, attempt: newAttempt())
        let start = nowSeconds()
        let key = keys.live(ownAddress)
        let answer = try await settle(
            EtcdTransaction(
                comparisons: [.createRevision(key, 0)],
                success: [.put(key, try record.etcdValue(), leaseID: leaseID)] + view.ranges, failure: view.ranges))
        learn(answer)
        if let own = view.live[ownAddress], own.record == record {
            session = Session(revision: own.createRevision, leaseID: leaseID, renewedSeconds: start)
            tell("this node's address is another one's", nil)
            try await forgetLeadership()
            return
        }
        try await etcd.revokeLease(leaseID)
        guard let other = view.live[ownAddress] else { throw .unknown("the place was lost at once") }
        guard other.record.databaseID == databaseID else {
            tell("this node's address is another one's", "process \(other.record.nodeID) has it")
            throw .refused("another node has the address \(ownAddress)")
        }
        // The process before this one on this database: it runs no more.
        let ended = try await settle(
            EtcdTransaction(
                comparisons: [.createRevision(key, other.createRevision)],
                success: [.delete(EtcdRange(key)), .put(keys.probe(ownAddress), [])] + view.ranges,
                failure: view.ranges))
        learn(ended)
        schedule(.renew)
    }

    /// Ends what a process before this one was elected to, or what came of an election of this one that it had given up: a
    /// transaction of it may be made much later.
    private func forgetLeadership() async throws(EtcdError) {
        guard let leader = view.leader.value, leader.record.address == ownAddress,
            leader.createRevision != leadership?.epoch, !isUnderWay(.elect)
        else { return }
        let answer = try await settle(
            EtcdTransaction(
                comparisons: [.createRevision(keys.leader, leader.createRevision)],
                success: [.delete(EtcdRange(keys.leader))] + view.ranges, failure: view.ranges))
        learn(answer)
    }

    /// What names a database. A copy of it is another one.
    static let databaseRecord = "database_id"

    /// Names this database; another one at this address is another node.
    private func databaseID() async throws -> String {
        if let kept = try await list.record(Self.databaseRecord) { return String(decoding: kept, as: UTF8.self) }
        // As random as the process's own, which no other database has.
        try await list.setRecord(Self.databaseRecord, to: Array(nodeID.utf8))
        return nodeID
    }

    // MARK: Doubt

    /// Begins to doubt the place if the lease may be over.
    private func doubtIfOver() async {
        guard let session, !session.isDoubtful,
            nowSeconds() - session.renewedSeconds >= Double(settings.leaseSeconds)
        else { return }
        self.session?.isDoubtful = true
        await endSession(isOver: false)
    }

    /// Ends a doubtful place: from then on none of its appends can be put in order. Those that were are answered so, the others
    /// refused.
    ///
    /// - Parameter isOver: whether a transaction has told that the place is gone.
    private func endSession(isOver: Bool) async {
        guard let session else { return }
        updateGate()
        tell("this node's place in the group is over, or may be", "its lease was not renewed in time", level: .warning)
        if !isOver {
            let key = keys.live(ownAddress)
            let probe = EtcdTransaction.Operation.put(keys.probe(ownAddress), [])
            do throws(EtcdError) {
                let answer = try await settle(
                    EtcdTransaction(
                        comparisons: [.createRevision(key, session.revision)],
                        success: [.delete(EtcdRange(key)), probe] + view.ranges, failure: [probe] + view.ranges))
                learn(answer)
            } catch {
                // Refused before it was ever made: the renewal tries again.
                return
            }
        }
        // Both transactions have read the head, and no append of this place comes after that.
        let height = view.head.value?.record.height ?? 0
        while list.height < height, !isStopping, phase == .following {
            schedule(.follow)
            onChange()
            await pause(0.05)
        }
        guard list.height >= height else { return }
        await answerEnded(session)
        stopLeading()
        self.session = nil
        tell("this node's place in the group is over, or may be", nil)
        do throws(EtcdError) {
            // With it goes the leader key, if this node led.
            try await etcd.revokeLease(session.leaseID)
        } catch {
            // It runs out by itself.
        }
        schedule(.renew)
    }

    /// Answers what was sent under a place that is over, now that the list has all that can ever come of it.
    private func answerEnded(_ session: Session) async {
        for (counter, append) in outstanding.sorted(by: { $0.key < $1.key }) {
            guard let id = append.request.id, id.session == session.revision else { continue }
            if case .decided = append.state {
                await answerIfThere(counter)
                continue
            }
            let heights: Range<Int>?
            do throws(ReadError) {
                heights = try await list.heights(of: id)
            } catch {
                answer(counter, .failure(.orderUnknown))
                continue
            }
            if let heights {
                outstanding[counter]?.state = .decided(.ordered(heights), height: heights.upperBound - 1)
                await answerIfThere(counter)
            } else {
                answer(counter, .failure(.notOrdered(reason: "this node lost its place in the group")))
            }
        }
        unsent.removeAll { outstanding[$0] == nil }
        queue.removeAll {
            if case .own(let counter) = $0.source { outstanding[counter] == nil } else { false }
        }
    }

    // MARK: Stopping

    /// Takes no more appends, waits for those that were sent, and gives up this node's place, so that others need not wait for
    /// its lease to run out.
    func stop(withinSeconds seconds: Double) async {
        let deadline = nowSeconds() + seconds
        isClosed = true
        for waiting in inbox.refuse(.closed) {
            inbox.answered(dataSizeBytes: waiting.dataSizeBytes)
            waiting.answer(.failure(.closed))
        }
        while !outstanding.isEmpty, nowSeconds() < deadline { await pause(0.02) }
        isStopping = true
        for counter in counters(where: { _ in true }) {
            answer(counter, .failure(outstanding[counter]?.sendCount == 0 ? .closed : .orderUnknown))
        }
        for entry in exchange(&queue, with: []) { settle(entry, .undecided) }
        for read in exchange(&newReads, with: []) { read("the node stops") }
        for read in exchange(&waitingReads, with: []) { read.answer("the node stops") }
        guard let session else { return }
        do throws(EtcdError) {
            try await etcd.revokeLease(session.leaseID)
        } catch {
            logger.notice("the group learns only by the lease that this node stops", metadata: ["reason": "\(error)"])
        }
    }
}
