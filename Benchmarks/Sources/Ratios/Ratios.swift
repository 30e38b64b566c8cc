// Measures what the project promises, each against a baseline in the same run: `make bench`.

import ArgumentParser
import Foundation

@main
struct Ratios: AsyncParsableCommand {
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

    func run() async throws {
        let folder = directory + "/ratios-\(ProcessInfo.processInfo.processIdentifier)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let measurement = Task {
            defer { try? FileManager.default.removeItem(atPath: folder) }
            return try await measure(Bench(chaind: chaind, folder: folder, scale: quick ? .quick : Scale()))
        }
        // Also where somebody presses Ctrl-C, no process and no file is left.
        let interruptions = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { measurement.cancel() }
            source.activate()
            return source
        }
        defer {
            for source in interruptions { source.cancel() }
        }
        print("\n\(Table(rows: try await measurement.value))")
    }

    private func measure(_ bench: Bench) async throws -> [Row] {
        var rows: [Row] = []
        for part in only {
            print("\(part.rawValue) …")
            rows += try await part.rows(bench)
        }
        return rows
    }
}

extension Part: ExpressibleByArgument {}
