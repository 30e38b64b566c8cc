// What SQLite answers when it refuses, as one typed error.

import CSystemLibs

/// An error that SQLite reported. It never carries a value that was bound or read.
public struct SQLiteError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The extended result code (https://www.sqlite.org/rescode.html).
    public let extendedCode: Int32
    /// What was being done, for the operator.
    public let operation: String

    init(_ extendedCode: Int32, _ operation: String) {
        self.extendedCode = extendedCode
        self.operation = operation
    }

    /// The primary result code: the low byte of the extended one.
    public var primaryCode: Int32 { extendedCode & 0xFF }

    /// The disk has no room for the transaction, which is rolled back.
    public var isDiskFull: Bool { primaryCode == SQLITE_FULL }

    /// A page cannot be read, or does not hold what it should. (`SQLITE_IOERR_NOMEM` is no damage.)
    public var isDamage: Bool {
        [SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_IOERR].contains(primaryCode) && extendedCode != SQLITE_IOERR | 12 << 8
    }

    /// SQLite's name for the error, with the operation.
    public var description: String {
        let name = sqlite3_errstr(extendedCode).map { String(cString: $0) } ?? "unknown error"
        return "\(operation): \(name) (SQLite \(extendedCode))"
    }
}
