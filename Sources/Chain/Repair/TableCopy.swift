// Copies what can be read of a table whose pages are damaged, in SQL alone, so that it need not know what is in it.

/// Copies tables from an attached database, whose schema is `damaged`.
enum TableCopy {
    /// What is copied when a file is rebuilt, with the columns of the keys. (The segments are made anew, branches that
    /// were being received are fetched again, and the origins are those of the blocks.)
    static let tables: [(name: String, key: [String])] = [
        ("leftovers", ["branch", "first"]), ("orphans", ["id"]), ("idempotency", ["key"]), ("properties", ["name"]),
        ("repairs", ["id"]),
    ]

    /// Copies the rows that can be read.
    ///
    /// - Returns: whether it was all of them.
    static func copy(_ table: String, key: [String], on connection: Connection) throws(SQLiteError) -> Bool {
        do throws(SQLiteError) {
            try connection.execute("INSERT OR IGNORE INTO main.\(table) SELECT * FROM damaged.\(table)")
            return true
        } catch {
            guard error.isDamage else { throw error }
        }
        // Row by row from both ends, up to what cannot be read.
        for isAscending in [true, false] {
            do throws(SQLiteError) {
                try copyRows(table, key: key, isAscending: isAscending, on: connection)
            } catch {
                guard error.isDamage else { throw error }
            }
        }
        return false
    }

    private static func copyRows(
        _ table: String, key: [String], isAscending: Bool, on connection: Connection
    ) throws(SQLiteError) {
        let columns = key.joined(separator: ", ")
        let order = key.map { "\($0) \(isAscending ? "ASC" : "DESC")" }.joined(separator: ", ")
        let next = "INSERT INTO temp.next SELECT \(columns) FROM damaged.\(table)"
        let isBeyond = "(\(columns)) \(isAscending ? ">" : "<") (SELECT \(columns) FROM temp.place)"
        try connection.execute(
            """
            DROP TABLE IF EXISTS temp.place; CREATE TEMP TABLE place(\(columns));
            DROP TABLE IF EXISTS temp.next; CREATE TEMP TABLE next(\(columns));
            \(next) ORDER BY \(order) LIMIT 1
            """)
        while try connection.number("SELECT count(*) FROM temp.next") > 0 {
            do throws(SQLiteError) {
                try connection.execute(
                    """
                    INSERT OR IGNORE INTO main.\(table) SELECT * FROM damaged.\(table)
                    WHERE (\(columns)) = (SELECT \(columns) FROM temp.next)
                    """)
            } catch {
                // The key can be read and the rest of the row cannot.
                guard error.isDamage else { throw error }
            }
            try connection.execute(
                """
                DELETE FROM temp.place; INSERT INTO temp.place SELECT * FROM temp.next; DELETE FROM temp.next;
                \(next) WHERE \(isBeyond) ORDER BY \(order) LIMIT 1
                """)
        }
    }
}
