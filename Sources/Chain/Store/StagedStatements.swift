// The statements on the table of staged branches: what was received for a fork and is not part of the list yet.

/// A branch that is being received.
struct StagedBranch: Sendable {
    let branch: Int
    /// The height of its first block.
    let first: Int
    /// The hash before its first block.
    let previousHash: Hash
    /// Its last received block. What stands in the branch after it was appended again here, and is not received.
    var head: Head
    /// When the last part of it came, in whole seconds since the Unix epoch.
    var progressed: Int64
}

/// Reads and writes the staged branches.
enum StagedStatements {
    private static let columns = "branch, first, previous_hash, head, head_hash, head_timestamp, progressed"

    /// All staged branches.
    static func all(on connection: Connection) throws(SQLiteError) -> [StagedBranch] {
        try connection.with("SELECT \(columns) FROM staged ORDER BY branch") { statement throws(SQLiteError) in
            var found: [StagedBranch] = []
            while try statement.step() {
                found.append(
                    StagedBranch(
                        branch: statement.integer(0), first: statement.integer(1),
                        previousHash: try statement.hash(2),
                        head: Head(
                            height: statement.integer(3), hash: try statement.hash(4),
                            timestamp: Int64(statement.integer(5))),
                        progressed: Int64(statement.integer(6))))
            }
            return found
        }
    }

    /// Remembers how far a branch is.
    static func set(_ staged: StagedBranch, on connection: Connection) throws(SQLiteError) {
        try connection.with("INSERT OR REPLACE INTO staged(\(columns)) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)") {
            statement throws(SQLiteError) in
            try statement.bind(staged.branch, at: 1)
            try statement.bind(staged.first, at: 2)
            try statement.bind(staged.previousHash, at: 3)
            try statement.bind(staged.head.height, at: 4)
            try statement.bind(staged.head.hash, at: 5)
            try statement.bind(Int(staged.head.timestamp), at: 6)
            try statement.bind(Int(staged.progressed), at: 7)
            _ = try statement.step()
        }
    }

    /// Forgets a branch; its runs stay.
    static func delete(_ branch: Int, on connection: Connection) throws(SQLiteError) {
        try connection.with("DELETE FROM staged WHERE branch = ?1") { statement throws(SQLiteError) in
            try statement.bind(branch, at: 1)
            _ = try statement.step()
        }
    }

    /// A branch that nothing uses: the next one after the last, from 1 on again after the highest.
    static func newBranch(on connection: Connection) throws(SQLiteError) -> Int {
        var branch = try PropertyStatements.number(PropertyStatements.lastBranch, on: connection)
        repeat {
            branch = branch + 1 < RunKey.branchesMax ? branch + 1 : 1
        } while try RunStatements.isInUse(branch: branch, on: connection)
        try PropertyStatements.set(PropertyStatements.lastBranch, to: branch, on: connection)
        return branch
    }
}
