// Crashes between any two transactions, also within one step of a node: before a commit, the files are kept aside as a
// crash at that moment would have left them.

import CSystemLibs
import Foundation
import Synchronization

/// The commits of one database file. SQLite calls it on the thread of the writer.
final class CrashPoint: Sendable {
    private struct State {
        /// How many commits go through before the crash; `nil` without one.
        var commitsLeft: Int?
        var isReached = false
        var failure: String?
    }

    private let files: DatabaseFiles
    private let imagePath: String
    private let state = Mutex(State())

    /// - Parameter imagePath: where the files are kept as the crash leaves them.
    init(path: String, imagePath: String) {
        files = DatabaseFiles(path: path)
        self.imagePath = imagePath
    }

    /// Whether the node has crashed: what it did in its transactions and sent since then has not happened.
    var isReached: Bool { state.withLock { $0.isReached } }

    /// Why the files could not be kept.
    var failure: String? { state.withLock { $0.failure } }

    /// Crashes before one of the next commits; the first one after 0.
    func arm(afterCommits commits: Int) { state.withLock { $0.commitsLeft = commits } }

    /// Does not crash.
    func disarm() { state.withLock { $0.commitsLeft = nil } }

    private func commits() {
        state.withLock { state in
            guard let commitsLeft = state.commitsLeft else { return }
            state.commitsLeft = commitsLeft > 0 ? commitsLeft - 1 : nil
            guard commitsLeft == 0 else { return }
            state.isReached = true
            do {
                try files.copy(to: imagePath)
            } catch {
                state.failure = "\(error)"
            }
        }
    }

    // MARK: SQLite

    private static let points = Mutex<[String: CrashPoint]>([:])

    /// Begins to count the commits of each connection that is opened to the file from now on.
    func install() {
        _ = CrashPoint.hook
        CrashPoint.points.withLock { $0[files.path] = self }
    }

    /// After the last connection to the file was closed.
    func remove() { CrashPoint.points.withLock { $0[files.path] = nil } }

    /// SQLite calls this for each connection that is opened (https://www.sqlite.org/c3ref/auto_extension.html).
    private static let hook: Int32 = {
        typealias Entry = @convention(c) (OpaquePointer?, OpaquePointer?, OpaquePointer?) -> Int32
        let entry: Entry = { connection, _, _ in
            guard let name = sqlite3_db_filename(connection, "main"),
                let point = CrashPoint.points.withLock({ $0[String(cString: name)] })
            else { return SQLITE_OK }
            // The registry holds the point until its file is closed.
            sqlite3_commit_hook(
                connection,
                { point in
                    guard let point else { return 0 }
                    Unmanaged<CrashPoint>.fromOpaque(point).takeUnretainedValue().commits()
                    return 0
                }, Unmanaged.passUnretained(point).toOpaque())
            return SQLITE_OK
        }
        return sqlite3_auto_extension(unsafeBitCast(entry, to: (@convention(c) () -> Void).self))
    }()
}

/// A database file and its WAL, of which copies are made and put back while nobody writes.
struct DatabaseFiles: Sendable {
    let path: String

    var exists: Bool { FileManager.default.fileExists(atPath: path) }

    func copy(to other: String) throws {
        try DatabaseFiles(path: other).remove()
        for suffix in ["", "-wal"] where FileManager.default.fileExists(atPath: path + suffix) {
            try FileManager.default.copyItem(atPath: path + suffix, toPath: other + suffix)
        }
    }

    func remove() throws {
        for suffix in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: path + suffix) {
            try FileManager.default.removeItem(atPath: path + suffix)
        }
    }
}
