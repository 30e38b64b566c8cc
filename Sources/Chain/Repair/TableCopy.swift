// Copies the rows that can be read of a table whose pages are damaged.

import CSystemLibs

/// A table beside that of runs, which goes into a rebuilt file as it is.
struct TableCopy {
    /// How much of a table could be read.
    enum Extent {
        case all
        /// Not what stood between two rows in the order of the key; `nil` at either end of the table.
        case allBut(after: [UInt8]?, before: [UInt8]?)
    }

    /// All that is copied. (The segments are made anew, branches that were being received are fetched again, and the origins
    /// are those of the blocks.)
    static let tables = [
        TableCopy(name: "leftovers", key: ["branch", "first"], columns: 5),
        TableCopy(name: "orphans", key: ["id"], columns: 9),
        TableCopy(name: "idempotency", key: ["key"], columns: 5, index: "idempotency_taken"),
        TableCopy(name: "appends", key: ["position"], columns: 7, index: "appends_id"),
        TableCopy(name: "properties", key: ["name"], columns: 2),
        TableCopy(name: "repairs", key: ["id"], columns: 5),
    ]

    let name: String
    let key: [String]
    private let columns: Int
    /// An index that has every row.
    private var index: String?

    /// Copies from both ends, up to what cannot be read: a page that is lost takes along what stands below it, which is
    /// next to each other.
    func copy(from source: Connection, to target: Connection) throws(SQLiteError) -> Extent {
        let first = try copyRows(ascending: true, from: source, to: target)
        if first.isWhole {
            // A page that is another one's holds rows as well, but not those that belong there.
            let fault = try source.structureFault(table: name)
            if fault == nil { return .all }
            return try isIndexLost(source) ? .all : .allBut(after: nil, before: nil)
        }
        let last = try copyRows(ascending: false, from: source, to: target)
        return .allBut(after: first.lastKey, before: last.lastKey)
    }

    /// Whether it is the index that cannot be read: that hides no rows.
    private func isIndexLost(_ source: Connection) throws(SQLiteError) -> Bool {
        guard let index else { return false }
        do throws(SQLiteError) {
            _ = try source.number("SELECT count(*) FROM \(name) INDEXED BY \(index)")
            return false
        } catch {
            guard error.isDamage else { throw error }
            return true
        }
    }

    private func copyRows(
        ascending: Bool, from source: Connection, to target: Connection
    ) throws(SQLiteError) -> (isWhole: Bool, lastKey: [UInt8]?) {
        let order = key.map { "\($0) \(ascending ? "ASC" : "DESC")" }.joined(separator: ", ")
        let places = (1...columns).map { "?\($0)" }.joined(separator: ", ")
        var lastKey: [UInt8]?
        do throws(SQLiteError) {
            try source.with("SELECT * FROM \(name) ORDER BY \(order)") { row throws(SQLiteError) in
                while try row.step() {
                    try target.with("INSERT OR IGNORE INTO \(name) VALUES(\(places))") { copy throws(SQLiteError) in
                        try copy.bind(rowOf: row)
                        _ = try copy.step()
                    }
                    lastKey = [UInt8](try row.bytes(0))
                }
            }
            return (true, lastKey)
        } catch {
            // A row that does not hold what belongs into its table is damage too.
            guard error.isDamage || error.primaryCode == SQLITE_CONSTRAINT else { throw error }
            return (false, lastKey)
        }
    }
}
