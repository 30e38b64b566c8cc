// Idempotency keys that may have been lost with a page: a retry with one of them must not append twice without a word.

/// Which keys a rebuilding could not read, and when.
struct LostKeys {
    private static let time = "lost_keys_time"
    private static let after = "lost_keys_after"
    private static let before = "lost_keys_before"

    /// When the file was rebuilt, in whole seconds since the Unix epoch.
    private let taken: Int64
    /// The keys next to them that were read; empty at the ends of the table.
    private let after: [UInt8]
    private let before: [UInt8]

    init(_ extent: TableCopy.Extent, now: Int64) {
        taken = now
        if case .allBut(let after, let before) = extent {
            self.after = after ?? []
            self.before = before ?? []
        } else {
            after = []
            before = []
        }
    }

    /// Remembers them with the list.
    func keep(on connection: Connection) throws(SQLiteError) {
        try PropertyStatements.set(LostKeys.time, to: Int(taken), on: connection)
        try PropertyStatements.set(LostKeys.after, to: after, on: connection)
        try PropertyStatements.set(LostKeys.before, to: before, on: connection)
    }

    /// Whether a key that is not there may have been lost, and be remembered still.
    static func mayHold(_ key: String, now: Int64, on connection: Connection) throws(SQLiteError) -> Bool {
        let taken = try PropertyStatements.number(time, on: connection)
        guard taken > 0, Int64(taken) > now - Idempotency.lifetimeSeconds else { return false }
        let after = try PropertyStatements.bytes(after, on: connection) ?? []
        let before = try PropertyStatements.bytes(before, on: connection) ?? []
        let key = Array(key.utf8)
        return after.lexicographicallyPrecedes(key) && (before.isEmpty || key.lexicographicallyPrecedes(before))
    }
}
