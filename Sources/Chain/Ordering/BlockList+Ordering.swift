// What a list offers where an engine of consensus decides which blocks come next.

extension BlockList {
    /// What would become of appends now, in their order; the list is not changed. Each one that is refused fails alone.
    ///
    /// - Returns: the answer to each request, and the batch that an engine is to be asked to order.
    /// - Throws: ``AppendError`` of the database.
    public func plan(_ requests: [AppendRequest]) async throws(AppendError) -> AppendPlan {
        do throws(WriteError) {
            return try await writer.plan(requests, now: nowSeconds)
        } catch {
            throw AppendError(error)
        }
    }

    /// Puts batches that an engine has ordered at the end of the list: their blocks are final. A power cut, though not the
    /// end of the process, may take them back until ``sync()`` is called.
    ///
    /// - Parameters:
    ///   - batches: consecutive, from the head on, where all of the list is final already.
    ///   - isOwn: whether this list planned them itself, so that they need not be checked.
    /// - Throws: ``ReceptionError``; nothing is changed then.
    public func append(_ batches: [OrderedBatch], isOwn: Bool = false) async throws(ReceptionError) {
        guard let first = batches.first else { return }
        if !isOwn {
            let status = status
            guard first.previousHeight == status.height, first.previousHash == status.headHash else {
                throw .listMoved
            }
            let head = Head(height: status.height, hash: status.headHash, timestamp: status.headTimestamp)
            let pieces = ReceivedPiece.pieces(of: batches.flatMap(\.runs), after: head, latestTimestamp: .max)
            for piece in pieces { if let error = await piece.firstError() { throw error } }
        }
        let error: ReceptionError?
        do throws(WriteError) {
            error = try await writer.append(batches, now: nowSeconds)
        } catch {
            throw ReceptionError(error)
        }
        if let error { throw error }
    }

    /// Makes the list durable.
    ///
    /// - Returns: the height and the hash of the head that is on disk.
    /// - Throws: ``ReceptionError`` of the database.
    public func sync() async throws(ReceptionError) -> (height: Int, hash: Hash) {
        do throws(WriteError) {
            let head = try await writer.sync()
            return (head.height, head.hash)
        } catch {
            throw ReceptionError(error)
        }
    }

    /// Says that the list up to one of its blocks is final.
    ///
    /// - Returns: false if it has another block there, or none.
    /// - Throws: ``ReceptionError`` of the database.
    public func finalize(upTo height: Int, hash: Hash) async throws(ReceptionError) -> Bool {
        do throws(WriteError) {
            return try await writer.finalize(height, hash)
        } catch {
            throw ReceptionError(error)
        }
    }

    /// Says that a batch whose blocks the list has is final, and remembers its tags.
    ///
    /// - Returns: false if it has other blocks there, or none.
    /// - Throws: ``ReceptionError`` of the database.
    public func keep(_ batch: OrderedBatch) async throws(ReceptionError) -> Bool {
        do throws(WriteError) {
            return try await writer.finalize(batch.height, batch.hash, keeping: batch)
        } catch {
            throw ReceptionError(error)
        }
    }

    /// Takes the blocks after one of the list's out of it, which makes orphans of them; up to that one the list is final.
    ///
    /// - Returns: `nil` if there are none.
    /// - Throws: ``ReceptionError``; ``ReceptionError/conflict(height:)`` if one of them is final.
    public func cut(after height: Int, hash: Hash) async throws(ReceptionError) -> AdoptionResult? {
        guard try await finalize(upTo: height, hash: hash) else { throw .listMoved }
        guard height < status.height else { return nil }
        let branch: Int?
        do throws(WriteError) {
            branch = try await writer.stageNothing(after: height, latestTimestamp: .max, now: nowSeconds)
        } catch {
            throw ReceptionError(error)
        }
        guard let branch else { throw .damagedHead(height: height) }
        var terms = AdoptionTerms()
        terms.finalHeight = height
        terms.isOrdered = true
        return try await adopt(branch: branch, terms)
    }

    /// The heights of the blocks of an append that an engine ordered in the last 24 hours; `nil` if the list has none.
    ///
    /// - Throws: ``ReadError``.
    public func heights(of id: AppendID) async throws(ReadError) -> Range<Int>? {
        try await reading { reader throws(ReadError) in try await reader.heights(of: id) }
    }

    /// The tags of the appends whose first blocks stand at these heights.
    ///
    /// - Throws: ``ReadError``.
    public func tags(_ heights: Range<Int>) async throws(ReadError) -> [AppendTag] {
        try await reading { reader throws(ReadError) in try await reader.tags(heights) }
    }

    /// The height of the first block that has a tag; `nil` if none has.
    ///
    /// - Throws: ``ReadError``.
    public func firstTagHeight() async throws(ReadError) -> Int? {
        try await reading { reader throws(ReadError) in try await reader.firstTagHeight() }
    }

    /// Whether tags of the last 24 hours may have been lost with a page: whether an append was made can't be told then.
    ///
    /// - Throws: ``ReadError``.
    public func mayLackTags() async throws(ReadError) -> Bool {
        let time = try await reading { reader throws(ReadError) in try await reader.lostTagsTime() }
        return time > nowSeconds - Idempotency.lifetimeSeconds
    }

    /// Orphans whose identity the list lacks, oldest first.
    ///
    /// - Parameter id: goes on after this one; 0 for the oldest.
    /// - Returns: some blocks, and the id to go on after; `nil` at the end.
    /// - Throws: ``AppendError`` of the database.
    public func pendingOrphans(after id: Int) async throws(AppendError) -> (blocks: [Block], lastID: Int?) {
        do throws(WriteError) {
            return try await writer.pendingOrphans(after: id, now: nowSeconds)
        } catch {
            throw AppendError(error)
        }
    }

    /// Forgets the tags that came with a list that is not taken.
    ///
    /// - Throws: ``AppendError`` of the database.
    public func forgetTags(above height: Int) async throws(AppendError) {
        do throws(WriteError) {
            try await writer.forgetTags(above: height)
        } catch {
            throw AppendError(error)
        }
    }
}

extension StoreReader {
    func heights(of id: AppendID) throws(ReadError) -> Range<Int>? {
        try reading(0) { connection throws(SQLiteError) in try TagStatements.heights(of: id, on: connection) }
    }

    func tags(_ heights: Range<Int>) throws(ReadError) -> [AppendTag] {
        try reading(0) { connection throws(SQLiteError) in try TagStatements.all(heights, on: connection) }
    }

    func firstTagHeight() throws(ReadError) -> Int? {
        try reading(0) { connection throws(SQLiteError) in try TagStatements.firstHeight(on: connection) }
    }

    func lostTagsTime() throws(ReadError) -> Int64 {
        try reading(0) { connection throws(SQLiteError) in
            Int64(try PropertyStatements.number(PropertyStatements.lostTagsTime, on: connection))
        }
    }
}
