// Reads one block with its check. Used by the readers, and by the writer for the head.

/// Checked reads on a connection. Damage is thrown as `SQLITE_CORRUPT`.
enum CheckedRead {
    /// Calls `body` with the block at `height` and the previous hash that it was found good with.
    static func withBlock<Answer>(
        at height: Int, on connection: Connection,
        _ body: (RunRow, StoredBlock, Hash) throws(SQLiteError) -> Answer
    ) throws(SQLiteError) -> Answer {
        try RunStatements.withRun(at: height, on: connection) { row, view throws(SQLiteError) in
            guard let block = view.block(height - row.height) else { throw RunStatements.damage(height) }
            let previousHash = try previousHash(of: block, at: height, in: row, view, on: connection)
            return try body(row, block, previousHash)
        }
    }

    /// Checks a block.
    ///
    /// - Returns: the previous hash that it was found good with.
    /// - Throws: damage at its height.
    static func previousHash(
        of block: StoredBlock, at height: Int, in row: RunRow, _ view: RunView, on connection: Connection
    ) throws(SQLiteError) -> Hash {
        guard height > 0 else { return try check(block, at: 0, after: nil) }
        let storedHash =
            row.height < height
            ? view.hash(height - 1 - row.height) : try RunStatements.storedHash(at: height - 1, on: connection)
        do throws(SQLiteError) {
            return try check(block, at: height, after: .init(hash: storedHash))
        } catch {
            // Perhaps it is the stored hash of the block before that is damaged, and this block is good.
            let computedHash = try computedHash(at: height - 1, on: connection)
            return try check(block, at: height, after: .init(hash: storedHash, computedHash: computedHash))
        }
    }

    /// The block at `height` as a value.
    static func block(at height: Int, on connection: Connection) throws(SQLiteError) -> Block {
        try withBlock(at: height, on: connection) { _, block, previousHash in
            Block(
                height: height, timestamp: block.timestamp, data: String(decoding: block.data, as: UTF8.self),
                previousHash: previousHash, hash: block.hash, origin: block.origin)
        }
    }

    private static func check(
        _ block: StoredBlock, at height: Int, after previous: BlockChecker.Previous?
    ) throws(SQLiteError) -> Hash {
        var checker = BlockChecker(height: height, previous: previous)
        let (fault, previousHash) = checker.check(block)
        guard fault == nil else { throw RunStatements.damage(height) }
        return previousHash
    }

    /// The hash that a block's parts give after the stored hash before it.
    private static func computedHash(at height: Int, on connection: Connection) throws(SQLiteError) -> Hash {
        guard height > 0 else { return Block.genesis.hash }
        let previousHash = try RunStatements.storedHash(at: height - 1, on: connection)
        return try RunStatements.withRun(at: height, on: connection) { row, view throws(SQLiteError) in
            guard let block = view.block(height - row.height) else { throw RunStatements.damage(height) }
            return block.computedHash(after: previousHash)
        }
    }
}
