// Transactions that are sent until they are answered.

import Chain

extension Consensus {
    private static let retrySeconds = 0.25...0.5

    /// Sends a transaction until it is answered, identical each time: it can be made once only, since it compares. Where the
    /// lease of what it writes is over, it cannot be made any more, and what it may have written before is deleted.
    ///
    /// - Throws: `EtcdError` where it was refused before it can ever have been made, or the node stops.
    func settle(_ transaction: EtcdTransaction) async throws(EtcdError) -> EtcdTransactionAnswer {
        var mayBeMade = false
        while true {
            let start = nowSeconds()
            do throws(EtcdError) {
                let answer = try await etcd.transact(transaction)
                heard()
                return answer
            } catch {
                if case .unknown(let reason) = error {
                    mayBeMade = true
                    silent(since: start, reason)
                } else if !mayBeMade || error.isLeaseOver {
                    throw error
                }
                if isStopping { throw error }
            }
            await pause(jitterSeconds(Self.retrySeconds))
            if isStopping { throw .unknown("the node stops") }
        }
    }

    /// Makes a transaction that always writes, and so sees all that was answered before it: of which nothing else is to be
    /// known than what it read, so that an unknown outcome is none.
    func snapshot() async throws(EtcdError) {
        let probe = EtcdTransaction.Operation.put(keys.probe(ownAddress), [])
        learn(try await attempt(EtcdTransaction(comparisons: [], success: [probe] + view.ranges, failure: [])))
    }

    /// Makes a transaction that writes in both branches, once.
    ///
    /// - Throws: `EtcdError`; also where etcd is another one by now or was set back. What is written later has a greater
    ///   revision, or nothing that is known of etcd holds: a revision may stand for something else.
    func attempt(_ transaction: EtcdTransaction) async throws(EtcdError) -> EtcdTransactionAnswer {
        let start = nowSeconds()
        let (clusterID, revision) = (view.clusterID, view.revision)
        let answer: EtcdTransactionAnswer
        do throws(EtcdError) {
            answer = try await etcd.transact(transaction)
        } catch {
            if case .unknown(let reason) = error { silent(since: start, reason) }
            throw error
        }
        heard()
        guard clusterID ?? answer.clusterID == answer.clusterID, answer.revision > revision else {
            throw block(
                """
                etcd is another one or was set back, from revision \(revision) to \(answer.revision), and this list is final \
                up to height \(list.status.finalHeight)
                """)
        }
        return answer
    }

    /// Takes no appends and does not lead before an operator chooses a list.
    private func block(_ reason: String) -> EtcdError {
        phase = .blocked(reason: reason)
        session = nil
        stopLeading()
        tell("this node's list is not the group's; chaind adopt chooses", reason)
        updateGate()
        return .refused(reason)
    }

    func heard() {
        if silence != nil {
            silence = nil
            tell("etcd does not answer", nil)
        }
    }

    func silent(since start: Double, _ reason: String) {
        if silence == nil { silence = (start, reason) }
        updateGate()
        if inbox.refusal != nil { tell("etcd does not answer", silence?.reason) }
    }

    /// Takes over what a transaction has read.
    func learn(_ answer: EtcdTransactionAnswer) {
        view.learn(answer)
        viewChanged()
    }

    /// Draws the conclusions of what is known of etcd's keys.
    func viewChanged() {
        let now = nowSeconds()
        if let leader = view.leader.value, leader.record.address != ownAddress || leader.record.nodeID == nodeID {
            leaderlessSeconds = nil
            // Of the one before it that says nothing, and this node itself may be the new one.
            if leaderSilence?.epoch != leader.createRevision { leaderSilence = nil }
            if leader.createRevision != leadership?.epoch { deposed(by: leader.createRevision) }
            resendWhatOthersHave(leader.createRevision)
        } else {
            if leaderlessSeconds == nil { leaderlessSeconds = now }
            if leadership != nil { deposed(by: nil) }
            schedule(.elect, afterSeconds: jitterSeconds(0...0.1))
        }
        if phase == .following, leadership == nil, let head = view.head.value, head.record.height > list.height {
            schedule(.follow)
        }
        if phase == .following, view.revision > 0, view.head.value == nil {
            phase = .blocked(reason: "the group's keys are gone from etcd")
        }
        updateGate()
    }

    private func deposed(by epoch: Int?) {
        guard let ended = leadership, ended.epoch != epoch else { return }
        logger.notice("does not lead any more", metadata: ["epoch": "\(ended.epoch)"])
        stopLeading()
    }

    /// Leads no more; what was not sent to etcd goes to whoever leads.
    func stopLeading() {
        leadership = nil
        for entry in exchange(&queue, with: []) { settle(entry, .undecided) }
    }
}
