// How a database that nobody has open is read without changing anything or leaving anything beside it.

import Glibc

/// A database that nobody has open, and the way to read it.
struct OfflineFile {
    /// The parameters to open it with (https://www.sqlite.org/uri.html).
    let parameters: String
    private let path: String
    private let madeIndex: Bool

    /// - Throws: `OpenError` for a file that is missing, not ours, or in use.
    init(path: String) throws(OpenError) {
        self.path = path
        guard try StoreFile.exists(path: path) else {
            throw OpenError(path: path, reason: .fileSystem(operation: "opening it", code: ENOENT))
        }
        try StoreLock.checkFree(path: path)
        // A WAL that was killed before its first frame is a header of 32 bytes. It holds nothing, and SQLite would try for
        // ten seconds to agree with it about the index that it makes from it.
        guard StoreFile.walSizeBytes(path: path) > 32 else {
            // Nothing but the file counts, so SQLite needs no locks and no files of its own.
            parameters = "mode=ro&immutable=1"
            madeIndex = false
            return
        }
        // A process was killed. With an index that it may not write and that nobody has locked, SQLite makes one of its
        // own in memory from the WAL (https://www.sqlite.org/wal.html#read_only_databases). It wants the file, though.
        parameters = "mode=ro&readonly_shm=1"
        let descriptor = Glibc.open(path + "-shm", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        madeIndex = descriptor >= 0
        if madeIndex { Glibc.close(descriptor) }
    }

    /// Removes what had to be made.
    func close() {
        if madeIndex { unlink(path + "-shm") }
    }
}
