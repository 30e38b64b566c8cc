// The way of this node's own appends: to the leader, and back as blocks of this node's list.

import Chain

extension Consensus {
    /// An append that a client waits for.
    struct Outstanding {
        enum State: Hashable {
            /// It waits to be sent.
            case waiting
            /// It is in the queue of this node, which leads.
            case queued
            /// It may be on its way into the order, with a leader of this epoch.
            case sent(epoch: Int)
            /// It is decided on, and the list has to come to a height before it is answered.
            case decided(ForwardOutcome, height: Int)
        }

        let request: AppendRequest
        let dataSizeBytes: Int
        let deadlineSeconds: Double
        let answer: AppendInbox.Answer
        var state = State.waiting
        /// How often it was sent: it may be made although nobody said so.
        var sendCount = 0
    }

    private static let forwardSlots = 4
    private static let forwardPauseSeconds = 0.2

    /// Takes what came, if this node has a place in the group: each gets an id of that.
    func takeInbox() {
        guard let session, !session.isDoubtful else { return }
        let waiting = inbox.takeAll()
        guard !waiting.isEmpty else { return }
        for append in waiting {
            lastCounter += 1
            var request = append.request
            request.id = AppendID(session: session.revision, counter: lastCounter)
            outstanding[lastCounter] = Outstanding(
                request: request, dataSizeBytes: append.dataSizeBytes,
                deadlineSeconds: append.arrivedSeconds + settings.appendSeconds, answer: append.answer)
            unsent.append(lastCounter)
        }
        if let first = waiting.first {
            schedule(.expire, afterSeconds: first.arrivedSeconds + settings.appendSeconds - nowSeconds())
        }
    }

    /// A free turn to send to the leader there is.
    var nextForward: Work {
        let epoch = view.leader.value?.createRevision ?? 0
        let works = (0..<Self.forwardSlots).map { Work.forward(epoch: epoch, slot: $0) }
        return works.first { !isUnderWay($0) } ?? works[0]
    }

    // MARK: Sending

    /// Sends what waits to the leader of an epoch, and takes its answer.
    func forward(to epoch: Int) async {
        takeInbox()
        guard let session, !session.isDoubtful, leadership == nil, let leader = view.leader.value,
            leader.createRevision == epoch, leader.record.address != ownAddress
        else {
            if leadership != nil, !unsent.isEmpty { schedule(.order) }
            return
        }
        let counters = nextUnsent(epoch: epoch)
        guard !counters.isEmpty else { return }
        if !unsent.isEmpty { schedule(nextForward) }
        let message = ForwardMessage(
            address: ownAddress, session: session.revision, requests: counters.compactMap { outstanding[$0]?.request })
        do throws(PeerError) {
            let outcomes = try await peers.forward(leader.record.address, message)
            leaderSilence = nil
            for (counter, outcome) in zip(counters, outcomes) { await settle(counter, outcome, epoch: epoch) }
        } catch {
            if view.leader.value?.createRevision == epoch, leaderSilence == nil {
                leaderSilence = (epoch, nowSeconds(), error.description)
            }
            for counter in counters { await settle(counter, .undecided, epoch: epoch) }
        }
    }

    /// Takes the next appends to be sent, as many as fit into a message.
    private func nextUnsent(epoch: Int) -> [Int] {
        var counters: [Int] = []
        var sizeBytes = 0
        var taken = 0
        for counter in unsent {
            if counters.count == ForwardMessage.requestsMax { break }
            if let append = outstanding[counter] {
                if !counters.isEmpty, sizeBytes + append.dataSizeBytes > ForwardMessage.textSizeBytesMax { break }
                sizeBytes += append.dataSizeBytes
                outstanding[counter]?.state = .sent(epoch: epoch)
                outstanding[counter]?.sendCount += 1
                counters.append(counter)
            }
            taken += 1
        }
        unsent.removeFirst(taken)
        return counters
    }

    /// Another leader is there: it is sent what the one before it did not answer.
    func resendWhatOthersHave(_ epoch: Int) {
        let counters = counters { append in
            if case .sent(let other) = append.state { other != epoch } else { false }
        }
        guard !counters.isEmpty || !unsent.isEmpty else { return }
        sendAgain(counters)
    }

    private func sendAgain(_ counters: [Int], afterSeconds seconds: Double = 0) {
        for counter in counters { outstanding[counter]?.state = .waiting }
        unsent = counters + unsent
        schedule(leadership == nil ? nextForward : .order, afterSeconds: seconds)
    }

    // MARK: Answers

    /// An append is decided on, or has to be sent again.
    ///
    /// - Parameter epoch: that of the leader who says so.
    func settle(_ counter: Int, _ outcome: ForwardOutcome, epoch: Int) async {
        guard let append = outstanding[counter] else { return }
        switch outcome {
        case .ordered(let heights): outstanding[counter]?.state = .decided(outcome, height: heights.upperBound - 1)
        case .invalidLastHash(let height): outstanding[counter]?.state = .decided(outcome, height: height)
        case .idempotencyKeyReused: return answer(counter, .failure(.idempotencyKeyReused))
        case .identityExists(let height): return answer(counter, .failure(.identityExists(height: height)))
        case .refused(let reason): return answer(counter, .failure(.notOrdered(reason: reason)))
        case .notTaken(let reason) where append.sendCount <= 1:
            return answer(counter, .failure(.notOrdered(reason: reason)))
        case .notTaken, .undecided:
            // Another leader may have it by now.
            guard append.state == .sent(epoch: epoch) else { return }
            return sendAgain([counter], afterSeconds: Self.forwardPauseSeconds)
        }
        await answerIfThere(counter)
    }

    /// Answers an append that is decided on if the list is long enough for that.
    func answerIfThere(_ counter: Int) async {
        guard case .decided(let outcome, let height) = outstanding[counter]?.state else { return }
        guard list.height >= height else { return schedule(.follow) }
        do throws(ReadError) {
            switch outcome {
            case .ordered(let heights):
                var blocks: [Block] = []
                for height in heights {
                    guard let block = try await list.block(at: height) else { return }
                    blocks.append(block)
                }
                answer(counter, .success(blocks))
            case .invalidLastHash(let height):
                guard let block = try await list.block(at: height) else { return }
                answer(counter, .failure(.invalidLastHash(head: block)))
            default: return
            }
        } catch {
            switch error {
            case .damaged(let height): answer(counter, .failure(.damaged(height: height)))
            case .closed: answer(counter, .failure(.orderUnknown))
            case .hashesIncomplete, .listChanged, .database: schedule(.follow, afterSeconds: 0.1)
            }
        }
    }

    /// Appends that are not answered, in the order in which they came.
    func counters(where isIncluded: (Outstanding) -> Bool) -> [Int] {
        outstanding.compactMap { isIncluded($0.value) ? $0.key : nil }.sorted()
    }

    func answer(_ counter: Int, _ result: Result<[Block], AppendError>) {
        guard let append = outstanding.removeValue(forKey: counter) else { return }
        inbox.answered(dataSizeBytes: append.dataSizeBytes)
        append.answer(result)
    }

    /// Refuses what was never sent.
    func refuseUnsent(_ refusal: AppendError) {
        let entries = exchange(&queue, with: [])
        for entry in entries {
            guard case .own(let counter) = entry.source else { continue }
            outstanding[counter]?.state = .waiting
            // One that was sent before is sent again.
            unsent.append(counter)
        }
        for counter in counters(where: { $0.state == .waiting && $0.sendCount == 0 }) {
            answer(counter, .failure(refusal))
        }
        unsent.removeAll { outstanding[$0] == nil }
        for entry in entries {
            if case .forwarded = entry.source { settle(entry, .notTaken(refusal.shortDescription)) }
        }
    }

    /// Answers those whose time is over.
    func expire() async {
        let now = nowSeconds()
        for counter in counters(where: { $0.deadlineSeconds <= now }) {
            guard let append = outstanding[counter] else { continue }
            if append.state == .queued { queue.removeAll { $0.source == .own(counter) } }
            answer(
                counter,
                .failure(
                    append.sendCount > 0 ? .orderUnknown : .notOrdered(reason: "it could not be sent in time")))
        }
        unsent.removeAll { outstanding[$0] == nil }
        if let next = outstanding.values.map(\.deadlineSeconds).min() {
            schedule(.expire, afterSeconds: max(0.01, next - now))
        }
    }
}

extension AppendError {
    /// Why nothing was appended, for another node's client.
    fileprivate var shortDescription: String {
        if case .notOrdered(let reason) = self { reason } else { description }
    }
}
