// What the readers find out for keeping several nodes in step.

extension StoreReader {
    /// The hashes that are stored at heights of the list.
    func storedHashes(at heights: [Int], below end: Int) throws(ReadError) -> [Hash?] {
        try reading(heights.first ?? 0) { connection throws(SQLiteError) in
            var hashes: [Hash?] = []
            for height in heights {
                hashes.append(height < end ? try Lineage.list.storedHash(at: height, on: connection) : nil)
            }
            return hashes
        }
    }

    /// The list as far as it counts.
    func rank(
        latestTimestamp: Int64, head: Head, lowest: Int, finalHeight: Int
    ) throws(ReadError) -> ListRank {
        try reading(head.height) { connection throws(SQLiteError) in
            let height = try CountedHeight.find(
                latestTimestamp: latestTimestamp, head: head, damagedHead: head.hash == .zero ? head.height : nil,
                atLeast: lowest, on: connection)
            let hash = try Lineage.list.storedHash(at: height, on: connection) ?? .zero
            return ListRank(finalHeight: finalHeight, height: height, headHash: hash)
        }
    }

    /// What became of an orphan, or of what a block that was appended again stands for.
    func orphan(_ hash: Hash) throws(ReadError) -> Orphan? {
        let found = try reading(0) { connection throws(SQLiteError) -> (orphan: Orphan?, isComplete: Bool) in
            if let stored = try OrphanStatements.find(hash, on: connection) {
                return (try Orphan(stored, on: connection), true)
            }
            for place in try OriginStatements.places(of: hash, on: connection)
            where try SegmentStatements.branch(at: place.height, on: connection) == place.branch {
                let block = try CheckedRead.block(at: place.height, on: connection)
                guard let origin = block.origin else { continue }
                return (
                    Orphan(
                        id: 0, height: origin.height, hash: hash, replaced: 0,
                        state: .moved(height: block.height, hash: block.hash)), true
                )
            }
            return (nil, try !LeftoverStatements.areThere(on: connection))
        }
        guard found.isComplete else { throw .hashesIncomplete }
        return found.orphan
    }

    /// Goes back from a block that may have been replaced, over at most `stepsMax` that were.
    ///
    /// - Returns: where that leads to, and whether it is in the list; `nil` if a block on the way is not known.
    func ancestor(
        of height: Int, hash: Hash, stepsMax: Int
    ) throws(ReadError) -> (height: Int, hash: Hash, isListed: Bool)? {
        let found = try reading(height) {
            connection throws(SQLiteError) -> (place: (Int, Hash, Bool)?, isComplete: Bool) in
            var (height, hash) = (height, hash)
            for _ in 0..<stepsMax {
                if try Lineage.list.storedHash(at: height, on: connection) == hash {
                    return ((height, hash, true), true)
                }
                guard let orphan = try OrphanStatements.find(hash, on: connection), orphan.height == height else {
                    return (nil, try !LeftoverStatements.areThere(on: connection))
                }
                (height, hash) = (height - 1, orphan.previousHash)
            }
            return ((height, hash, false), true)
        }
        guard found.isComplete else { throw .hashesIncomplete }
        return found.place
    }

    /// How many there are of what is only ever added.
    func counts() throws(ReadError) -> ListCounts {
        try reading(0) { connection throws(SQLiteError) in
            ListCounts(
                repairs: try connection.number("SELECT coalesce(max(id), 0) FROM repairs"),
                orphans: try connection.number("SELECT coalesce(max(id), 0) FROM orphans"),
                pendingOrphans: try connection.number("SELECT count(*) FROM orphans WHERE content IS NOT NULL"))
        }
    }

    /// Orphans, the last one to be replaced first.
    func orphans(before id: Int, limit: Int) throws(ReadError) -> [Orphan] {
        try reading(0) { connection throws(SQLiteError) in
            var orphans: [Orphan] = []
            for stored in try OrphanStatements.page(before: id, limit: limit, on: connection) {
                orphans.append(try Orphan(stored, on: connection))
            }
            return orphans
        }
    }

    /// The height at which an identity stands; `nil` if it is not in the list.
    func height(ofIdentity identity: Hash, height: Int) throws(ReadError) -> Int? {
        try reading(height) { connection throws(SQLiteError) in
            try Lineage.list.height(of: identity, height: height, on: connection)
        }
    }

    /// Bytes that are kept with the list.
    func record(_ name: String) throws(ReadError) -> [UInt8]? {
        try reading(0) { connection throws(SQLiteError) in
            try PropertyStatements.bytes(PropertyStatements.record(name), on: connection)
        }
    }
}

extension Orphan {
    fileprivate init(_ stored: StoredOrphan, on connection: Connection) throws(SQLiteError) {
        let height = try Lineage.list.height(of: stored.identity, height: stored.identityHeight, on: connection)
        var state = State.pending
        if let height, let hash = try Lineage.list.storedHash(at: height, on: connection) {
            state = .moved(height: height, hash: hash)
        }
        self.init(
            id: stored.id, height: stored.height, hash: stored.hash, replaced: stored.replaced, state: state)
    }
}

extension StoreWriter {
    /// Remembers that the blocks up to a height of the list are settled.
    func settle(upTo height: Int, replacements: Int) throws(WriteError) {
        let settled = min(height, state.head.height)
        guard settled > state.settledHeight, state.replacements == replacements else { return }
        try write { connection throws(SQLiteError) -> Ending<Void> in
            .commit(try PropertyStatements.set(PropertyStatements.settledHeight, to: settled, on: connection))
        }
        state.settled(upTo: settled)
    }

    /// Keeps bytes with the list.
    func setRecord(_ name: String, to bytes: [UInt8]) throws(WriteError) {
        try write { connection throws(SQLiteError) -> Ending<Void> in
            .commit(try PropertyStatements.set(PropertyStatements.record(name), to: bytes, on: connection))
        }
    }
}
