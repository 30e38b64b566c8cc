// What a block stands on: the list, or a staged branch on part of it. All questions about identities are asked here.

/// The blocks of the list below a height, and from there on those of a branch that is not part of it.
struct Lineage {
    /// The staged branch and the height of its first block; `nil` for the list itself.
    let staged: (branch: Int, first: Int)?

    /// The list.
    static let list = Lineage(staged: nil)

    /// The hash that is stored for the block at `height`; `nil` where there is none.
    func storedHash(at height: Int, on connection: Connection) throws(SQLiteError) -> Hash? {
        guard height >= 0 else { return nil }
        do throws(SQLiteError) {
            guard let staged, height >= staged.first else {
                return try RunStatements.storedHash(at: height, on: connection)
            }
            return try RunStatements.withRun(at: height, branch: staged.branch, on: connection) { row, view in
                view.hash(height - row.height)
            }
        } catch {
            guard error.isDamage else { throw error }
            return nil
        }
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
        for place in try OriginStatements.places(of: identity, on: connection) where try contains(place, on: connection)
        {
            return place.height
        }
        return nil
    }

    private func contains(_ place: (branch: Int, height: Int), on connection: Connection) throws(SQLiteError) -> Bool {
        if let staged, place.height >= staged.first { return place.branch == staged.branch }
        return try SegmentStatements.branch(at: place.height, on: connection) == place.branch
    }
}
