// What the writer does where an engine of consensus orders appends: it says what they would become, and puts what was
// ordered at the end of the list.

extension StoreWriter {
    /// What would become of appends now, in their order. Nothing is changed.
    ///
    /// - Parameter now: whole seconds since the Unix epoch.
    func plan(_ requests: [AppendRequest], now: Int64) throws(WriteError) -> AppendPlan {
        let head = state.head
        return try write { connection throws(SQLiteError) -> Ending<AppendPlan> in
            if let damagedHead {
                let failure = Result<[Block], AppendError>.failure(.damagedHead(height: damagedHead))
                return .rollBack(
                    AppendPlan(
                        headHeight: head.height, headHash: head.hash, results: requests.map { _ in failure }, batch: nil
                    ))
            }
            var batch = Batch(head: head, now: now, branch: tail.branch)
            var results: [Result<[Block], AppendError>] = []
            for request in requests { results.append(try batch.take(request, on: connection)) }
            let ordered = OrderedBatch(
                previousHeight: head.height, previousHash: head.hash, runs: BlockRun.runs(of: batch.blocks),
                tags: batch.tags)
            return .rollBack(
                AppendPlan(headHeight: head.height, headHash: head.hash, results: results, batch: ordered))
        }
    }

    /// Puts batches that an engine has ordered at the end of the list, in one transaction: from then on their blocks are
    /// final. Their hashes, times and origins were checked. It is not synced: the engine keeps them until it is told, after
    /// `sync`, that they are on disk here.
    ///
    /// - Parameter batches: consecutive, from the head on.
    /// - Returns: why not, if they do not follow the head, or all of the list is not final.
    func append(_ batches: [OrderedBatch], now: Int64) throws(WriteError) -> ReceptionError? {
        guard let first = batches.first, let last = batches.last, let lastRun = last.runs.last else { return nil }
        let head = state.head
        if let damagedHead { return .damagedHead(height: damagedHead) }
        guard first.previousHeight == head.height, first.previousHash == head.hash, state.finalHeight == head.height
        else { return .listMoved }
        var newTail = tail
        var prefixes: [UInt64] = []
        var lastBlock: Block?
        let error = try write(isSynced: false) { connection throws(SQLiteError) -> Ending<ReceptionError?> in
            var previousHash = head.hash
            for batch in batches {
                for run in batch.runs {
                    if let height = try identityFault(in: run, lineage: .list, branch: newTail.branch, on: connection) {
                        return .rollBack(.invalid(.identity(at: height)))
                    }
                    try Tail.store(run, after: previousHash, merging: &newTail, on: connection)
                    if run == lastRun { lastBlock = run.blocks(after: previousHash).last }
                    previousHash = run.lastHash
                    prefixes += run.prefixes
                }
                try keep(batch.tags, of: batch.runs, now: now, on: connection)
            }
            try PropertyStatements.set(PropertyStatements.finalHeight, to: last.height, on: connection)
            return .commit(nil)
        }
        if let error { return error }
        tail = newTail
        appended(prefixes, head: Head(endOf: lastRun), block: lastBlock)
        state.final(upTo: last.height)
        return nil
    }

    /// Says that the list up to one of its blocks is final.
    ///
    /// - Parameter batch: that of the block, whose tags are remembered.
    /// - Returns: false if it has another block there.
    func finalize(_ height: Int, _ hash: Hash, keeping batch: OrderedBatch? = nil) throws(WriteError) -> Bool {
        let isThere = try write { connection throws(SQLiteError) -> Ending<Bool> in
            guard height <= state.head.height, try Lineage.list.storedHash(at: height, on: connection) == hash else {
                return .rollBack(false)
            }
            guard height > state.finalHeight else { return .rollBack(true) }
            if let batch { try keep(batch.tags, of: batch.runs, now: 0, on: connection) }
            try PropertyStatements.set(PropertyStatements.finalHeight, to: height, on: connection)
            return .commit(true)
        }
        if isThere { state.final(upTo: max(height, state.finalHeight)) }
        return isThere
    }

    /// Remembers tags of blocks that are being stored, or will be: what they say of the list is true or it will never lead.
    ///
    /// - Parameter runs: those of the blocks, as far as they are at hand: the keys of others are only kept with the tags.
    func keep(
        _ tags: [AppendTag], of runs: [BlockRun], now: Int64, on connection: Connection
    ) throws(SQLiteError) {
        guard !tags.isEmpty else { return }
        try TagStatements.insert(tags, on: connection)
        try TagStatements.deleteOld(
            takenBefore: now - Idempotency.lifetimeSeconds, limit: 2 * tags.count + 10, on: connection)
        for tag in tags {
            guard let idempotency = tag.idempotency else { continue }
            var identities: [Hash] = []
            for run in runs { identities += run.part(tag.heights)?.identities ?? [] }
            guard identities.count == tag.blocks else { continue }
            try IdempotencyStatements.insert(
                idempotency, taken: tag.taken, firstHeight: tag.firstHeight, identities: identities, on: connection)
        }
    }

    /// Forgets that a staged list was under way, with the tags that came with it. Those of blocks that became final meanwhile
    /// stay.
    func forgetTags(above height: Int) throws(WriteError) {
        try write { connection throws(SQLiteError) -> Ending<Void> in
            .commit(try TagStatements.delete(above: max(height, state.finalHeight), on: connection))
        }
    }

    /// Orphans whose identity the list lacks, oldest first, to be sent to whoever orders appends; those whose identity it has
    /// are forgotten but for their hashes.
    ///
    /// - Parameter id: goes on after this one.
    /// - Returns: the blocks, those that cannot be read left out, and the id to go on after; `nil` at the end.
    func pendingOrphans(after id: Int, now: Int64) throws(WriteError) -> (blocks: [Block], lastID: Int?) {
        try write { connection throws(SQLiteError) -> Ending<(blocks: [Block], lastID: Int?)> in
            let orphans = try OrphanStatements.pending(
                replacedBefore: now, after: id, limit: StoreWriter.pendingOrphansMax, now: now, on: connection)
            var blocks: [Block] = []
            for orphan in orphans {
                let place = try Lineage.list.height(
                    of: orphan.identity, height: orphan.identityHeight, on: connection)
                if let place {
                    if try Lineage.list.isGood(at: place, on: connection) {
                        try OrphanStatements.shrink(orphan.id, on: connection)
                    }
                } else if let block = orphan.block {
                    blocks.append(block)
                }
            }
            return .commit((blocks, orphans.count < StoreWriter.pendingOrphansMax ? nil : orphans.last?.id))
        }
    }

    /// Orphans that are looked at at a time.
    private static let pendingOrphansMax = 200
}

extension BlockRun {
    fileprivate var identities: [Hash] {
        var identities: [Hash] = []
        forEachBlock { _, block in identities.append(block.origin?.hash ?? block.hash) }
        return identities
    }
}
