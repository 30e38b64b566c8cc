// `chaind restore`: makes a database again from a backup and the incremental ones that follow it.

import ArgumentParser
import Chain

/// Restores a backup.
struct Restore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a database from a backup, and from incremental ones that go on from it.",
        discussion: """
            Each incremental backup must go on from the last block of what stands before it. The database is validated \
            whole, and there once it is on disk; none is written over. A node that is started on it fetches from its \
            members what was appended since.

            Prints the height and the hash of the last block.

            Exit status: 0 the database is there, 1 it is not, 2 the backup is no database of chaind or cannot be read, \
            130 or 143 a signal stopped it.
            """)

    @Argument(help: "The full backup.", completion: .file()) var backup: String
    @Argument(help: "Incremental backups, in their order.", completion: .file()) var increments: [String] = []
    @Option(Settings.dataDirectory) var dataDirectory: String?
    @Option(help: "A JSON file with settings, as for serve. (default: none; environment: CHAIND_CONFIG)")
    var config: String?
    @Flag(help: "Print one JSON object, and no progress bar.") var json = false

    func run() async throws {
        try await cancelledBySignal {
            let path = try await databasePath(dataDirectory: dataDirectory, config: config)
            do {
                try await restore(to: path)
            } catch {
                throw copyFailure(error, reading: backup, "nothing was restored")
            }
        }
    }

    private func restore(to path: String) async throws {
        var reader = try IncrementReader(path: backup)
        if let header = try await reader.header() {
            throw CommandError(
                "\(backup): is an incremental backup, of the blocks after \(header.after.height): give the full one first"
            )
        }
        if let slash = path.lastIndex(of: "/") { try makeDirectory(String(path[..<slash])) }
        let bar = BackupBar(isShown: !json)
        defer { bar.erase() }
        let stored = try await BlockList.restore(
            backup: backup, to: path, now: systemSeconds, onProgress: bar.show
        ) { list in
            for increment in increments { try await list.add(incrementAt: increment) }
        }
        bar.erase()
        if json {
            print("{\"file\":\(path.jsonQuoted),\"height\":\(stored.height),\"head_hash\":\"\(stored.hash)\"}")
        } else {
            print("\(path): height \(stored.height), head \(stored.hash)")
        }
    }
}
