// The statements on the table of orphans: what became of each block that was replaced.

/// A block that was replaced.
struct StoredOrphan {
    /// Its place in the order in which blocks were replaced.
    let id: Int
    let height: Int
    let hash: Hash
    /// What it stands for, and the height of the block whose hash that is.
    let identity: Hash
    let identityHeight: Int
    /// When it was replaced, in whole seconds since the Unix epoch.
    let replaced: Int64
    /// Whether this node acknowledged it to a client.
    let acknowledged: Bool
    /// The hash before it.
    let previousHash: Hash
    /// The block as a run of its own, as long as its identity is not in the list.
    let content: [UInt8]?

    /// The block, if it is kept and good: its hash does not cover all of its origin.
    var block: Block? {
        content?.withUnsafeBytes { bytes in
            var checker = BlockChecker(height: height, previous: .init(hash: previousHash))
            guard let stored = RunView(bytes, count: 1)?.block(0), stored.hash == hash,
                checker.check(stored).fault == nil
            else { return nil }
            return Block(
                height: height, timestamp: stored.timestamp, data: String(decoding: stored.data, as: UTF8.self),
                previousHash: previousHash, hash: hash, origin: stored.origin)
        }
    }
}

/// Reads and writes orphans.
enum OrphanStatements {
    private static let columns =
        "id, height, hash, identity, identity_height, replaced, acknowledged, previous_hash, content"

    /// The orphan of a hash.
    static func find(_ hash: Hash, on connection: Connection) throws(SQLiteError) -> StoredOrphan? {
        try connection.with("SELECT \(columns) FROM orphans WHERE hash = ?1") { statement throws(SQLiteError) in
            try statement.bind(hash, at: 1)
            return try statement.step() ? orphan(statement) : nil
        }
    }

    /// Orphans, newest first.
    static func page(before id: Int, limit: Int, on connection: Connection) throws(SQLiteError) -> [StoredOrphan] {
        try all("SELECT \(columns) FROM orphans WHERE id < ?1 ORDER BY id DESC LIMIT ?2", id, limit, on: connection)
    }

    /// Orphans that are kept because their identity was not in the list, oldest first. One that seems to have been
    /// replaced after `now` was so under a clock that has gone back since.
    static func pending(
        replacedBefore time: Int64, after id: Int, limit: Int, now: Int64, on connection: Connection
    ) throws(SQLiteError) -> [StoredOrphan] {
        try all(
            """
            SELECT \(columns) FROM orphans
            WHERE content IS NOT NULL AND (replaced <= ?1 OR replaced > ?4) AND id > ?3 ORDER BY id LIMIT ?2
            """, Int(time), limit, id, Int(now), on: connection)
    }

    private static func all(
        _ sql: String, _ parameters: Int..., on connection: Connection
    ) throws(SQLiteError) -> [StoredOrphan] {
        try connection.with(sql) { statement throws(SQLiteError) in
            for (index, parameter) in parameters.enumerated() { try statement.bind(parameter, at: Int32(index + 1)) }
            var found: [StoredOrphan] = []
            while try statement.step() { found.append(try orphan(statement)) }
            return found
        }
    }

    private static func orphan(_ statement: Statement) throws(SQLiteError) -> StoredOrphan {
        StoredOrphan(
            id: statement.integer(0), height: statement.integer(1), hash: try statement.hash(2),
            identity: try statement.hash(3), identityHeight: statement.integer(4),
            replaced: Int64(statement.integer(5)), acknowledged: statement.integer(6) != 0,
            previousHash: try statement.hash(7),
            content: statement.isNull(8) ? nil : [UInt8](try statement.bytes(8)))
    }

    /// Remembers a block that was replaced, as the newest. That this node acknowledged it once is never forgotten.
    ///
    /// - Parameter content: the block as a run of its own; `nil` if its identity is in the list.
    static func insert(
        _ block: StoredBlock, at height: Int, after previousHash: Hash, replaced: Int64, acknowledged: Bool,
        content: [UInt8]?, on connection: Connection
    ) throws(SQLiteError) {
        let wasAcknowledged = try isAcknowledged(block.hash, on: connection)
        try connection.with(
            """
            INSERT OR REPLACE INTO orphans(\(columns))
            VALUES((SELECT coalesce(max(id), 0) + 1 FROM orphans), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
            """
        ) { statement throws(SQLiteError) in
            try statement.bind(height, at: 1)
            try statement.bind(block.hash, at: 2)
            try statement.bind(block.origin?.hash ?? block.hash, at: 3)
            try statement.bind(block.origin?.height ?? height, at: 4)
            try statement.bind(Int(replaced), at: 5)
            try statement.bind(acknowledged || wasAcknowledged ? 1 : 0, at: 6)
            try statement.bind(previousHash, at: 7)
            if let content { try statement.bind(content, at: 8) } else { statement.bindNull(at: 8) }
            _ = try statement.step()
        }
    }

    /// Whether this node acknowledged an orphan to a client.
    static func isAcknowledged(_ hash: Hash, on connection: Connection) throws(SQLiteError) -> Bool {
        try connection.with("SELECT acknowledged FROM orphans WHERE hash = ?1") { statement throws(SQLiteError) in
            try statement.bind(hash, at: 1)
            return try statement.step() && statement.integer(0) != 0
        }
    }

    /// Keeps of an orphan its hashes only: its identity is in the list.
    static func shrink(_ id: Int, on connection: Connection) throws(SQLiteError) {
        try connection.with("UPDATE orphans SET content = NULL WHERE id = ?1") { statement throws(SQLiteError) in
            try statement.bind(id, at: 1)
            _ = try statement.step()
        }
    }
}
