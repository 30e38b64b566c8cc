// Turns requests into blocks, one after the other, within the writer's transaction.

import CSystemLibs

/// The blocks of one transaction as they come to be. Every rule that can refuse one request alone is here.
struct Batch {
    /// The new blocks, in order.
    private(set) var blocks: [Block] = []
    /// The tags of those whose requests have an id.
    private(set) var tags: [AppendTag] = []
    private var heightsOfIDs: [AppendID: Range<Int>] = [:]
    private let firstHeight: Int
    private var head: Head
    private let now: Int64
    private let branch: Int
    private let lineage: Lineage

    /// - Parameters:
    ///   - head: the last block on disk.
    ///   - now: whole seconds since the Unix epoch.
    ///   - branch: the branch that the head belongs to.
    ///   - lineage: what the blocks are appended to.
    init(head: Head, now: Int64, branch: Int, lineage: Lineage = .list) {
        firstHeight = head.height + 1
        self.branch = branch
        self.lineage = lineage
        self.head = head
        self.now = now
    }

    /// Answers a request with its blocks, or with why it is refused. A refused one leaves no trace.
    mutating func take(
        _ request: AppendRequest, on connection: Connection
    ) throws(SQLiteError) -> Result<[Block], AppendError> {
        if let id = request.id {
            var heights = heightsOfIDs[id]
            if heights == nil { heights = try TagStatements.heights(of: id, on: connection) }
            if let heights { return try blocks(at: heights, on: connection) }
        }
        if let idempotency = request.idempotency,
            let earlier = try IdempotencyStatements.find(idempotency.key, now: now, on: connection)
        {
            guard let requestHash = earlier.requestHash, let identities = earlier.identities else {
                return .failure(
                    .outcomeUnknown(SQLiteError(SQLITE_CORRUPT, "reading what the idempotency key stands for")))
            }
            guard requestHash == idempotency.requestHash else { return .failure(.idempotencyKeyReused) }
            return try blocks(of: identities, from: earlier.firstHeight, on: connection)
        }
        // Of blocks that were fetched, which come in pieces, only the tag may have it.
        if let idempotency = request.idempotency,
            let tag = try TagStatements.tag(ofKey: idempotency.key, upTo: firstHeight - 1, now: now, on: connection)
        {
            guard tag.idempotency == idempotency else { return .failure(.idempotencyKeyReused) }
            return try blocks(at: tag.heights, on: connection)
        }
        if let idempotency = request.idempotency,
            try LostKeys.mayHold(idempotency.key, now: now, on: connection)
        {
            return .failure(.outcomeUnknown(SQLiteError(SQLITE_CORRUPT, "looking for the idempotency key")))
        }
        if let lastHash = request.lastHash, lastHash != head.hash {
            do throws(SQLiteError) {
                return .failure(.invalidLastHash(head: try block(at: head.height, on: connection)))
            } catch {
                guard error.isDamage else { throw error }
                return .failure(.damagedHead(height: head.height))
            }
        }
        let made: [Block]
        switch make(request.drafts) {
        case .success(let blocks): made = blocks
        case .failure(let error): return .failure(error)
        }
        if let height = try heightOfIdentity(in: made, on: connection) {
            return .failure(.identityExists(height: height))
        }
        try keep(made, of: request, on: connection)
        return .success(made)
    }

    /// Makes the blocks that follow the head.
    private func make(_ drafts: [Draft]) -> Result<[Block], AppendError> {
        var made: [Block] = []
        made.reserveCapacity(drafts.count)
        var head = head
        for (index, draft) in drafts.enumerated() {
            // A clock that went back gives the head's timestamp.
            let timestamp = draft.timestamp ?? max(now, head.timestamp)
            guard timestamp >= head.timestamp else {
                return .failure(
                    .timeGoesBack(index: index, timestamp: timestamp, headTimestamp: head.timestamp))
            }
            if let origin = draft.origin, !origin.isOrigin(of: draft.data) {
                return .failure(.invalidOrigin(index: index))
            }
            let block = Block(
                height: head.height + 1, timestamp: timestamp, data: draft.data, previousHash: head.hash,
                origin: draft.origin)
            made.append(block)
            head = Head(height: block.height, hash: block.hash, timestamp: block.timestamp)
        }
        return .success(made)
    }

    /// Appends a block again, with its origin, unless its identity is there.
    mutating func reappend(_ block: Block, on connection: Connection) throws(SQLiteError) {
        let origin = Origin(of: block)
        guard try height(of: origin, on: connection) == nil else { return }
        let again = Block(
            height: head.height + 1, timestamp: max(now, head.timestamp), data: block.data, previousHash: head.hash,
            origin: origin)
        try keep([again], of: nil, on: connection)
    }

    /// The height at which the identity of one of these blocks stands already. See `Lineage.height` for why only those
    /// with an origin count.
    private func heightOfIdentity(in made: [Block], on connection: Connection) throws(SQLiteError) -> Int? {
        var heights: [Hash: Int] = [:]
        for block in made {
            guard let origin = block.origin else { continue }
            if let height = heights.updateValue(block.height, forKey: origin.hash) { return height }
            if let height = try height(of: origin, on: connection) { return height }
        }
        return nil
    }

    private func height(of origin: Origin, on connection: Connection) throws(SQLiteError) -> Int? {
        if origin.height >= firstHeight, origin.height <= head.height,
            blocks[origin.height - firstHeight].hash == origin.hash
        {
            return origin.height
        }
        return try lineage.height(of: origin.hash, height: origin.height, on: connection)
    }

    private mutating func keep(
        _ made: [Block], of request: AppendRequest?, on connection: Connection
    ) throws(SQLiteError) {
        for block in made {
            guard let origin = block.origin else { continue }
            try OriginStatements.insert(origin.hash, at: block.height, branch: branch, on: connection)
        }
        if let idempotency = request?.idempotency {
            try IdempotencyStatements.insert(
                idempotency, taken: now, firstHeight: head.height + 1, identities: made.map(\.identity), on: connection)
        }
        if let id = request?.id {
            let tag = AppendTag(
                id: id, firstHeight: head.height + 1, blocks: made.count, taken: now,
                idempotency: request?.idempotency)
            tags.append(tag)
            heightsOfIDs[id] = tag.heights
        }
        blocks += made
        if let last = made.last { head = Head(height: last.height, hash: last.hash, timestamp: last.timestamp) }
    }

    /// The blocks that a key stands for, wherever they stand by now.
    private func blocks(
        of identities: [Hash], from keyHeight: Int, on connection: Connection
    ) throws(SQLiteError) -> Result<[Block], AppendError> {
        var found: [Block] = []
        for (index, identity) in identities.enumerated() {
            let first = keyHeight + index
            let isNew = first >= firstHeight && first <= head.height
            guard let height = isNew ? first : try lineage.height(of: identity, height: first, on: connection) else {
                return .failure(.pending(identity))
            }
            switch try checkedBlock(at: height, on: connection) {
            case .success(let block): found.append(block)
            case .failure(let error): return .failure(error)
            }
        }
        return .success(found)
    }

    /// The blocks of an append that was taken before.
    private func blocks(
        at heights: Range<Int>, on connection: Connection
    ) throws(SQLiteError) -> Result<[Block], AppendError> {
        var found: [Block] = []
        for height in heights {
            switch try checkedBlock(at: height, on: connection) {
            case .success(let block): found.append(block)
            case .failure(let error): return .failure(error)
            }
        }
        return .success(found)
    }

    private func checkedBlock(
        at height: Int, on connection: Connection
    ) throws(SQLiteError) -> Result<Block, AppendError> {
        do throws(SQLiteError) {
            return .success(try block(at: height, on: connection))
        } catch {
            guard error.isDamage else { throw error }
            return .failure(.damaged(height: height))
        }
    }

    private func block(at height: Int, on connection: Connection) throws(SQLiteError) -> Block {
        height >= firstHeight
            ? blocks[height - firstHeight] : try CheckedRead.block(at: height, on: connection)
    }
}
