// Measures what the project promises, each against a baseline in the same run: `make bench`.

import ArgumentParser
import Foundation

@main
struct Ratios: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure chaind against its baselines.", subcommands: [Measure.self, BareServer.self],
        defaultSubcommand: Measure.self)
}

struct Measure: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure chaind against its baselines, in alternating runs.")

    @Option(help: "The program; built for release, as this one.")
    var chaind: String
    @Option(
        parsing: .upToNextOption,
        help: "The parts that are measured: \(Part.allCases.map(\.rawValue).joined(separator: ", ")).")
    var only: [Part] = Part.allCases
    @Flag(help: "Measure a moment of everything.")
    var quick = false
    @Option(help: "A folder on the disk that is to be measured; the files are removed at the end.")
    var directory = ".build"
    @Option(help: "The folder that takes the results, as JSON, in Markdown and as plots.")
    var output: String

    func run() async throws {
        // Whole paths, since some servers have a working folder of their own.
        let folder = URL(fileURLWithPath: directory).path + "/ratios-\(ProcessInfo.processInfo.processIdentifier)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let measurement = Task {
            defer { try? FileManager.default.removeItem(atPath: folder) }
            return try await measure(Bench(chaind: chaind, folder: folder, scale: quick ? .quick : Scale()))
        }
        // Also where somebody presses Ctrl-C, no process and no file is left.
        let interruptions = [SIGINT, SIGTERM].map { number in
            // Not ignored, which the servers would inherit.
            signal(number) { _ in }
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { measurement.cancel() }
            source.activate()
            return source
        }
        defer {
            for source in interruptions { source.cancel() }
        }
        print("\n\(Table(rows: try await measurement.value))\n\nwritten to \(output)")
    }

    private func measure(_ bench: Bench) async throws -> [Row] {
        var rows: [Row] = []
        for part in only {
            FileHandle.standardError.write(Data("\(part.rawValue) …\n".utf8))
            let measured = try await part.rows(bench)
            try bench.removeFiles()
            // Now, so that what fails later takes nothing away.
            try Results(machine: Results.machine(), rows: measured).write(to: output)
            rows += measured
        }
        return rows
    }
}

extension Part: ExpressibleByArgument {}
