// The statements on the table of appends: the tags of the blocks that an engine of consensus ordered in the last 24 hours.

/// Reads and writes tags.
enum TagStatements {
    private static let columns = "position, blocks, session, counter, taken, key, request"

    /// The heights of the blocks of an append; `nil` if the list has none, or not any more.
    static func heights(of id: AppendID, on connection: Connection) throws(SQLiteError) -> Range<Int>? {
        try connection.with("SELECT position, blocks FROM appends WHERE session = ?1 AND counter = ?2") {
            statement throws(SQLiteError) in
            try statement.bind(id.session, at: 1)
            try statement.bind(id.counter, at: 2)
            guard try statement.step() else { return nil }
            let first = statement.integer(0)
            return first..<first + max(1, min(statement.integer(1), AppendRequest.draftsMax))
        }
    }

    /// The tags of appends whose first blocks stand at these heights, in their order.
    static func all(_ heights: Range<Int>, on connection: Connection) throws(SQLiteError) -> [AppendTag] {
        try connection.with(
            "SELECT \(columns) FROM appends WHERE position >= ?1 AND position < ?2 ORDER BY position"
        ) { statement throws(SQLiteError) in
            try statement.bind(heights.lowerBound, at: 1)
            try statement.bind(heights.upperBound, at: 2)
            var tags: [AppendTag] = []
            while try statement.step() { tags.append(try tag(statement)) }
            return tags
        }
    }

    private static func tag(_ statement: Statement) throws(SQLiteError) -> AppendTag {
        var idempotency: Idempotency?
        if !statement.isNull(5), let requestHash = Hash(bytes: try statement.bytes(6)) {
            idempotency = Idempotency(key: try statement.text(5), requestHash: requestHash)
        }
        return AppendTag(
            id: AppendID(session: statement.integer(2), counter: statement.integer(3)),
            firstHeight: statement.integer(0), blocks: max(1, min(statement.integer(1), AppendRequest.draftsMax)),
            taken: Int64(statement.integer(4)), idempotency: idempotency)
    }

    /// The tag of an append of the last 24 hours that had a key; `nil` if there is none whose blocks stand up to a height.
    static func tag(
        ofKey key: String, upTo height: Int, now: Int64, on connection: Connection
    ) throws(SQLiteError) -> AppendTag? {
        try connection.with(
            "SELECT \(columns) FROM appends WHERE key = ?1 AND taken > ?2 AND position + blocks <= ?3 + 1"
        ) { statement throws(SQLiteError) in
            try statement.bind(key, at: 1)
            try statement.bind(Int(now - Idempotency.lifetimeSeconds), at: 2)
            try statement.bind(height, at: 3)
            return try statement.step() ? try tag(statement) : nil
        }
    }

    /// The height of the first block that has a tag; `nil` if none has.
    static func firstHeight(on connection: Connection) throws(SQLiteError) -> Int? {
        try connection.with("SELECT min(position) FROM appends") { statement throws(SQLiteError) in
            try statement.step() && !statement.isNull(0) ? statement.integer(0) : nil
        }
    }

    /// Remembers tags, and the keys that they have, of which those blocks are told.
    static func insert(_ tags: [AppendTag], on connection: Connection) throws(SQLiteError) {
        for tag in tags {
            try connection.with("INSERT OR REPLACE INTO appends(\(columns)) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)") {
                statement throws(SQLiteError) in
                try statement.bind(tag.firstHeight, at: 1)
                try statement.bind(tag.blocks, at: 2)
                try statement.bind(tag.id.session, at: 3)
                try statement.bind(tag.id.counter, at: 4)
                try statement.bind(Int(tag.taken), at: 5)
                if let idempotency = tag.idempotency {
                    try statement.bind(idempotency.key, at: 6)
                    try statement.bind(idempotency.requestHash, at: 7)
                } else {
                    statement.bindNull(at: 6)
                    statement.bindNull(at: 7)
                }
                _ = try statement.step()
            }
        }
    }

    /// Forgets some of those that are over: more than are added at a time, few enough that no append waits for them.
    static func deleteOld(takenBefore time: Int64, limit: Int, on connection: Connection) throws(SQLiteError) {
        try connection.with(
            """
            DELETE FROM appends WHERE taken < ?1
            AND position IN (SELECT position FROM appends ORDER BY position LIMIT ?2)
            """
        ) { statement throws(SQLiteError) in
            try statement.bind(Int(time), at: 1)
            try statement.bind(limit, at: 2)
            _ = try statement.step()
        }
    }

    /// Forgets the tags of blocks above a height: they are not in the list.
    static func delete(above height: Int, on connection: Connection) throws(SQLiteError) {
        try connection.with("DELETE FROM appends WHERE position > ?1") { statement throws(SQLiteError) in
            try statement.bind(height, at: 1)
            _ = try statement.step()
        }
    }
}
