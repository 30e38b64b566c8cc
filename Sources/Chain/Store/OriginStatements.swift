// The statements on the table of origins: which identities stand at another height than their first, in any branch.

/// Reads and writes the identities of blocks that were appended again.
enum OriginStatements {
    /// The blocks that were appended again under this identity, in whatever branch.
    static func places(of identity: Hash, on connection: Connection) throws(SQLiteError) -> [(branch: Int, height: Int)]
    {
        try connection.with("SELECT position FROM origins WHERE identity = ?1") { statement throws(SQLiteError) in
            try statement.bind(identity, at: 1)
            var places: [(branch: Int, height: Int)] = []
            while try statement.step() {
                let position = statement.integer(0)
                places.append((RunKey.branch(of: position), RunKey.height(of: position)))
            }
            return places
        }
    }

    /// Remembers that the block at `height` of a branch was appended again.
    static func insert(_ identity: Hash, at height: Int, branch: Int, on connection: Connection) throws(SQLiteError) {
        try change(
            "INSERT OR IGNORE INTO origins(identity, position) VALUES(?1, ?2)", identity, height, branch, connection)
    }

    /// Forgets the block at `height` of a branch.
    static func delete(_ identity: Hash, at height: Int, branch: Int, on connection: Connection) throws(SQLiteError) {
        try change("DELETE FROM origins WHERE identity = ?1 AND position = ?2", identity, height, branch, connection)
    }

    private static func change(
        _ sql: String, _ identity: Hash, _ height: Int, _ branch: Int, _ connection: Connection
    ) throws(SQLiteError) {
        try connection.with(sql) { statement throws(SQLiteError) in
            try statement.bind(identity, at: 1)
            try statement.bind(RunKey.position(branch: branch, height: height), at: 2)
            _ = try statement.step()
        }
    }
}
