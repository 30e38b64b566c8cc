// How a rebuilt file takes the place of a damaged one, which is kept.

import CSystemLibs
import Glibc

extension StoreFile {
    /// Damaged files that are kept of one database.
    private static let keptMax = 10

    /// Moves the WAL of a file whose structure is damaged into it.
    static func emptyWAL(ofDamaged path: String) throws(SQLiteError) {
        let connection = try Connection(path: path, access: .damaged(writable: true))
        defer { connection.close() }
        try connection.emptyWAL()
    }

    /// Where the next damaged file is kept. What a kill left there is another name of the one that still is in its place.
    static func keptPath(_ path: String) -> String {
        func kept(_ number: Int) -> String { path + (number == 1 ? ".damaged" : ".damaged-\(number)") }
        func isFree(_ kept: String) -> Bool {
            var own = stat()
            var other = stat()
            return stat(kept, &other) != 0 || stat(path, &own) == 0 && own.st_ino == other.st_ino
        }
        // On a disk that goes on failing the last one makes room.
        return (1..<keptMax).map(kept).first(where: isFree) ?? kept(keptMax)
    }

    /// Puts a closed database in the place of another whose WAL is empty, and keeps that one. There is a whole database at
    /// `path` at every moment. The caller holds the lock, and nobody opens the file meanwhile.
    static func replace(_ path: String, by newPath: String, keeping keptPath: String) throws(OpenError) {
        try unlinkFiles([keptPath], for: path)
        guard link(path, keptPath) == 0 else {
            throw OpenError(path: path, reason: .fileSystem(operation: "keeping it as \(keptPath)", code: errno))
        }
        // Who still reads the old file has these open, and must not share them with the new one.
        try unlinkFiles([path + "-wal", path + "-shm"], for: path)
        try move(newPath, to: path)
    }
}
