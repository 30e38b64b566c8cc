// How what was ordered gets into this node's list: from etcd as long as that keeps it, else from the members.

import Chain

extension Consensus {
    /// Batches that are read at a time, and bytes of those that are kept until they fit.
    private static let batchesMax = 16
    private static let arrivedSizeBytesMax = 64 << 20
    private static let retrySeconds = 0.5

    // MARK: Changes

    /// Hears of changes until the connection ends.
    func watch() async {
        guard phase == .following else { return }
        do throws(EtcdError) {
            // What a watch missed is not told: everything is looked at again before each.
            try await snapshot()
            let watch = try await etcd.watch(keys.all, view.revision + 1)
            while !isStopping, let events = try await watch.next() {
                for event in events { learn(event) }
                if !events.isEmpty {
                    viewChanged()
                    await tellMembers()
                    onChange()
                }
            }
        } catch {
            if case .denied = error { tell("etcd does not let this node in", error.description) }
        }
        schedule(.watch, afterSeconds: Self.retrySeconds)
    }

    private func learn(_ event: EtcdEvent) {
        if case .put(let entry) = event, let height = keys.height(ofBatch: entry.key) {
            // The leader knows what it has written.
            guard leadership == nil, height > list.height, arrived[height] == nil,
                arrivedSizeBytes + entry.value.count <= Self.arrivedSizeBytesMax
            else { return }
            arrived[height] = entry.value
            arrivedSizeBytes += entry.value.count
            schedule(.follow)
        } else {
            view.learn(event)
        }
    }

    private func takeArrived(_ height: Int) -> [UInt8]? {
        let value = arrived.removeValue(forKey: height)
        arrivedSizeBytes -= value?.count ?? 0
        return value
    }

    private func dropArrived() {
        for height in arrived.keys where height <= list.height { _ = takeArrived(height) }
    }

    // MARK: Following

    /// Puts into the list what is known to follow it.
    func follow() async {
        guard phase == .following else { return }
        do throws(FollowError) {
            while !isStopping, try await followOn() {}
            tell("following the order", nil)
        } catch {
            takeNote(of: error)
            schedule(.follow, afterSeconds: Self.retrySeconds)
        }
        await answerWhatIsThere()
    }

    func takeNote(of error: FollowError) {
        switch error {
        case .later(let reason): tell("following the order", reason, level: .warning)
        case .differs(let reason):
            phase = .blocked(reason: reason)
            tell("this node's list is not the group's; chaind adopt chooses", reason)
        }
    }

    /// Puts the next batches into the list.
    ///
    /// - Returns: false if none is known to follow.
    func followOn() async throws(FollowError) -> Bool {
        dropArrived()
        let first = list.status.finalHeight + 1
        if let value = takeArrived(first) {
            var sizeBytes = value.count
            var batches = [try await batch(value, first)]
            while batches.count < Self.batchesMax, sizeBytes < BatchCoding.chunkSizeBytes,
                let next = takeArrived(batches[batches.count - 1].height + 1)
            {
                sizeBytes += next.count
                batches.append(try await batch(next, batches[batches.count - 1].height + 1))
            }
            try await take(batches, sizeBytes: sizeBytes)
            return true
        }
        guard let head = view.head.value?.record, head.height > list.status.finalHeight else { return false }
        let answer: EtcdRangeAnswer
        do throws(EtcdError) {
            answer = try await etcd.range(keys.batches(from: first), Self.batchesMax)
        } catch {
            throw .later(error.description)
        }
        let entries = answer.entries.filter { keys.height(ofBatch: $0.key) != nil }
        guard let entry = entries.first, let height = keys.height(ofBatch: entry.key) else {
            return try await fetch(upTo: head.point)
        }
        let firstBatch = try await batch(entry.value, height)
        if height > first {
            return try await fetch(
                upTo: BlockPoint(height: firstBatch.previousHeight, hash: firstBatch.previousHash))
        }
        var batches = [firstBatch]
        for entry in entries.dropFirst() {
            let next = batches[batches.count - 1].height + 1
            // One may have been deleted while they were read.
            guard keys.height(ofBatch: entry.key) == next else { break }
            batches.append(try await batch(entry.value, next))
        }
        try await take(batches, sizeBytes: entries.reduce(0) { $0 + $1.value.count })
        return true
    }

    /// Reads the batch that a key's value holds, or names.
    private func batch(_ value: [UInt8], _ height: Int) async throws(FollowError) -> OrderedBatch {
        do {
            let batch: OrderedBatch
            switch try BatchCoding.decode(value) {
            case .whole(let whole): batch = whole
            case .parts(let count, let prefix):
                let answer = try await etcd.range(EtcdRange(prefix: prefix), count + 1)
                guard answer.entries.count == count else {
                    throw FollowError.later("etcd does not have all parts of the batch at height \(height)")
                }
                batch = try BatchCoding.batch(answer.entries.flatMap(\.value))
            }
            guard batch.previousHeight == height - 1 else {
                throw FollowError.later("the batch at height \(height) is another one's")
            }
            return batch
        } catch let error as FollowError {
            throw error
        } catch {
            throw .later("the batch at height \(height): \(error)")
        }
    }

    /// Takes batches that follow the last final block. What this node's list has beyond that, and is not in them, gives way.
    private func take(_ batches: [OrderedBatch], sizeBytes: Int) async throws(FollowError) {
        guard let first = batches.first else { return }
        let status = list.status
        do {
            let known = try await list.storedHashes(at: [first.previousHeight]).first ?? nil
            guard known == first.previousHash else {
                throw FollowError.differs(
                    "block \(first.previousHeight) differs from the group's, and this list is final up to it")
            }
            if status.height > status.finalHeight {
                try await keepOrCut(batches)
                return
            }
        } catch let error as FollowError {
            throw error
        } catch {
            throw .later("\(error)")
        }
        guard await putIntoList(batches, sizeBytes: sizeBytes, isOwn: false) else {
            throw .later("the blocks after height \(status.height) were not stored")
        }
    }

    /// Where the list has more than is final: what is the same becomes final, the rest is cut off, to be sent again.
    private func keepOrCut(_ batches: [OrderedBatch]) async throws {
        for batch in batches {
            let hash = try await list.storedHashes(at: [batch.height]).first ?? nil
            guard hash == batch.hash else {
                if batch.previousHeight == 0, !isMember, !isMerging,
                    try await list.storedHashes(at: [1]) != [batch.firstHash]
                {
                    throw FollowError.differs(onlyGenesisReason)
                }
                _ = try await list.cut(after: batch.previousHeight, hash: batch.previousHash)
                return
            }
            _ = try await list.keep(batch)
        }
    }

    /// Puts batches at the end of the list, and answers who waited for that.
    ///
    /// - Returns: false if the list does not have them now.
    func putIntoList(_ batches: [OrderedBatch], sizeBytes: Int, isOwn: Bool) async -> Bool {
        guard let last = batches.last else { return true }
        do throws(ReceptionError) {
            try await list.append(batches, isOwn: isOwn)
            tell("storing what was ordered", nil)
        } catch {
            // Another piece of work may have brought them.
            var stored: Hash?
            do throws(ReadError) {
                stored = try await list.storedHashes(at: [last.height]).first ?? nil
            } catch {
                stored = nil
            }
            guard stored == last.hash, list.status.finalHeight >= last.height else {
                tell("storing what was ordered", error.description)
                return false
            }
        }
        unpublishedSizeBytes += sizeBytes
        if unpublishedSizeBytes > settings.tailSizeBytesMax / 16 { schedule(.renew) }
        await answerAppends(of: batches)
        await answerWhatIsThere()
        return true
    }

    /// Answers appends of this node by the tags of blocks that came into its list.
    private func answerAppends(of batches: [OrderedBatch]) async {
        guard !outstanding.isEmpty else { return }
        for batch in batches {
            let own = batch.tags.filter { outstanding[$0.id.counter]?.request.id == $0.id }
            guard !own.isEmpty else { continue }
            let blocks = batch.blocks
            let first = batch.previousHeight + 1
            for tag in own where tag.firstHeight >= first && tag.heights.upperBound <= batch.height + 1 {
                let made = blocks[(tag.firstHeight - first)..<(tag.heights.upperBound - first)]
                answer(tag.id.counter, .success(Array(made)))
            }
        }
    }

    /// Answers who waited for the list to have come to a height.
    func answerWhatIsThere() async {
        let height = list.height
        let decided = counters { append in
            if case .decided(_, let needed) = append.state { needed <= height } else { false }
        }
        for counter in decided { await answerIfThere(counter) }
        let ready = waitingReads.filter { $0.height <= height }
        waitingReads.removeAll { $0.height <= height }
        for read in ready { read.answer(nil) }
    }

    private var onlyGenesisReason: String {
        "both lists have blocks and share only the genesis: ours ends with block \(list.height), \(list.status.headHash)"
    }

    // MARK: Members' lists

    /// Fetches the list up to a block that etcd vouches for from the members. What this node has beyond what both have gives
    /// way.
    ///
    /// - Returns: whether the list has that block now.
    private func fetch(upTo target: BlockPoint) async throws(FollowError) -> Bool {
        if try await isInList(target) {
            do throws(ReceptionError) {
                _ = try await list.cut(after: target.height, hash: target.hash)
                return true
            } catch {
                throw .later(error.description)
            }
        }
        var reasons: [String] = []
        var differing = 0
        // Also those that have no place now: a node that looks for blocks itself may have these.
        let others = Set(view.live.keys).union(view.stored.keys).subtracting([ownAddress]).sorted()
        for address in others {
            do {
                try await fetch(upTo: target, from: address)
                return true
            } catch let error as FollowError {
                guard case .differs(let reason) = error else {
                    reasons.append("\(address): \(error)")
                    continue
                }
                differing += 1
                reasons.append("\(address): \(reason)")
            } catch {
                reasons.append("\(address): \(error)")
            }
        }
        // One that is itself behind, or of another group, must not block this node.
        if differing > 0, 2 * differing > others.count {
            throw .differs(reasons.joined(separator: "; "))
        }
        throw .later(
            """
            the blocks from height \(list.status.finalHeight + 1) to \(target.height) are not in etcd any more, and no \
            member gives them: \(reasons.isEmpty ? "there is none" : reasons.joined(separator: "; "))
            """)
    }

    private func isInList(_ point: BlockPoint) async throws(FollowError) -> Bool {
        guard point.height <= list.height else { return false }
        do throws(ReadError) {
            return try await list.storedHashes(at: [point.height]) == [point.hash]
        } catch {
            throw .later(error.description)
        }
    }

    private func fetch(upTo target: BlockPoint, from address: MemberAddress) async throws {
        // What becomes final meanwhile is not what the member is asked for.
        let finalHeight = list.status.finalHeight
        guard target.height > finalHeight else { throw FollowError.later("the list went on meanwhile") }
        let located = try await peers.locate(address, [target])
        guard located.list == target else { throw FollowError.later("it does not have block \(target.height) either") }
        let common = try await CommonBlock.find(in: list, upTo: min(target.height, list.height)) { [peers] points in
            try await peers.locate(address, points).list
        }
        guard let common, common.height >= finalHeight else {
            throw FollowError.differs(
                "it has another block at or below height \(finalHeight), up to which this list is final")
        }
        if common.height == 0, finalHeight == 0, list.height > 0, target.height > 0, !isMember, !isMerging {
            throw FollowError.differs(onlyGenesisReason)
        }
        var start = common
        let staged = try await list.stagedHeads().filter { common.height + 1...target.height ~= $0.height }
            .map { BlockPoint(height: $0.height, hash: $0.hash) }
        if let point = staged.max(by: { $0.height < $1.height }),
            try await peers.locate(address, [point]).list == point
        {
            start = point
        }
        try await receive(upTo: target, after: start, from: address)
    }

    private func receive(upTo target: BlockPoint, after start: BlockPoint, from address: MemberAddress) async throws {
        var terms = AdoptionTerms()
        terms.finalHeight = target.height
        terms.isOrdered = true
        let stream = try await peers.pull(address, start)
        var receiver = StreamReceiver(list: list, latestTimestamp: .max)
        receiver.target = target
        receiver.terms = terms
        switch await receiver.receive(stream) {
        case .adopted(let blocks, let result):
            logger.notice(
                "blocks were fetched",
                metadata: [
                    "from": "\(address)", "blocks": "\(blocks)", "replaced": "\(result?.replacedBlocks ?? 0)",
                ])
        // What it would replace was not final when the member was asked.
        case .ours, .unknown, .unwanted, .conflict: throw FollowError.later("the list changed meanwhile")
        case .overtaken(let reason), .refused(let reason), .broken(let reason):
            try await list.forgetTags(above: list.status.finalHeight)
            throw FollowError.later(reason)
        }
    }
}

/// Why what was ordered is not in the list.
enum FollowError: Error {
    /// Not now.
    case later(String)
    /// The list differs in what is final.
    case differs(String)

    /// Why, in a line.
    var reason: String {
        switch self {
        case .later(let reason), .differs(let reason): reason
        }
    }
}
