// `chaind backup`: a copy of a database, whether a node runs on it or not, or of what was appended since an earlier one.

import ArgumentParser
import Chain
import Configuration
import Glibc
import Synchronization

/// Backs a database up.
struct Backup: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Copy a database to a file, while a node runs on it or not.",
        discussion: """
            The file is a database as nodes and chaind verify open it. It has the list up to some block, and all that was \
            acknowledged before the command began; it is validated whole, and there once it is on disk. No file is \
            written over. Run it as the user of the node.

            --since makes an incremental backup: the blocks after the last one of an earlier backup, full or incremental. \
            It is refused where the list does not have that block any more, and the height is told at which the two part.

            Prints the height and the hash of the last block: keep them elsewhere.

            Exit status: 0 the file is there, 1 it is not, 2 there is no database of chaind that can be read, 130 or 143 \
            a signal stopped it.
            """)

    @Option(help: ArgumentHelp("The file to make.", valueName: "file"), completion: .file()) var to: String
    @Option(help: ArgumentHelp("An earlier backup, to copy what follows it.", valueName: "file"), completion: .file())
    var since: String?
    @Option(Settings.dataDirectory) var dataDirectory: String?
    @Option(help: "A JSON file with settings, as for serve. (default: none; environment: CHAIND_CONFIG)")
    var config: String?
    @Flag(help: "Print one JSON object, and no progress bar.") var json = false

    func run() async throws {
        try await cancelledBySignal {
            let path = try await databasePath(dataDirectory: dataDirectory, config: config)
            do {
                if let since { try await backUp(path, since: since) } else { try await backUp(path) }
            } catch {
                throw copyFailure(error, reading: path, "nothing was backed up")
            }
        }
    }

    private func backUp(_ path: String) async throws {
        let bar = BackupBar(isShown: !json)
        defer { bar.erase() }
        let stored = try await BlockList.backUp(
            path: path, to: to, leavingOut: [Consensus.databaseRecord], onProgress: bar.show)
        bar.erase()
        tell(BlockPoint(height: stored.height, hash: stored.hash), after: nil)
    }

    private func backUp(_ path: String, since: String) async throws {
        guard access(to, F_OK) != 0 else { throw CommandError("\(to): is there already, and is not written over") }
        let earlier = try await EarlierBackup(path: since)
        let bar = ProgressBar(label: "copying", isShown: StandardError.isTerminal && !json)
        defer { bar.erase() }
        let writer = IncrementWriter(databasePath: path, targetPath: to, earlier: earlier)
        let head = try await writer.run { bar.show(.init(blocks: $0, done: $0, total: $1)) }
        bar.erase()
        tell(head, after: earlier.head)
    }

    private func tell(_ head: BlockPoint, after: BlockPoint?) {
        if json {
            let since = after.map { ",\"since\":{\"height\":\($0.height),\"hash\":\"\($0.hash)\"}" } ?? ""
            print("{\"file\":\(to.jsonQuoted),\"height\":\(head.height),\"head_hash\":\"\(head.hash)\"\(since)}")
        } else {
            let blocks = after.map { "blocks after \($0.height), " } ?? ""
            print("\(to): \(blocks)height \(head.height), head \(head.hash)")
        }
    }
}

/// Says why a copy was not made.
///
/// - Parameter path: what was copied: 2 is the exit status where that is not to be read.
/// - Returns: the error to throw.
func copyFailure(_ error: any Error, reading path: String, _ consequence: String) -> any Error {
    switch error {
    case is CancellationError: return error
    case let error as OpenError where error.path == path, BackupError.file(let error) where error.path == path:
        StandardError.say("\(error)")
        return ExitCode(2)
    case BackupError.file(let error): return commandFailure("\(error); \(consequence)")
    case is BackupError, is ReadError: return commandFailure("\(path): \(error); \(consequence)")
    default: return commandFailure("\(error); \(consequence)")
    }
}

/// How far a backup or a restoration is, on a terminal.
final class BackupBar: Sendable {
    private let isShown: Bool
    private let current = Mutex<(stage: BackupProgress.Stage, bar: ProgressBar)?>(nil)

    init(isShown: Bool) { self.isShown = isShown && StandardError.isTerminal }

    func show(_ progress: BackupProgress) {
        current.withLock { current in
            if current?.stage != progress.stage {
                let label =
                    switch progress.stage {
                    case .copying: "copying"
                    case .validating: "validating"
                    }
                current?.bar.erase()
                current = (progress.stage, ProgressBar(label: label, isShown: isShown))
            }
            current?.bar.show(.init(blocks: progress.blocks, done: progress.blocks, total: progress.blocksTotal))
        }
    }

    func erase() { current.withLock { $0?.bar.erase() } }
}

/// The database that the settings name.
///
/// - Throws: `ExitCode` after it has said what is wrong with the settings.
func databasePath(dataDirectory: String?, config: String?) async throws -> String {
    do throws(SettingError) {
        let source = try await SettingSource(environment: EnvironmentVariablesProvider(), configPath: config)
        return try Settings.databasePath(
            dataDirectory: try source.value(Settings.dataDirectory, flag: dataDirectory), source: source)
    } catch {
        throw commandFailure(error)
    }
}
