// Copies of a database: of one that a node has open, and back again. A copy has its name once it is whole and valid.

import Glibc

/// How far a backup or a restoration is.
public struct BackupProgress: Hashable, Sendable {
    /// What is being done.
    public enum Stage: Sendable {
        case copying
        case validating
    }

    /// What is being done.
    public let stage: Stage
    /// Blocks so far.
    public let blocks: Int
    /// Blocks in all, as far as is known.
    public let blocksTotal: Int
}

extension BlockList {
    /// Copies a database, which a node may have open, to a file that no process has open. What the node appends meanwhile
    /// is in the copy up to some block; what it has acknowledged before the call is in it for certain.
    ///
    /// - Parameters:
    ///   - path: the database.
    ///   - target: has its name once it is whole, found valid, and on disk; no file may have that name.
    ///   - records: those of `setRecord` that are not copied, since they name this database and no other.
    ///   - onProgress: called now and then, on any thread.
    /// - Returns: the height and the hash of the last block that the copy has.
    /// - Throws: `BackupError`; `OpenError`; `ReadError`; `CancellationError`. Nothing of the target is there then.
    public static func backUp(
        path: String, to target: String, leavingOut records: [String] = [],
        onProgress: @escaping @Sendable (BackupProgress) -> Void
    ) async throws -> (height: Int, hash: Hash) {
        // Nobody opens it under this name to write.
        try await place(at: target, keepsLockFile: false, onProgress: onProgress) { newPath in
            let copy = BackupCopy(source: path, target: newPath)
            do {
                try await copy.begin()
                try await finish(copy, leavingOut: records, onProgress: onProgress)
                try await copy.end()
            } catch {
                await copy.close()
                throw error
            }
        }
    }

    private static func finish(
        _ copy: BackupCopy, leavingOut records: [String], onProgress: @Sendable (BackupProgress) -> Void
    ) async throws {
        var waits = 0
        while true {
            try Task.checkCancellation()
            switch try await copy.step(leavingOut: records) {
            case .copied(let blocks, let total):
                onProgress(BackupProgress(stage: .copying, blocks: blocks, blocksTotal: total))
            case .waiting:
                waits += 1
                guard waits < waitsMax else { throw BackupError.listChanged }
                try await Task.sleep(for: .milliseconds(200))
            case .done: return
            }
        }
    }

    /// How often a copy waits for a node to have gone through what was replaced: a minute.
    private static let waitsMax = 300

    /// Makes a database again from a file that `backUp` has made.
    ///
    /// - Parameters:
    ///   - backup: the file; it is left as it is.
    ///   - path: has its name once it is whole, found valid, and on disk; no file may have that name.
    ///   - options: those with which the list is opened for `fill`.
    ///   - now: the time for what `fill` appends, in seconds since the Unix epoch.
    ///   - onProgress: called now and then, on any thread.
    ///   - fill: is given the list before that, to append to it.
    /// - Returns: the height and the hash of the head.
    /// - Throws: as `backUp`; what `fill` throws.
    public static func restore(
        backup: String, to path: String, options: BlockListOptions = .init(), now: @escaping @Sendable () -> Int64,
        onProgress: @escaping @Sendable (BackupProgress) -> Void, _ fill: (BlockList) async throws -> Void
    ) async throws -> (height: Int, hash: Hash) {
        guard try StoreFile.exists(path: backup) else {
            throw OpenError(path: backup, reason: .fileSystem(operation: "opening it", code: ENOENT))
        }
        // What a process that had it open has left there belongs to it, and is not in it.
        guard StoreFile.walSizeBytes(path: backup) == 0 else {
            throw OpenError(path: backup, reason: .inUse(processID: nil))
        }
        return try await place(at: path, keepsLockFile: true, onProgress: onProgress) { newPath in
            try await blocking { () throws(OpenError) in try StoreFile.copyFile(backup, to: newPath) }
            defer { StoreLock.remove(path: newPath) }
            try await withOpen(path: newPath, options: options, now: now, fill)
        }
    }

    /// Makes a database beside a name, validates it whole, and gives it that name.
    private static func place(
        at path: String, keepsLockFile: Bool, onProgress: @escaping @Sendable (BackupProgress) -> Void,
        _ make: (_ newPath: String) async throws -> Void
    ) async throws -> (height: Int, hash: Hash) {
        // Before the lock, which leaves a file beside it.
        try StoreFile.checkIsFree(path: path)
        let lock = try StoreLock(path: path)
        defer {
            if !keepsLockFile { StoreLock.remove(path: path) }
            lock.release()
        }
        try StoreFile.checkIsFree(path: path)
        let newPath = path + ".partial"
        // What a kill left.
        try StoreFile.remove(newPath, for: path)
        do {
            try await make(newPath)
            let report = try await verify(path: newPath) { progress in
                onProgress(
                    BackupProgress(
                        stage: .validating, blocks: progress.blocks, blocksTotal: progress.blocksTotal))
            }
            if let fault = report.fault { throw BackupError.damaged(height: fault.height) }
            if let fault = try await structureFault(path: newPath) { throw BackupError.damagedTable(fault) }
            let stored = try StoredList(closedAt: newPath)
            let head = try await stored.head()
            await stored.close()
            try Task.checkCancellation()
            try await blocking { () throws(OpenError) in try StoreFile.place(newPath, at: path) }
            return head
        } catch {
            try StoreFile.remove(newPath, for: path)
            throw error
        }
    }

    /// Calls `body`, which waits for the disk, on a thread of its own.
    private static func blocking(_ body: @escaping @Sendable () throws(OpenError) -> Void) async throws(OpenError) {
        try await withCheckedContinuation { continuation in
            ThreadExecutor().perform { continuation.resume(returning: Result(catching: body)) }
        }.get()
    }
}
