// Blocks that are offered for damaged ones, and who vouches for them.

/// Consecutive blocks whose hashes follow from each other. Since each hash covers the one before it, whoever vouches for
/// one of them vouches for all below it.
struct CandidateChain {
    let first: Int
    private let runs: [BlockRun]
    /// The hash before the first block.
    private let previousHash: Hash
    private let hashes: [Hash]

    /// - Parameters:
    ///   - runs: consecutive, at least one.
    ///   - previousHash: what the block before the first one says that its hash is; not looked at for the genesis.
    /// - Throws: `RepairError.invalid` with the first block that is bad in itself; `.unconfirmed` if they are not consecutive.
    init(_ runs: [BlockRun], after previousHash: Hash) throws(RepairError) {
        first = runs.first?.firstHeight ?? 0
        self.runs = runs
        self.previousHash = previousHash
        var checker = BlockChecker(height: first, previous: first == 0 ? nil : .init(hash: previousHash))
        var hashes: [Hash] = []
        for run in runs {
            guard run.firstHeight == first + hashes.count else { throw .unconfirmed }
            try run.forEachBlock { _, block throws(RepairError) in
                if let fault = checker.check(block).fault { throw .invalid(fault) }
                hashes.append(block.hash)
            }
        }
        self.hashes = hashes
    }

    var heights: Range<Int> { first..<first + hashes.count }

    func hash(at height: Int) -> Hash { hashes[height - first] }

    /// The hash that the block at a height follows.
    func previousHash(at height: Int) -> Hash { height == first ? previousHash : hash(at: height - 1) }

    /// Calls `body` with the block at a height.
    func withBlock(at height: Int, _ body: (StoredBlock) -> Void) {
        for run in runs where run.firstHeight <= height && height < run.endHeight {
            run.content.withUnsafeBytes { bytes in
                if let block = RunView(bytes, count: run.count)?.block(height - run.firstHeight) { body(block) }
            }
        }
    }

    // MARK: Vouching

    /// The highest of these blocks that is known to be the one that the list had there.
    ///
    /// - Parameters:
    ///   - head: the list's, as the writer knows it; its hash is zero if it was damaged when the database was opened.
    ///   - isConfirmed: whether a member has these blocks in its list, or an operator takes them: enough for a damaged head
    ///     whose parts give this hash, or of which nothing can be read.
    func highestVouched(head: Head, isConfirmed: Bool, on connection: Connection) throws(SQLiteError) -> Int? {
        for height in heights.reversed() where height <= head.height {
            if try isVouched(height, head: head, isConfirmed: isConfirmed, on: connection) { return height }
        }
        return nil
    }

    private func isVouched(
        _ height: Int, head: Head, isConfirmed: Bool, on connection: Connection
    ) throws(SQLiteError) -> Bool {
        let hash = hash(at: height)
        if height == 0 { return true }
        // The hash that is stored for it is good, and it is its parts that are damaged.
        if try Lineage.list.storedHash(at: height, on: connection) == hash { return true }
        guard height == head.height else { return try isFollowed(hash, at: height, on: connection) }
        if head.hash != .zero { return head.hash == hash }
        guard isConfirmed else { return false }
        let previousHash = previousHash(at: height)
        if let computed = try parts(at: height, on: connection, { $0.computedHash(after: previousHash) }) {
            let storedHash = try Lineage.list.storedHash(at: height - 1, on: connection)
            return computed == hash && storedHash == previousHash
        }
        // Nothing is left that could say what the head was: the member's block is taken, as it would be with its list.
        return try contradictsNothing(upTo: height, on: connection)
    }

    /// Whether each stored hash that can be read is that of these blocks.
    private func contradictsNothing(upTo last: Int, on connection: Connection) throws(SQLiteError) -> Bool {
        for height in first...last {
            guard let stored = try Lineage.list.storedHash(at: height, on: connection) else { continue }
            if stored != hash(at: height) { return false }
        }
        return true
    }

    /// Whether the next block of the list is good after this hash.
    private func isFollowed(_ hash: Hash, at height: Int, on connection: Connection) throws(SQLiteError) -> Bool {
        try parts(at: height + 1, on: connection) { $0.computedHash(after: hash) == $0.hash } ?? false
    }

    /// Calls `body` with the parts that the list has of a block; `nil` if they cannot be read.
    private func parts<Answer>(
        at height: Int, on connection: Connection, _ body: (StoredBlock) -> Answer
    ) throws(SQLiteError) -> Answer? {
        do throws(SQLiteError) {
            return try RunStatements.withRun(at: height, on: connection) { row, view in
                view.block(height - row.height).map(body)
            }
        } catch {
            guard error.isDamage else { throw error }
            return nil
        }
    }
}
