// `chaind verify`: validates a database that nobody has open.

import ArgumentParser
import Chain

struct Verify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Validate a database while no node runs on it.",
        discussion: """
            Reads every block of the list, its write-ahead log included, and changes nothing. \
            Exit status: 0 valid, 1 invalid, 2 not a database of chaind, unreadable or in use.
            """)

    @Argument(help: "The database.", completion: .file())
    var file: String

    @Option(Settings.hashing) var hashing: HashLanes?

    @Flag(help: "Print one JSON object, as GET /blocks/valid answers.")
    var json = false

    func run() async throws {
        let lanes = hashing ?? .best
        let answer = try await cancelledBySignal { [file, json] in
            try await Verify.answer(path: file, lanes: lanes, json: json)
        }
        print(json ? answer.json : answer.text)
        if !answer.report.isValid { throw ExitCode(1) }
    }

    private static func answer(path: String, lanes: HashLanes, json: Bool) async throws -> ValidationAnswer {
        let bar = ProgressBar(label: "verifying", isShown: StandardError.isTerminal && !json)
        defer { bar.erase() }
        let clock = ContinuousClock()
        let start = clock.now
        do {
            let report = try await BlockList.verify(path: path, lanes: lanes) { progress in
                bar.show(.init(blocks: progress.blocks, done: progress.blocks, total: progress.blocksTotal))
            }
            return ValidationAnswer(report: report, seconds: (clock.now - start) / .seconds(1), hashing: lanes.name)
        } catch let error as CancellationError {
            throw error
        } catch {
            bar.erase()
            StandardError.say("\(error)")
            throw ExitCode(2)
        }
    }
}
