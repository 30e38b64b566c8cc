// The one writer of the database: makes blocks of what is asked for, and commits them durably.

import CSystemLibs

/// Commits appends, and in the files beside this one what comes from other nodes. Its connection, what it knows of the last small runs and of a damaged head belong to this actor.
///
/// After an error whose outcome is not clear it has no connection; the next batch opens one and reads the head back.
actor StoreWriter {
    private let executor = ThreadExecutor()
    let path: String
    let state: ListState
    let hashes: HashTable
    private let observer: CommitObserver?
    private var connection: Connection?
    private var isClosed = false
    /// Whether another file is about to take the place of this one, so that nothing may be written.
    private var isReplacing = false
    var tail = Tail()
    private(set) var damagedHead: Int?
    /// The head that is known to be on disk; `nil` before the database was opened.
    private var knownHead: Head?
    /// Whether a transaction was made that a power cut may take back.
    private var isUnsynced = true
    /// Whether the connection syncs its transactions now.
    private var syncsTransactions = true

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Calls `body` on the actor's thread when it has done what came before.
    nonisolated func perform(_ body: @escaping @Sendable (isolated StoreWriter) -> Void) {
        executor.perform { self.assumeIsolated(body) }
    }

    /// - Parameter state: is told the head when the database is opened, and after each commit.
    init(path: String, state: ListState, hashes: HashTable, observer: CommitObserver? = nil) {
        self.observer = observer
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
        try StoreFile.migrate(connection)
        try readBack(connection)
        self.connection = connection
        syncsTransactions = true
        // What the process before this one wrote need not be on disk.
        isUnsynced = true
    }

    /// Moves the WAL into the database and closes it, which removes the WAL.
    func close() throws(SQLiteError) {
        isClosed = true
        guard let connection else { return }
        self.connection = nil
        defer { connection.close() }
        try connection.emptyWAL()
    }

    /// Takes over the head that is on disk. When the database is opened again, it is the known one, or another if a
    /// commit of unknown outcome turns out to be there.
    private func readBack(_ connection: Connection) throws(SQLiteError) {
        let endHeight = try RunStatements.endHeight(on: connection)
        guard endHeight > 0 else { throw RunStatements.damage(0) }
        let head = try readHead(endHeight - 1, on: connection)
        let settledHeight = try PropertyStatements.number(PropertyStatements.settledHeight, on: connection)
        let finalHeight = try PropertyStatements.number(PropertyStatements.finalHeight, on: connection)
        if let knownHead {
            let common = try commonHeight(with: knownHead, on: connection)
            if common == knownHead.height {
                state.advance(to: head)
            } else {
                state.replaced(from: common + 1, with: head)
            }
            try insertHashes(from: common + 1, below: endHeight, on: connection)
            state.settled(upTo: settledHeight)
            state.final(upTo: finalHeight)
        } else {
            hashes.begin(endHeight: endHeight)
            state.opened(with: head, settledHeight: settledHeight, finalHeight: finalHeight)
        }
        if let damagedHead { state.damaged(damagedHead) }
        state.opened(withRepairs: try RepairStatements.last(ListState.repairsMax, on: connection))
        tail = try Tail(on: connection)
        knownHead = head
    }

    /// The last height that the list on disk shares with the known head's: that of the known head, or what the adoption
    /// of unknown outcome left of it.
    private func commonHeight(with known: Head, on connection: Connection) throws(SQLiteError) -> Int {
        if known.hash == .zero { return known.height - 1 }
        if try Lineage.list.storedHash(at: known.height, on: connection) == known.hash { return known.height }
        return try LeftoverStatements.lowestHeight(on: connection).map { $0 - 1 } ?? 0
    }

    private func insertHashes(from first: Int, below end: Int, on connection: Connection) throws(SQLiteError) {
        try RunStatements.forEachRun(from: first, below: end, on: connection) { row in
            guard let view = row.view else { return true }
            let heights = max(first, row.height)..<min(end, row.endHeight)
            hashes.insert(heights.map { view.hash($0 - row.height).prefix }, from: heights.lowerBound)
            return true
        }
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

    // MARK: Writing

    /// What a transaction ends with.
    enum Ending<Answer> {
        case commit(Answer)
        /// Nothing is changed.
        case rollBack(Answer)
    }

    /// Makes one transaction of what `body` does.
    ///
    /// - Parameter isSynced: whether it is durable at once; else a power cut may take it back before the next one that is.
    func write<Answer>(
        isSynced: Bool = true, _ body: (Connection) throws(SQLiteError) -> Ending<Answer>
    ) throws(WriteError) -> Answer {
        if isClosed { throw .closed }
        if isReplacing { throw .failed(SQLiteError(SQLITE_BUSY, "putting the rebuilt file in place")) }
        let ending: Ending<Answer>
        let connection: Connection
        do throws(SQLiteError) {
            if self.connection == nil { try open() }
            guard let opened = self.connection else { throw SQLiteError(SQLITE_CANTOPEN, "opening the database") }
            connection = opened
        } catch {
            if error.isDamage { state.structureDamaged(error.description) }
            throw .failed(error)
        }
        do throws(SQLiteError) {
            if isSynced != syncsTransactions {
                // NORMAL: the WAL is synced before a checkpoint only, and the file is never inconsistent.
                try connection.execute(isSynced ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL")
                syncsTransactions = isSynced
            }
            try connection.execute("BEGIN IMMEDIATE")
            ending = try body(connection)
        } catch {
            // Whether it is a block or the structure of the file, whoever repairs looks at it.
            if error.isDamage { state.structureDamaged(error.description) }
            // What is damaged stays as it is; another error may have ended more than this transaction.
            guard error.isDiskFull || error.primaryCode == SQLITE_CORRUPT else {
                abandon()
                throw .failed(error)
            }
            rollBack(connection)
            throw error.isDiskFull ? .diskFull : .failed(error)
        }
        guard case .commit(let answer) = ending else {
            rollBack(connection)
            guard case .rollBack(let answer) = ending else { throw .closed }
            return answer
        }
        let startSeconds = observer?.nowSeconds() ?? 0
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
        if isSynced, let observer { observer.committed(observer.nowSeconds() - startSeconds) }
        if !isSynced { isUnsynced = true }
        return answer
    }

    /// Makes durable what was not yet: whatever is in the WAL is synced with the next transaction.
    ///
    /// - Returns: the head, which is on disk now.
    func sync() throws(WriteError) -> Head {
        let head = state.head
        guard isUnsynced else { return head }
        try write { connection throws(SQLiteError) -> Ending<Void> in
            .commit(try PropertyStatements.set(PropertyStatements.syncedHeight, to: head.height, on: connection))
        }
        isUnsynced = false
        return head
    }

    /// Says that a transaction put these blocks at the end of the list.
    ///
    /// - Parameter block: the last one, if it is at hand.
    func appended(_ prefixes: [UInt64], head: Head, block: Block? = nil) {
        hashes.insert(prefixes, from: head.height + 1 - prefixes.count)
        knownHead = head
        state.advance(to: head, block: block)
        observer?.appended(prefixes.count)
    }

    /// Says that a transaction replaced the blocks of the list from a height on.
    func replaced(from height: Int, with head: Head) {
        damagedHead = nil
        knownHead = head
        state.replaced(from: height, with: head)
    }

    /// Says that a transaction put a damaged head right.
    func repaired(head: Head) {
        damagedHead = nil
        knownHead = head
        state.advance(to: head)
    }

    // MARK: Another file

    /// Writes nothing until `replaceFile` or `endReplacing`.
    func beginReplacing() { isReplacing = true }

    /// Goes on with the file as it is.
    func endReplacing() { isReplacing = false }

    /// Puts a closed database that has the whole list in the place of this one, and goes on with it.
    ///
    /// - Parameter filled: the heights of blocks that the old file had lost.
    /// - Throws: `OpenError`; the next transaction opens what is there.
    func replaceFile(by newPath: String, keeping keptPath: String, filled: [Range<Int>]) throws(OpenError) {
        defer { isReplacing = false }
        do throws(SQLiteError) {
            if isClosed { throw SQLiteError(SQLITE_MISUSE, "replacing the file of a closed list") }
            abandon()
            // Nothing that was written may be in a WAL that goes with the old name.
            try StoreFile.emptyWAL(ofDamaged: path)
        } catch {
            throw OpenError(path: path, reason: .database(error))
        }
        try state.replaceFile { () throws(OpenError) in
            try StoreFile.replace(path, by: newPath, keeping: keptPath)
        }
        do throws(SQLiteError) {
            try open()
            guard let connection else { return }
            for heights in filled {
                try insertHashes(from: heights.lowerBound, below: heights.upperBound, on: connection)
            }
        } catch {
            throw OpenError(path: path, reason: .database(error))
        }
    }

    // MARK: Appending

    /// Commits requests in their order, in one transaction. Each one that is refused fails alone.
    ///
    /// - Parameter now: whole seconds since the Unix epoch.
    func commit(_ requests: [AppendRequest], now: Int64) -> [Result<[Block], AppendError>] {
        do throws(WriteError) {
            return try append(requests, now: now)
        } catch {
            // One that is too large for the disk must not take along those that fit.
            if case .diskFull = error, requests.count > 1 { return requests.flatMap { commit([$0], now: now) } }
            return requests.map { _ in .failure(AppendError(error)) }
        }
    }

    private func append(
        _ requests: [AppendRequest], now: Int64
    ) throws(WriteError) -> [Result<[Block], AppendError>] {
        var newTail = tail
        var blocks: [Block] = []
        let results = try write { connection throws(SQLiteError) -> Ending<[Result<[Block], AppendError>]> in
            if let damagedHead { return .rollBack(requests.map { _ in .failure(.damagedHead(height: damagedHead)) }) }
            newTail = tail
            var batch = Batch(head: state.head, now: now, branch: tail.branch)
            var results: [Result<[Block], AppendError>] = []
            for request in requests { results.append(try batch.take(request, on: connection)) }
            try Tail.store(batch.blocks, acknowledged: true, merging: &newTail, on: connection)
            blocks = batch.blocks
            return .commit(results)
        }
        guard let last = blocks.last else { return results }
        tail = newTail
        appended(blocks.map(\.hash.prefix), head: Head(last), block: last)
        return results
    }

    /// Ends a transaction that is not to be committed.
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
