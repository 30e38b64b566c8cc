// The statements on the table of properties: single values of a list that must survive a restart.

/// Reads and writes properties by their names.
enum PropertyStatements {
    /// The branch that was made last.
    static let lastBranch = "last_branch"
    /// Blocks up to this height are settled.
    static let settledHeight = "settled_height"
    /// Blocks up to this height are final.
    static let finalHeight = "final_height"
    /// The head when the list was made durable last: written for that.
    static let syncedHeight = "synced_height"
    /// When tags of appends were lost with a page, in whole seconds since the Unix epoch.
    static let lostTagsTime = "lost_tags_time"

    /// The name of bytes that whoever uses the list keeps with it.
    static func record(_ name: String) -> String { "record." + name }

    /// A number; 0 where it was never set.
    static func number(_ name: String, on connection: Connection) throws(SQLiteError) -> Int {
        try connection.with("SELECT value FROM properties WHERE name = ?1") { statement throws(SQLiteError) in
            try statement.bind(name, at: 1)
            return try statement.step() ? statement.integer(0) : 0
        }
    }

    /// Sets a number.
    static func set(_ name: String, to number: Int, on connection: Connection) throws(SQLiteError) {
        try set(name, on: connection) { statement throws(SQLiteError) in try statement.bind(number, at: 2) }
    }

    /// Bytes; `nil` where they were never set.
    static func bytes(_ name: String, on connection: Connection) throws(SQLiteError) -> [UInt8]? {
        try connection.with("SELECT value FROM properties WHERE name = ?1") { statement throws(SQLiteError) in
            try statement.bind(name, at: 1)
            return try statement.step() ? [UInt8](try statement.bytes(0)) : nil
        }
    }

    /// Sets bytes.
    static func set(_ name: String, to bytes: [UInt8], on connection: Connection) throws(SQLiteError) {
        try set(name, on: connection) { statement throws(SQLiteError) in try statement.bind(bytes, at: 2) }
    }

    /// Forgets what was set.
    static func delete(_ name: String, on connection: Connection) throws(SQLiteError) {
        try connection.with("DELETE FROM properties WHERE name = ?1") { statement throws(SQLiteError) in
            try statement.bind(name, at: 1)
            _ = try statement.step()
        }
    }

    private static func set(
        _ name: String, on connection: Connection, bind: (Statement) throws(SQLiteError) -> Void
    ) throws(SQLiteError) {
        try connection.with("INSERT OR REPLACE INTO properties(name, value) VALUES(?1, ?2)") {
            statement throws(SQLiteError) in
            try statement.bind(name, at: 1)
            try bind(statement)
            _ = try statement.step()
        }
    }
}
