// How a database that is made aside gets its name, where there must be none yet.

import CSystemLibs
import Glibc

extension StoreFile {
    /// How a database is opened for reading that another process may have open. Read-only, so that this process never takes
    /// away the WAL of a node that starts meanwhile; where none runs, SQLite leaves an empty one and its index.
    static let sharedParameters = "mode=ro"

    /// Opens a database for reading that another process may have open.
    ///
    /// - Throws: `OpenError` for a file that is missing, not ours, or not of this version.
    static func openShared(path: String) throws(OpenError) -> Connection {
        guard try exists(path: path) else {
            throw OpenError(path: path, reason: .fileSystem(operation: "opening it", code: ENOENT))
        }
        let version: Int
        let connection: Connection
        do throws(SQLiteError) {
            connection = try Connection(path: path, access: .offline(parameters: sharedParameters))
            version = try connection.number("PRAGMA user_version")
        } catch {
            throw OpenError(path: path, reason: .database(error))
        }
        guard version == formatVersion else { throw OpenError(path: path, reason: .earlierVersion(found: version)) }
        return connection
    }

    /// Refuses a name that a file has, or what SQLite keeps beside one: it would be taken for part of the new file.
    static func checkIsFree(path: String) throws(OpenError) {
        for name in [path, path + "-wal", path + "-journal"] {
            var attributes = stat()
            if lstat(name, &attributes) == 0 { throw OpenError(path: name, reason: .exists) }
        }
    }

    /// Syncs a closed database and gives it its name, durably, unless a file has it. The caller holds the lock.
    static func place(_ source: String, at path: String) throws(OpenError) {
        let descriptor = Glibc.open(source, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw OpenError(path: path, reason: .fileSystem(operation: "opening \(source)", code: errno))
        }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else {
            throw OpenError(path: path, reason: .fileSystem(operation: "syncing \(source)", code: errno))
        }
        // Unlike a rename, a link is not made over a file that came meanwhile.
        guard link(source, path) == 0 else {
            throw OpenError(
                path: path,
                reason: errno == EEXIST ? .exists : .fileSystem(operation: "naming \(source)", code: errno))
        }
        try unlinkFiles([source], for: path)
        try syncFolder(of: path)
    }

    /// Copies a file byte for byte.
    static func copyFile(_ source: String, to path: String) throws(OpenError) {
        func failure(_ operation: String) -> OpenError {
            OpenError(path: path, reason: .fileSystem(operation: operation, code: errno))
        }
        let input = Glibc.open(source, O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { throw failure("opening \(source)") }
        defer { close(input) }
        let output = Glibc.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard output >= 0 else { throw failure("creating it") }
        defer { close(output) }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = read(input, &buffer, buffer.count)
            if count == 0 { return }
            guard count > 0 else { throw failure("reading \(source)") }
            var written = 0
            while written < count {
                let result = buffer[written..<count].withUnsafeBytes { write(output, $0.baseAddress, $0.count) }
                guard result > 0 else { throw failure("writing it") }
                written += result
            }
        }
    }
}
