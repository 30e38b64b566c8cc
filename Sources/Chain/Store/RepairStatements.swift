// The statements on the table of repairs: what was damaged, and what took its place.

/// Reads and writes the record of repairs.
enum RepairStatements {
    /// Repairs that are kept; the oldest go first.
    static let repairsMax = 1_000

    /// Adds to the record.
    static func insert(_ repairs: [Repair], on connection: Connection) throws(SQLiteError) {
        for repair in repairs {
            try connection.with("INSERT INTO repairs(time, height, fault, source) VALUES(?1, ?2, ?3, ?4)") {
                statement throws(SQLiteError) in
                try statement.bind(Int(repair.time), at: 1)
                try statement.bind(repair.height, at: 2)
                try statement.bind(repair.fault, at: 3)
                try statement.bind(repair.source, at: 4)
                _ = try statement.step()
            }
        }
        try connection.execute(
            "DELETE FROM repairs WHERE id <= (SELECT max(id) - \(repairsMax) FROM repairs)")
    }

    /// The last repairs, newest first.
    static func last(_ limit: Int, on connection: Connection) throws(SQLiteError) -> [Repair] {
        try connection.with("SELECT time, height, fault, source FROM repairs ORDER BY id DESC LIMIT ?1") {
            statement throws(SQLiteError) in
            try statement.bind(limit, at: 1)
            var repairs: [Repair] = []
            while try statement.step() {
                repairs.append(
                    Repair(
                        time: Int64(statement.integer(0)), height: statement.integer(1),
                        fault: try statement.text(2), source: try statement.text(3)))
            }
            return repairs
        }
    }
}
