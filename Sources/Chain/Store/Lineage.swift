// What a block stands on: the list, or a staged branch on part of it. All questions about identities are asked here.

/// The blocks of the list below a height, and from there on those of a branch that is not part of it.
struct Lineage {
    /// The staged branch and the height of its first block; `nil` for the list itself.
    let staged: (branch: Int, first: Int)?

    /// The list.
    static let list = Lineage(staged: nil)

    /// The hash that is stored for the block at `height`; `nil` where there is none.
    func storedHash(at height: Int, on connection: Connection) throws(SQLiteError) -> Hash? {
        try read(at: height, on: connection) { row, view in view.hash(height - row.height) }
    }

    /// The height of the block that has an identity; `nil` if there is none.
    ///
    /// A block of that hash can stand only at its own height; one that was appended again is found by the table. (A
    /// block that was not appended again cannot have the identity of an earlier one: its hash would have to be an input
    /// of itself. So only blocks with an origin need to be asked for before they are added.)
    ///
    /// - Parameter height: the height of the block whose hash the identity is.
    func height(of identity: Hash, height: Int, on connection: Connection) throws(SQLiteError) -> Int? {
        if try storedHash(at: height, on: connection) == identity { return height }
        // Its stored hash may be damaged, which is put right once that is found.
        if try computedHash(at: height, on: connection) == identity { return height }
        return try heightOfSuccessor(of: identity, on: connection)
    }

    /// Whether a block hashes to what is stored. Of another one nobody can tell what it stands for: an identity that may be its
    /// own is neither to be appended again nor to be forgotten before it is repaired.
    func isGood(at height: Int, on connection: Connection) throws(SQLiteError) -> Bool {
        guard let hash = try computedHash(at: height, on: connection) else { return false }
        return try storedHash(at: height, on: connection) == hash
    }

    /// The height of the block that was appended again under an identity; `nil` if there is none.
    func heightOfSuccessor(of identity: Hash, on connection: Connection) throws(SQLiteError) -> Int? {
        for place in try OriginStatements.places(of: identity, on: connection)
        where try contains(place, on: connection) {
            if try isListedRightly(identity, at: place.height, on: connection) { return place.height }
        }
        return nil
    }

    /// Whether a block has an identity that the table says it has. That is only an index, and may be damaged; so may be the
    /// block, and then the table is believed, as for a block that this transaction has not stored yet.
    private func isListedRightly(
        _ identity: Hash, at height: Int, on connection: Connection
    ) throws(SQLiteError) -> Bool {
        guard let hash = try storedHash(at: height, on: connection) else { return true }
        let origin = try read(at: height, on: connection) { row, view in view.block(height - row.height)?.origin?.hash }
        if origin == identity { return true }
        return try computedHash(at: height, on: connection) != hash
    }

    /// The hash that the parts of a block give after the stored hash before it; `nil` if they cannot be read.
    private func computedHash(at height: Int, on connection: Connection) throws(SQLiteError) -> Hash? {
        guard let previousHash = try storedHash(at: height - 1, on: connection) else { return nil }
        return try read(at: height, on: connection) { row, view in
            view.block(height - row.height)?.computedHash(after: previousHash)
        }
    }

    /// Calls `body` with the run that holds a block; `nil` where there is none.
    private func read<Answer>(
        at height: Int, on connection: Connection, _ body: (RunRow, RunView) -> Answer?
    ) throws(SQLiteError) -> Answer? {
        guard height >= 0 else { return nil }
        do throws(SQLiteError) {
            guard let staged, height >= staged.first else {
                return try RunStatements.withRun(at: height, on: connection) { row, view in body(row, view) }
            }
            return try RunStatements.withRun(at: height, branch: staged.branch, on: connection) { row, view in
                body(row, view)
            }
        } catch {
            guard error.isDamage else { throw error }
            return nil
        }
    }

    private func contains(_ place: (branch: Int, height: Int), on connection: Connection) throws(SQLiteError) -> Bool {
        if let staged, place.height >= staged.first { return place.branch == staged.branch }
        return try SegmentStatements.branch(at: place.height, on: connection) == place.branch
    }
}
