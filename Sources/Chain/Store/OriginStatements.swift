// The statements on the table of origins: which identities stand in the list at another height than their first.

/// Reads and writes the identities of blocks that were appended again.
enum OriginStatements {
    /// Whether any block of the list was appended again.
    static func areThere(on connection: Connection) throws(SQLiteError) -> Bool {
        try connection.number("SELECT EXISTS(SELECT 1 FROM origins)") != 0
    }

    /// The height of the block that was appended again under this identity.
    static func height(of identity: Hash, on connection: Connection) throws(SQLiteError) -> Int? {
        try connection.with("SELECT position FROM origins WHERE identity = ?1") { statement throws(SQLiteError) in
            try statement.bind(identity, at: 1)
            return try statement.step() ? statement.integer(0) : nil
        }
    }

    /// Remembers that the block at `height` was appended again.
    static func insert(_ identity: Hash, at height: Int, on connection: Connection) throws(SQLiteError) {
        try connection.with("INSERT INTO origins(identity, position) VALUES(?1, ?2)") { statement throws(SQLiteError) in
            try statement.bind(identity, at: 1)
            try statement.bind(height, at: 2)
            _ = try statement.step()
        }
    }
}
