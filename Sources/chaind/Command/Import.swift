// `chaind import`: brings the lines of a text, an export, or the list of the original service, into a list.

import ArgumentParser
import Configuration
import Foundation

struct Import: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring the lines of a text, an export, or a list of the original service, into a list.",
        discussion: """
            --lines appends each line of a text as a block: into a database that no node runs on (--data-dir), or \
            through a node that runs (--url). Lines end at LF, and a CR before it is dropped. They are appended in \
            batches of at most 1,000 lines or 4 MiB, each of them wholly or not at all; a line that is no block stops \
            the import, and what remains of its batch is not appended.

            --resume reads the list and goes on after the batches of the same text that it has, wherever other \
            clients appended in between; give it the same text and flags. A text that repeats itself over whole \
            batches, or that somebody else appends too, can look further imported than it is.

            --original migrates a database of the original service into an empty list: stop that service first. It \
            verifies all hashes and links, and imports the whole list or nothing.

            --export takes what chaind export wrote: blocks with their hashes and times. What the list has already must \
            be the same, and the rest follows it, all of it or nothing. Each block is verified.

            Exit status: 0 all is in the list, 1 the import failed, 130 or 143 a signal stopped it.
            """)

    @Option(help: ArgumentHelp("A text whose lines become blocks; - for standard input.", valueName: "file"))
    var lines: String?

    @Option(help: ArgumentHelp("A database of the original service, which is left as it is.", valueName: "file"))
    var original: String?

    @Option(
        help: ArgumentHelp("What chaind export wrote, with its hashes; - for standard input.", valueName: "file"))
    var export: String?

    @Option(Settings.dataDirectory) var dataDirectory: String?

    @Option(help: "A node that runs, instead of --data-dir, such as http://127.0.0.1:8000. (--lines)")
    var url: String?

    @OptionGroup var shown: ShownCredentials

    @Option(Settings.dataSizeBytesMax) var dataSizeBytesMax: Int?

    @Option(help: "A JSON file with settings, as for serve. (default: none; environment: CHAIND_CONFIG)")
    var config: String?

    @Flag(help: "Go on where an import of the same text stopped. (--lines)")
    var resume = false

    @Flag(help: "Skip lines that are not UTF-8 or too long, and count them. (--lines)")
    var skipInvalid = false

    @Option(help: "The time zone of the original's timestamps, such as Europe/Lisbon. (--original; default: UTC)")
    var timeZone: String?

    @Flag(help: "Import the longest valid list if there are faults, and count the rest. (--original)")
    var longestValid = false

    @Flag(help: "Print one JSON object, and no progress bar.")
    var json = false

    func validate() throws {
        guard [lines, original, export].count(where: { $0 != nil }) == 1 else {
            throw ValidationError("Give one of --lines, --export and --original.")
        }
        if url != nil {
            guard lines != nil else {
                throw ValidationError("--url is for --lines: blocks with hashes of their own go into a database.")
            }
            guard dataDirectory == nil else { throw ValidationError("Give either --data-dir or --url.") }
        }
        if lines == nil && (resume || skipInvalid) {
            throw ValidationError("--resume and --skip-invalid are for --lines.")
        }
        if original == nil && (timeZone != nil || longestValid) {
            throw ValidationError("--time-zone and --longest-valid are for --original.")
        }
        if let timeZone, TimeZone(identifier: timeZone) == nil {
            throw ValidationError("\(timeZone) is no time zone such as Europe/Lisbon.")
        }
    }

    func run() async throws {
        try await cancelledBySignal {
            do {
                if let lines { try await importLines(lines) }
                if let export { try await importExport(export) }
                if let original { try await importOriginal(original) }
            } catch let error as CommandError {
                throw commandFailure(error)
            } catch let error as SettingError {
                throw commandFailure(error)
            }
        }
    }

    private var showsProgress: Bool { StandardError.isTerminal && !json }

    private func importLines(_ path: String) async throws {
        let file = try InputFile(path: path)
        let source = try await SettingSource(environment: EnvironmentVariablesProvider(), configPath: config)
        let sizeBytesMax = try source.value(Settings.dataSizeBytesMax, flag: dataSizeBytesMax)
        let lineImport = LineImport(
            file: file, lineSizeBytesMax: sizeBytesMax, skipsInvalid: skipInvalid, resumes: resume,
            showsProgress: showsProgress)
        let destination: any ImportDestination
        if let url {
            destination = try NodeDestination(url: url, credentials: try shown.credentials())
        } else {
            destination = try await DatabaseDestination(
                path: try databasePath(source), dataSizeBytesMax: sizeBytesMax)
        }
        let report = await lineImport.run(into: destination)
        try await destination.close()
        if json { print(report.json) }
        switch report.end {
        case .done:
            if !json { print(report.text) }
        case .stopped:
            if !json { print(report.text) }
            throw CancellationError()
        case .failed:
            throw commandFailure(report.text)
        }
    }

    private func importExport(_ path: String) async throws {
        let file = try InputFile(path: path)
        let source = try await SettingSource(environment: EnvironmentVariablesProvider(), configPath: config)
        let exportImport = ExportImport(
            file: file, databasePath: try databasePath(source), showsProgress: showsProgress)
        let report = try await exportImport.run()
        if json { print(report.json) }
        if let failure = report.failure { throw commandFailure(failure) }
        if !json { print(report.text) }
    }

    private func importOriginal(_ path: String) async throws {
        let source = try await SettingSource(environment: EnvironmentVariablesProvider(), configPath: config)
        let originalImport = OriginalImport(
            path: path, databasePath: try databasePath(source),
            timeZone: timeZone.flatMap(TimeZone.init(identifier:)) ?? .gmt, takesLongestValid: longestValid,
            dataSizeBytesMax: try source.value(Settings.dataSizeBytesMax, flag: dataSizeBytesMax),
            showsProgress: showsProgress)
        let report = try await originalImport.run()
        if json { print(report.json) }
        switch report.end {
        case .done:
            if !json { print(report.text) }
        case .refused:
            for line in report.refusal(path: path).dropLast() where !json { StandardError.say(line) }
            throw commandFailure(report.refusal(path: path).last ?? path)
        case .failed(let reason):
            throw commandFailure(reason)
        }
    }

    /// The database in the data folder, which is made if it is missing.
    private func databasePath(_ source: SettingSource) throws -> String {
        let dataDirectory = try source.value(Settings.dataDirectory, flag: dataDirectory)
        let path = try Settings.databasePath(dataDirectory: dataDirectory, source: source)
        try makeDirectory(dataDirectory)
        return path
    }
}
