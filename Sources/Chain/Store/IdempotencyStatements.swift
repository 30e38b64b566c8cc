// The statements on the table of idempotency keys.

/// Reads and writes the keys of appends.
enum IdempotencyStatements {
    /// What a key stands for.
    struct Entry {
        /// The hash of the request; `nil` if what is stored of it is damaged.
        let requestHash: Hash?
        /// The height that the first block had.
        let firstHeight: Int
        /// The identities of the blocks, in order; `nil` if what is stored of them is damaged.
        let identities: [Hash]?
    }

    /// What a key that is still remembered stands for; `nil` if none is.
    ///
    /// - Throws: `SQLiteError`, damage of a page among them. Damage of a value is in the entry, and not an absent one.
    static func find(_ key: String, now: Int64, on connection: Connection) throws(SQLiteError) -> Entry? {
        try connection.with("SELECT request, position, identities FROM idempotency WHERE key = ?1 AND taken > ?2") {
            statement throws(SQLiteError) in
            try statement.bind(key, at: 1)
            try statement.bind(Int(now - Idempotency.lifetimeSeconds), at: 2)
            guard try statement.step() else { return nil }
            let requestHash = Hash(bytes: try statement.bytes(0))
            let firstHeight = statement.integer(1)
            let bytes = try statement.bytes(2)
            return Entry(requestHash: requestHash, firstHeight: firstHeight, identities: identities(bytes))
        }
    }

    /// The hashes that bytes hold; `nil` unless they hold nothing else. Part of them must not be taken for all: the answer
    /// would lack blocks.
    private static func identities(_ bytes: UnsafeRawBufferPointer) -> [Hash]? {
        guard let base = bytes.baseAddress, bytes.count > 0, bytes.count % Hash.sizeBytes == 0 else { return nil }
        return stride(from: 0, to: bytes.count, by: Hash.sizeBytes).map { Hash(loading: base + $0) }
    }

    /// Remembers a key, and forgets some of those that are over.
    static func insert(
        _ idempotency: Idempotency, taken: Int64, firstHeight: Int, identities: [Hash], on connection: Connection
    ) throws(SQLiteError) {
        // More than one a key, so that the old ones do end; few, so that no append waits for them.
        try connection.with(
            "DELETE FROM idempotency WHERE key IN (SELECT key FROM idempotency WHERE taken <= ?1 ORDER BY taken LIMIT 10)"
        ) { statement throws(SQLiteError) in
            try statement.bind(Int(taken - Idempotency.lifetimeSeconds), at: 1)
            _ = try statement.step()
        }
        try connection.with(
            "INSERT OR REPLACE INTO idempotency(key, request, taken, position, identities) VALUES(?1, ?2, ?3, ?4, ?5)"
        ) { statement throws(SQLiteError) in
            try statement.bind(idempotency.key, at: 1)
            try statement.bind(idempotency.requestHash, at: 2)
            try statement.bind(Int(taken), at: 3)
            try statement.bind(firstHeight, at: 4)
            try statement.bind(identities.flatMap(\.bytes), at: 5)
            _ = try statement.step()
        }
    }
}
