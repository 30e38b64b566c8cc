// What the leader does: it puts appends in order, batch by batch, each by one transaction.

import Chain

extension Consensus {
    /// An append that waits to be put in order here.
    struct Queued {
        enum Source: Hashable {
            case own(Int)
            case forwarded(receipt: Int, index: Int)
        }

        let request: AppendRequest
        let dataSizeBytes: Int
        /// The node that took it from its client.
        let address: MemberAddress
        let source: Source
    }

    /// A message of a member, whose appends are decided on one by one.
    struct Receipt {
        var outcomes: [ForwardOutcome?]
        var undecidedCount: Int
        let answer: @Sendable ([ForwardOutcome]) -> Void
    }

    /// Members whose appends one transaction has: each takes a comparison.
    private static let sessionsMax = 100

    // MARK: What comes

    /// A member sends appends. `answer` is called once all are decided on.
    func forwarded(_ message: ForwardMessage, answer: @escaping @Sendable ([ForwardOutcome]) -> Void) {
        guard leadership != nil, !isClosed else { return answer(message.requests.map { _ in .undecided }) }
        if let refusal = inbox.refusal {
            return answer(message.requests.map { _ in .notTaken(refusal.description) })
        }
        lastReceipt += 1
        receipts[lastReceipt] = Receipt(
            outcomes: message.requests.map { _ in nil }, undecidedCount: message.requests.count, answer: answer)
        for (index, request) in message.requests.enumerated() {
            let source = Queued.Source.forwarded(receipt: lastReceipt, index: index)
            do throws(AppendError) {
                let sizeBytes = try request.checkedSizeBytes(dataSizeBytesMax: .max)
                queue.append(
                    Queued(request: request, dataSizeBytes: sizeBytes, address: message.address, source: source))
            } catch {
                settle(source, .refused(error.description))
            }
        }
        schedule(.order)
        onChange()
    }

    /// Puts this node's own appends into the queue.
    private func queueOwn() {
        takeInbox()
        for counter in exchange(&unsent, with: []) {
            guard let append = outstanding[counter] else { continue }
            outstanding[counter]?.state = .queued
            queue.append(
                Queued(
                    request: append.request, dataSizeBytes: append.dataSizeBytes, address: ownAddress,
                    source: .own(counter)))
        }
    }

    func settle(_ entry: Queued, _ outcome: ForwardOutcome) { settle(entry.source, outcome) }

    /// Tells whoever sent an append what became of it; this node's own are answered by `settle(_:_:epoch:)`.
    private func settle(_ source: Queued.Source, _ outcome: ForwardOutcome) {
        switch source {
        case .own(let counter):
            // What is decided is answered by `settle(_:_:epoch:)`.
            guard outcome == .undecided, let append = outstanding[counter] else { return }
            if case .decided = append.state { return }
            // It is among those to be sent already.
            if append.state == .waiting { return }
            outstanding[counter]?.state = .waiting
            unsent.append(counter)
            schedule(leadership == nil ? nextForward : .order, afterSeconds: 0.02)
        case .forwarded(let number, let index):
            guard var receipt = receipts[number], receipt.outcomes[index] == nil else { return }
            receipt.outcomes[index] = outcome
            receipt.undecidedCount -= 1
            receipts[number] = receipt.undecidedCount == 0 ? nil : receipt
            if receipt.undecidedCount == 0 { receipt.answer(receipt.outcomes.map { $0 ?? .undecided }) }
        }
    }

    private func settle(_ entries: [Queued], _ outcome: ForwardOutcome, epoch: Int) async {
        for entry in entries {
            if case .own(let counter) = entry.source, outcome != .undecided {
                // One that was not taken now may have been sent before.
                outstanding[counter]?.state = .sent(epoch: epoch)
                await settle(counter, outcome, epoch: epoch)
            } else {
                settle(entry, outcome)
            }
        }
    }

    // MARK: Batches

    /// Puts in order what waits, batch by batch.
    func order() async {
        while let leadership, !isStopping {
            if !leadership.isClean, await !cleanUp() { return }
            queueOwn()
            let boundReason = boundReason
            let entries = boundReason == nil ? nextEntries() : exchange(&queue, with: [])
            guard !entries.isEmpty else { return }
            // From here on nobody may say that they were never sent: they are on their way when their time is over.
            for entry in entries { sent(entry, epoch: leadership.epoch) }
            if let boundReason {
                // What may have been made before is looked at again after a while.
                await settle(entries, .notTaken(boundReason), epoch: leadership.epoch)
                return schedule(.trim)
            }
            guard await order(entries, leadership) else { return }
        }
    }

    private func sent(_ entry: Queued, epoch: Int) {
        guard case .own(let counter) = entry.source else { return }
        outstanding[counter]?.state = .sent(epoch: epoch)
        outstanding[counter]?.sendCount += 1
    }

    /// The next appends that one transaction can have.
    private func nextEntries() -> [Queued] {
        // Of one member only those of one place: a transaction can compare one, and those of another may be refused already.
        var sessions: [MemberAddress: Int] = [:]
        var sizeBytes = 0
        var blocks = 0
        var count = 0
        for entry in queue {
            let session = entry.request.id?.session ?? 0
            if count > 0 {
                if sizeBytes + entry.dataSizeBytes > settings.batchSizeBytesMax { break }
                if blocks + entry.request.drafts.count > AppendRequest.draftsMax { break }
                if let other = sessions[entry.address] {
                    if other != session { break }
                } else if sessions.count == Self.sessionsMax {
                    break
                }
            }
            sessions[entry.address] = session
            sizeBytes += entry.dataSizeBytes
            blocks += entry.request.drafts.count
            count += 1
        }
        let entries = Array(queue.prefix(count))
        queue.removeFirst(count)
        return entries
    }

    /// Why nothing can be put in order now; `nil` if it can.
    private var boundReason: String? {
        if isFull { return Self.fullReason }
        guard let leadership, let members = view.members.value?.record,
            leadership.writtenSizeBytes - members.keptSizeBytes >= settings.tailSizeBytesMax
        else { return nil }
        return """
            etcd keeps as much as it may of what a majority of the members lacks; behind are: \
            \(laggards(of: members).map(\.description).joined(separator: ", "))
            """
    }

    /// Plans some appends and has the plan committed.
    ///
    /// - Returns: false if no plan can be made now.
    private func order(_ entries: [Queued], _ leadership: Leadership) async -> Bool {
        let plan: AppendPlan
        do throws(AppendError) {
            plan = try await list.plan(entries.map(\.request))
        } catch {
            await settle(entries, .notTaken(error.description), epoch: leadership.epoch)
            return false
        }
        await order(plan, entries, leadership)
        return true
    }

    private func order(_ plan: AppendPlan, _ entries: [Queued], _ leadership: Leadership) async {
        guard self.leadership?.epoch == leadership.epoch else { return settleUndecided(entries) }
        // Only what follows the head that the transaction compares.
        guard let head = view.head.value, head.modRevision == leadership.headRevision,
            head.record.point == BlockPoint(height: plan.headHeight, hash: plan.headHash)
        else {
            settleUndecided(entries)
            return await resign("its list is not as long as the order")
        }
        do throws(EtcdError) {
            guard let transaction = try await transaction(for: plan, entries, leadership) else {
                return settleUndecided(entries)
            }
            let answer = try await settle(transaction)
            await take(answer, plan, entries, leadership)
        } catch {
            switch error {
            case .unknown:
                // The node stops: whoever leads next finds them in the list, or makes them.
                settleUndecided(entries)
            case .full:
                isFull = true
                schedule(.trim, afterSeconds: 1)
                await settle(entries, .notTaken(Self.fullReason), epoch: leadership.epoch)
            case .refused, .denied, .compacted:
                await settle(entries, .notTaken(error.description), epoch: leadership.epoch)
            }
        }
    }

    private static let fullReason = "etcd is full, waiting for compaction"

    private func settleUndecided(_ entries: [Queued]) {
        for entry in entries { settle(entry, .undecided) }
    }

    /// The transaction that commits a plan; parts of a large batch are written before.
    ///
    /// - Returns: `nil` if this node does not lead any more.
    private func transaction(
        for plan: AppendPlan, _ entries: [Queued], _ leadership: Leadership
    ) async throws(EtcdError) -> EtcdTransaction? {
        var transaction = EtcdTransaction()
        transaction.comparisons = [
            .modRevision(keys.head, leadership.headRevision), .createRevision(keys.leader, leadership.epoch),
        ]
        var sessions: [MemberAddress: Int] = [:]
        for entry in entries { sessions[entry.address] = entry.request.id?.session }
        for (address, session) in sessions.sorted(by: { $0.key < $1.key }) {
            transaction.comparisons.append(.createRevision(keys.live(address), session))
        }
        transaction.failure = view.ranges
        guard let batch = plan.batch else {
            // What was found or refused holds only if this node still leads.
            transaction.success = [.put(keys.probe(ownAddress), [])]
            return transaction
        }
        let bytes = BatchCoding.encode(batch)
        var value = bytes
        if bytes.count > BatchCoding.valueSizeBytesMax {
            guard let parts = try await writeParts(bytes, height: batch.previousHeight + 1, leadership) else {
                return nil
            }
            value = parts
        }
        let head = HeadRecord(
            height: batch.height, hash: batch.hash, writtenSizeBytes: leadership.writtenSizeBytes + bytes.count)
        transaction.success = [
            .put(keys.head, try head.etcdValue()), .put(keys.batch(batch.previousHeight + 1), value),
        ]
        return transaction
    }

    /// Writes a batch that does not fit into one value in parts, under keys that nobody else writes.
    ///
    /// - Returns: the value that names them; `nil` if this node does not lead any more.
    private func writeParts(
        _ bytes: [UInt8], height: Int, _ leadership: Leadership
    ) async throws(EtcdError) -> [UInt8]? {
        let prefix = keys.chunks(height, epoch: leadership.epoch, attempt: newAttempt())
        var count = 0
        for start in stride(from: 0, to: bytes.count, by: BatchCoding.chunkSizeBytes) {
            let part = Array(bytes[start..<min(start + BatchCoding.chunkSizeBytes, bytes.count)])
            let answer = try await settle(
                EtcdTransaction(
                    comparisons: [.createRevision(keys.leader, leadership.epoch)],
                    success: [.put(prefix + ConsensusKeys.digits(count), part)], failure: view.ranges))
            guard answer.isSucceeded else {
                learn(answer)
                return nil
            }
            count += 1
        }
        return BatchCoding.encodeParts(count: count, prefix: prefix)
    }

    /// Takes etcd's answer to a batch.
    private func take(
        _ answer: EtcdTransactionAnswer, _ plan: AppendPlan, _ entries: [Queued], _ leadership: Leadership
    ) async {
        if !answer.isSucceeded { learn(answer) }
        guard let batch = plan.batch else {
            if answer.isSucceeded { return await deliver(plan, entries) }
            return await settleFailed(plan, entries, leadership)
        }
        // Another leader may have made the same blocks of other appends: the same texts in the same second.
        let isCommitted =
            answer.isSucceeded
            || view.leader.value?.createRevision == leadership.epoch
                && view.head.value?.record.point == BlockPoint(height: batch.height, hash: batch.hash)
        guard isCommitted else { return await settleFailed(plan, entries, leadership) }
        let sizeBytes = BatchCoding.encode(batch).count
        let revision = answer.isSucceeded ? answer.revision : view.head.value?.modRevision ?? 0
        let record = HeadRecord(
            height: batch.height, hash: batch.hash, writtenSizeBytes: leadership.writtenSizeBytes + sizeBytes)
        view.wroteHead(record, createRevision: view.head.value?.createRevision ?? 0, at: revision)
        if self.leadership?.epoch == leadership.epoch {
            self.leadership?.headRevision = revision
            self.leadership?.writtenSizeBytes = record.writtenSizeBytes
            self.leadership?.sizes.append((batch.height, record.writtenSizeBytes))
            trimIfMuch()
        }
        // Members learn it while this node's own disk is written.
        deliverForwarded(plan, entries)
        let isStored = await putIntoList([batch], sizeBytes: sizeBytes, isOwn: true)
        await deliver(plan, entries)
        if !isStored { await resign("its disk does not take what was put in order") }
    }

    /// Of a batch that can never be committed. What this node's list has already is in order, whoever leads. Where nothing but
    /// the place of a member is over, its other appends are in no list and never will be, since this node's list had all up to
    /// the head; all others are put in order anew.
    private func settleFailed(_ plan: AppendPlan, _ entries: [Queued], _ leadership: Leadership) async {
        let isLeading =
            view.leader.value?.createRevision == leadership.epoch
            && view.head.value?.modRevision == leadership.headRevision
        let live = view.live
        for (entry, result) in zip(entries, plan.results) {
            if case .success(let blocks) = result, let last = blocks.last, last.height <= plan.headHeight {
                await settle([entry], outcome(result), epoch: leadership.epoch)
                continue
            }
            let isOver = isLeading && live[entry.address]?.createRevision != entry.request.id?.session
            if isOver {
                await settle([entry], .refused("its place in the group is over"), epoch: leadership.epoch)
            } else {
                settle(entry, .undecided)
            }
        }
    }

    private func deliverForwarded(_ plan: AppendPlan, _ entries: [Queued]) {
        for (entry, result) in zip(entries, plan.results) {
            if case .forwarded = entry.source { settle(entry, outcome(result)) }
        }
    }

    private func deliver(_ plan: AppendPlan, _ entries: [Queued]) async {
        for (entry, result) in zip(entries, plan.results) {
            switch entry.source {
            case .own(let counter): await settle(counter, outcome(result), epoch: leadership?.epoch ?? 0)
            case .forwarded: settle(entry, outcome(result))
            }
        }
    }

    private func outcome(_ result: Result<[Block], AppendError>) -> ForwardOutcome {
        switch result {
        case .success(let blocks):
            guard let first = blocks.first, let last = blocks.last else { return .refused("there are no blocks") }
            return .ordered(first.height..<last.height + 1)
        case .failure(.invalidLastHash(let head)): return .invalidLastHash(headHeight: head.height)
        case .failure(.idempotencyKeyReused): return .idempotencyKeyReused
        case .failure(.identityExists(let height)): return .identityExists(height: height)
        case .failure(let error):
            switch error {
            case .textCount, .textTooLarge, .timeGoesBack, .invalidOrigin: return .refused(error.description)
            default: return .notTaken(error.description)
            }
        }
    }

    /// Deletes the parts of batches that leaders before this one did not get committed.
    private func cleanUp() async -> Bool {
        guard let leadership else { return false }
        do throws(EtcdError) {
            let answer = try await settle(
                EtcdTransaction(
                    comparisons: [.createRevision(keys.leader, leadership.epoch)],
                    success: [.delete(keys.chunks(from: list.height + 1))], failure: view.ranges))
            if !answer.isSucceeded { learn(answer) }
            guard answer.isSucceeded, self.leadership?.epoch == leadership.epoch else { return false }
            self.leadership?.isClean = true
            return true
        } catch {
            schedule(.order, afterSeconds: 1)
            return false
        }
    }
}
