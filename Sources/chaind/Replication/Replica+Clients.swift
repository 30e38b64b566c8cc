// What a node does for the clients of its group: shows it, waits for copies, takes lists, makes a round.

import Chain

extension Replica {
    /// What `GET /sync/` answers.
    var groupAnswer: GroupAnswer {
        get async {
            let views = group.view(ownHeight: list.status.height, nowSeconds: nowSeconds())
            return GroupAnswer(
                syncAddresses: listedAddresses.up.map(\.description), ourURL: group.ownAddress.description,
                members: views.map { GroupAnswer.Member($0, state: ordered.state(of: $0)) },
                consensus: await consensus?.answer)
        }
    }

    // MARK: A round

    /// Syncs with every member now, those that are off the list as well.
    func round() async -> [RoundAnswer.Member] {
        await withTaskGroup(of: RoundAnswer.Member.self) { tasks in
            for address in group.records.keys.sorted() { tasks.addTask { await self.sync(with: address) } }
            var members: [RoundAnswer.Member] = []
            for await member in tasks { members.append(member) }
            return members.sorted { $0.address < $1.address }
        }
    }

    // MARK: Copies

    /// Waits until a block that was appended here is known to be in the lists of so many nodes.
    ///
    /// - Parameter block: as it was answered; it is looked for wherever it stands by now.
    /// - Returns: in how many lists it is, ours counted: fewer than asked for when the time is over, or when that cannot be
    ///   found out. It never throws: the block is appended, and nothing else may be answered.
    func waitForCopies(of block: Block, count: Int, timeoutSeconds: Double) async -> Int {
        let deadline = nowSeconds() + timeoutSeconds
        while true {
            let found = await copies(of: block)
            let rest = deadline - nowSeconds()
            if found >= count || rest <= 0 || Task.isCancelled { return found }
            await nextSync(withinSeconds: rest)
        }
    }

    private func copies(of block: Block) async -> Int {
        let height: Int?
        do throws(ReadError) {
            height = try await list.height(ofIdentity: block.identity, height: block.origin?.height ?? block.height)
        } catch {
            logger.error("copies of a block cannot be counted", metadata: ["reason": "\(error)"])
            return 1
        }
        guard let height else { return 0 }
        noteReplacements()
        return 1 + group.commonPoints.count { $0.map { $0.height >= height } ?? false }
    }

    private func nextSync(withinSeconds seconds: Double) async {
        lastWaiter += 1
        let waiter = lastWaiter
        let timer = Task { [weak self] in
            do {
                try await Task.sleep(for: .seconds(seconds))
                await self?.endWait(waiter)
            } catch {
                // A sync ended first.
            }
        }
        await withCheckedContinuation { syncWaiters[waiter] = $0 }
        timer.cancel()
    }

    private func endWait(_ waiter: Int) {
        syncWaiters.removeValue(forKey: waiter)?.resume()
    }

    /// Tells those who wait that a sync ended.
    func endWaits() {
        let waiters = syncWaiters
        syncWaiters = [:]
        for continuation in waiters.values { continuation.resume() }
    }

    // MARK: Lists from clients

    /// Takes a list, or the end of one, that a client sends; whole or not at all.
    ///
    /// - Returns: whether it was adopted; false where ours is as good.
    /// - Throws: `HTTPFailure`; `ReadError`.
    func receive(_ received: ReceivedList) async throws -> Bool {
        if consensus != nil { throw HTTPFailure(.conflict, "etcd decides on this list: append to it") }
        let (first, blocks) = try await placed(received)
        guard let last = blocks.last else { return false }
        let common = try await commonHeight(below: first, blocks)
        if common == 0, list.status.height > 0, last.height > 0 {
            let ours = BlockPoint(height: list.status.height, hash: list.status.headHash)
            throw HTTPFailure(
                .conflict,
                JoinError.otherList(ours: ours, theirs: BlockPoint(height: last.height, hash: last.hash)).description)
        }
        if common == last.height { return false }
        let latestTimestamp = time.latestTimestamp
        if let late = blocks.first(where: { $0.timestamp > latestTimestamp }) {
            throw HTTPFailure(.badRequest, "block \(late.height) is too far ahead of the group's clock")
        }
        do throws(ReceptionError) {
            let start = common >= first ? blocks[common - first].hash : received.previousHash
            var reception = try await list.reception(after: common, hash: start)
            let rest = Array(blocks[(common + 1 - first)...])
            _ = try await reception.take(BlockRun.runs(of: rest), latestTimestamp: latestTimestamp)
            var terms = AdoptionTerms()
            terms.latestTimestamp = latestTimestamp
            if let result = try await reception.adopt(terms) { replaced(result, by: "a client's list") }
            listChanged()
            return true
        } catch {
            switch error {
            case .oursIsAsGood: return false
            case .invalid, .discontinuous: throw HTTPFailure(.badRequest, error.description)
            case .conflict: throw HTTPFailure(.conflict, error.description)
            case .diskFull:
                throw HTTPFailure(.init(code: 507, reasonPhrase: "Insufficient Storage"), error.description)
            case .listMoved, .damagedHead, .unavailable, .closed:
                throw HTTPFailure(.serviceUnavailable, error.description)
            }
        }
    }

    /// The height of the first block, and the blocks.
    private func placed(_ received: ReceivedList) async throws -> (first: Int, blocks: [Block]) {
        if received.previousHash == .zero {
            let blocks = received.blocks(from: 0)
            guard blocks.first == .genesis else { throw HTTPFailure(.badRequest, "block 0 is not the genesis") }
            return (0, blocks)
        }
        guard let before = try await list.block(hash: received.previousHash) else {
            throw HTTPFailure(.badRequest, "the first block follows none of ours: \(received.previousHash)")
        }
        return (before.height + 1, received.blocks(from: before.height + 1))
    }

    /// The height of the last of the blocks that our list has, or of the one before them. By bisection: two lists that
    /// share a block share all before it.
    private func commonHeight(below first: Int, _ blocks: [Block]) async throws -> Int {
        var known = 0
        var unknown = blocks.count
        while known < unknown {
            let middle = known + (unknown - known) / 2
            let stored = try await list.storedHashes(at: [blocks[middle].height])
            if stored == [blocks[middle].hash] { known = middle + 1 } else { unknown = middle }
        }
        return first + known - 1
    }
}
