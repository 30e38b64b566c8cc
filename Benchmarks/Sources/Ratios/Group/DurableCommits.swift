// What durability costs on this disk, and how many commits a node makes.

import Foundation

enum DurableCommits {
    /// The times of an `fdatasync` after a write of two pages, as many as an append of one block adds to a WAL at least.
    ///
    /// - Returns: milliseconds.
    static func fsyncTimes(count: Int, folder: String) throws -> Figures {
        let path = folder + "/fsync"
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        guard file >= 0 else { throw MeasurementError("\(path): \(errno)") }
        defer {
            close(file)
            unlink(path)
        }
        let pages = [UInt8](repeating: 1, count: 8_192)
        var times = Figures()
        for _ in 0..<count {
            let start = ContinuousClock.now
            guard write(file, pages, pages.count) == pages.count, fdatasync(file) == 0 else {
                throw MeasurementError("fdatasync: \(errno)")
            }
            times.add(ContinuousClock.now.seconds(since: start) * 1_000)
            // As long as the node rests between two appends.
            usleep(5_000)
        }
        return times
    }

    /// How many transactions the WAL of a database holds: a frame that ends one has the size of the database in it, and
    /// a frame of an older round has another salt. https://www.sqlite.org/fileformat2.html#the_write_ahead_log
    static func inWAL(of database: String) throws -> Int {
        let wal = [UInt8](try Data(contentsOf: URL(fileURLWithPath: database + "-wal"), options: .alwaysMapped))
        guard wal.count >= 32 else { return 0 }
        let pageSizeBytes = wal[8..<12].reduce(0) { $0 << 8 | Int($1) }
        let starts = stride(from: 32, through: wal.count - 24 - pageSizeBytes, by: 24 + pageSizeBytes)
        return starts.prefix { wal[($0 + 8)..<($0 + 16)].elementsEqual(wal[16..<24]) }
            .count { wal[($0 + 4)..<($0 + 8)].contains { $0 != 0 } }
    }
}
