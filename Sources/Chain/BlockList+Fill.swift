// Fills an empty list all at once: for migrations that must not be seen half done.

extension BlockList {
    /// Fills an empty list all at once, for migrations that must not be seen half done: calls `fill` with a list beside the
    /// database at `path`, and puts it in that one's place when it is done. If `fill` throws or the process is killed, the
    /// database at `path` is as it was.
    ///
    /// - Parameters:
    ///   - path: the database, which is created if there is none.
    ///   - options: the limits of the list that is filled.
    ///   - now: gives the time, in whole seconds since the Unix epoch.
    ///   - fill: appends to the list that it is given, and does not close it.
    /// - Throws: ``OpenError`` if another process has the database at `path` or it holds more than the genesis; what
    ///   `fill` throws; ``SQLiteError``.
    public static func fillEmpty(
        path: String, options: BlockListOptions = .init(), now: @escaping @Sendable () -> Int64,
        _ fill: (BlockList) async throws -> Void
    ) async throws {
        let target = try await open(path: path, options: options, now: now)
        let height = target.status.height
        // Closed, so that no WAL of the old file stays beside the new one. Nobody else may have it meanwhile.
        defer { target.lock.release() }
        try await target.closeDatabase()
        guard height == 0 else { throw OpenError(path: path, reason: .notEmpty(height: height)) }
        let newPath = path + ".filling"
        try StoreFile.remove(newPath, for: path)
        defer { StoreLock.remove(path: newPath) }
        do {
            try await withOpen(path: newPath, options: options, now: now, fill)
            guard StoreFile.walSizeBytes(path: path) == 0, StoreFile.walSizeBytes(path: newPath) == 0 else {
                throw OpenError(path: path, reason: .inUse(processID: nil))
            }
            try StoreFile.move(newPath, to: path)
        } catch {
            try StoreFile.remove(newPath, for: path)
            throw error
        }
    }

    /// Opens a list for as long as `body` works on it.
    static func withOpen(
        path: String, options: BlockListOptions, now: @escaping @Sendable () -> Int64,
        _ body: (BlockList) async throws -> Void
    ) async throws {
        let list = try await open(path: path, options: options, now: now)
        do {
            try await body(list)
        } catch {
            try await list.close()
            throw error
        }
        try await list.close()
    }
}
