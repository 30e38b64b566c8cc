// The one writer of the database: makes blocks of what is asked for, and commits them durably.

/// Commits appends. Its connection, what it knows of the last small runs and of a damaged head belong to this actor.
///
/// After an error whose outcome is not clear it has no connection; the next batch opens one and reads the head back.
actor StoreWriter {
    private let executor = QueueExecutor(label: "chain.writer")
    private let path: String
    private let state: ListState
    private let hashes: HashTable
    private var connection: Connection?
    private var tail = Tail()
    private var damagedHead: Int?
    /// The height after the last block that is known to be on disk; `nil` before the database was opened.
    private var knownEndHeight: Int?

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// - Parameter state: is told the head when the database is opened, and after each commit.
    init(path: String, state: ListState, hashes: HashTable) {
        self.path = path
        self.state = state
        self.hashes = hashes
    }

    // MARK: Opening and closing

    /// Opens the database and reads the head back.
    func open() throws(SQLiteError) {
        let connection = try Connection(path: path, access: .readWrite)
        // FULL: the WAL is synced at each commit, so what is acknowledged survives a power cut
        // (https://www.sqlite.org/pragma.html#pragma_synchronous).
        try connection.execute(
            """
            PRAGMA synchronous = FULL;
            PRAGMA wal_autocheckpoint = 4000;
            PRAGMA journal_size_limit = 67108864;
            """)
        do throws(SQLiteError) {
            // What the WAL holds may come from a commit whose sync failed, and then be nowhere but in the system's
            // memory. It is written and synced again here, before anything follows it.
            try connection.emptyWAL()
        } catch {
            // With a full disk the WAL stays, and a small append may still fit.
            guard error.isDiskFull else { throw error }
        }
        try readBack(connection)
        self.connection = connection
    }

    /// Moves the WAL into the database and closes it, which removes the WAL.
    func close() throws(SQLiteError) {
        guard let connection else { return }
        self.connection = nil
        defer { connection.close() }
        try connection.emptyWAL()
    }

    /// Takes over the head that is on disk. When the database is opened again, it is the known one, or a later one
    /// if a commit of unknown outcome turns out to be there.
    private func readBack(_ connection: Connection) throws(SQLiteError) {
        let endHeight = try RunStatements.endHeight(on: connection)
        guard endHeight > 0 else { throw RunStatements.damage(0) }
        let head = try readHead(endHeight - 1, on: connection)
        if let knownEndHeight {
            guard endHeight >= knownEndHeight else { throw RunStatements.damage(knownEndHeight - 1) }
            var prefixes: [UInt64] = []
            for height in knownEndHeight..<endHeight {
                prefixes.append(try RunStatements.storedHash(at: height, on: connection).prefix)
            }
            hashes.insert(prefixes, from: knownEndHeight)
            state.advance(to: head)
        } else {
            hashes.begin(endHeight: endHeight)
            state.opened(with: head)
        }
        if let damagedHead { state.damaged(damagedHead) }
        tail = try Tail(on: connection)
        knownEndHeight = endHeight
    }

    /// Nothing may follow a damaged head, but everything before it is served.
    private func readHead(_ height: Int, on connection: Connection) throws(SQLiteError) -> Head {
        do throws(SQLiteError) {
            let block = try CheckedRead.block(at: height, on: connection)
            damagedHead = nil
            return Head(height: height, hash: block.hash, timestamp: block.timestamp)
        } catch {
            guard error.isDamage else { throw error }
            damagedHead = height
            return Head(height: height, hash: .zero, timestamp: Block.genesis.timestamp)
        }
    }

    // MARK: Appending

    /// Commits requests in their order, in one transaction. Each one that is refused fails alone.
    ///
    /// - Parameter now: whole seconds since the Unix epoch.
    func commit(_ requests: [AppendRequest], now: Int64) -> [Result<[Block], AppendError>] {
        do throws(SQLiteError) {
            if connection == nil { try open() }
        } catch {
            return requests.map { _ in .failure(.unavailable(error)) }
        }
        if let damagedHead { return requests.map { _ in .failure(.damagedHead(height: damagedHead)) } }
        do throws(AppendError) {
            return try transaction(requests, now: now)
        } catch {
            // One that is too large for the disk must not take along those that fit.
            if error == .diskFull, requests.count > 1 { return requests.flatMap { commit([$0], now: now) } }
            return requests.map { _ in .failure(error) }
        }
    }

    /// - Throws: what all the requests are to be answered with.
    private func transaction(
        _ requests: [AppendRequest], now: Int64
    ) throws(AppendError) -> [Result<[Block], AppendError>] {
        guard let connection else { throw .closed }
        var results: [Result<[Block], AppendError>] = []
        var batch = Batch(head: state.head, now: now)
        var newTail = tail
        do throws(SQLiteError) {
            try connection.execute("BEGIN IMMEDIATE")
            for request in requests { results.append(try batch.take(request, on: connection)) }
            try Tail.store(batch.blocks, merging: &newTail, on: connection)
        } catch {
            guard error.isDiskFull else {
                abandon()
                throw .unavailable(error)
            }
            rollBack(connection)
            throw .diskFull
        }
        do throws(SQLiteError) {
            try connection.execute("COMMIT")
        } catch {
            // A full disk shows while the frames are written, before the one that commits. After any other error
            // that one may be in the WAL, and a restart would find it.
            guard error.isDiskFull else {
                abandon()
                throw .outcomeUnknown(error)
            }
            rollBack(connection)
            throw .diskFull
        }
        tail = newTail
        if let last = batch.blocks.last {
            hashes.insert(batch.blocks.map(\.hash.prefix), from: last.height + 1 - batch.blocks.count)
            knownEndHeight = last.height + 1
            state.advance(to: Head(height: last.height, hash: last.hash, timestamp: last.timestamp))
        }
        return results
    }

    /// Ends a transaction that has not committed.
    private func rollBack(_ connection: Connection) {
        do throws(SQLiteError) {
            // SQLite may have done it already (https://www.sqlite.org/lang_transaction.html).
            if connection.isInTransaction { try connection.execute("ROLLBACK") }
        } catch {
            // What the transaction left behind goes with the connection.
            abandon()
        }
    }

    private func abandon() {
        connection?.close()
        connection = nil
    }
}
