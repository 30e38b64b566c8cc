// Turns requests into blocks, one after the other, within the writer's transaction.

/// The blocks of one transaction as they come to be. Every rule that can refuse one request alone is here.
struct Batch {
    /// The new blocks, in order.
    private(set) var blocks: [Block] = []
    private let firstHeight: Int
    private var head: Head
    private let now: Int64

    /// - Parameters:
    ///   - head: the last block on disk.
    ///   - now: whole seconds since the Unix epoch.
    init(head: Head, now: Int64) {
        firstHeight = head.height + 1
        self.head = head
        self.now = now
    }

    /// Answers a request with its blocks, or with why it is refused. A refused one leaves no trace.
    mutating func take(
        _ request: AppendRequest, on connection: Connection
    ) throws(SQLiteError) -> Result<[Block], AppendError> {
        if let idempotency = request.idempotency,
            let earlier = try IdempotencyStatements.find(idempotency.key, now: now, on: connection)
        {
            guard earlier.requestHash == idempotency.requestHash else { return .failure(.idempotencyKeyReused) }
            return try blocks(at: earlier.heights, on: connection)
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
        try keep(made, idempotency: request.idempotency, on: connection)
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

    /// The height at which the identity of one of these blocks stands already.
    private func heightOfIdentity(in made: [Block], on connection: Connection) throws(SQLiteError) -> Int? {
        let listHasOrigins = try OriginStatements.areThere(on: connection)
        var identities: [Hash: Int] = [:]
        for block in made where block.origin != nil || listHasOrigins {
            if let height = try OriginStatements.height(of: block.identity, on: connection) { return height }
            if let height = identities.updateValue(block.height, forKey: block.identity) { return height }
            // A block that was not appended again can stand at its own height only.
            if let origin = block.origin, origin.height <= head.height,
                try hash(at: origin.height, on: connection) == origin.hash
            {
                return origin.height
            }
        }
        return nil
    }

    private mutating func keep(
        _ made: [Block], idempotency: Idempotency?, on connection: Connection
    ) throws(SQLiteError) {
        for block in made {
            if let origin = block.origin { try OriginStatements.insert(origin.hash, at: block.height, on: connection) }
        }
        if let idempotency {
            try IdempotencyStatements.insert(
                idempotency, taken: now, heights: (head.height + 1)..<(head.height + 1 + made.count), on: connection)
        }
        blocks += made
        if let last = made.last { head = Head(height: last.height, hash: last.hash, timestamp: last.timestamp) }
    }

    /// Blocks of the list, on disk or new.
    private func blocks(
        at heights: Range<Int>, on connection: Connection
    ) throws(SQLiteError) -> Result<[Block], AppendError> {
        var found: [Block] = []
        for height in heights {
            do throws(SQLiteError) {
                found.append(try block(at: height, on: connection))
            } catch {
                guard error.isDamage else { throw error }
                return .failure(.damaged(height: height))
            }
        }
        return .success(found)
    }

    private func block(at height: Int, on connection: Connection) throws(SQLiteError) -> Block {
        height >= firstHeight
            ? blocks[height - firstHeight] : try CheckedRead.block(at: height, on: connection)
    }

    private func hash(at height: Int, on connection: Connection) throws(SQLiteError) -> Hash {
        height >= firstHeight
            ? blocks[height - firstHeight].hash : try RunStatements.storedHash(at: height, on: connection)
    }
}
