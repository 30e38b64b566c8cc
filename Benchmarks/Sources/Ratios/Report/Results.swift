// Everything that was measured, and where: as JSON, as a table in Markdown, as plots.

import Foundation

struct Results: Codable {
    /// Where and with what it was measured, line by line.
    let machine: [String]
    let rows: [Row]

    /// Writes what was measured into a folder. The rows of parts that were not measured now stay.
    func write(to folder: String) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let file = URL(fileURLWithPath: folder + "/results.json")
        var results = self
        if let known = try? JSONDecoder().decode(Results.self, from: Data(contentsOf: file)) {
            let measured = Set(rows.map(\.part))
            let all = rows + known.rows.filter { !measured.contains($0.part) }
            results = Results(
                machine: machine, rows: Part.allCases.flatMap { part in all.filter { $0.part == part } })
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try encoder.encode(results).write(to: file)
        try (results.markdown + "\n").write(toFile: folder + "/results.md", atomically: true, encoding: .utf8)
        try RatioPlot(rows: results.rows).svg
            .write(toFile: folder + "/ratios.svg", atomically: true, encoding: .utf8)
        let points = results.rows.flatMap { $0.latencies ?? [] }
        if !points.isEmpty {
            try LatencyPlot(points: points).svg
                .write(toFile: folder + "/latency.svg", atomically: true, encoding: .utf8)
        }
        let sizes = results.rows.flatMap { $0.sizes ?? [] }
        if !sizes.isEmpty {
            try EtcdSizePlot(points: sizes).svg
                .write(toFile: folder + "/etcd-size.svg", atomically: true, encoding: .utf8)
        }
    }

    private var markdown: String {
        """
        # Measured

        Written by `make bench`; [performance.md](../performance.md) says what each line means.

        \(machine.map { "- " + $0 }.joined(separator: "\n"))

        \(Table(rows: rows))

        \(latencies)
        """
    }

    private var latencies: String {
        let points = rows.flatMap { $0.latencies ?? [] }
        guard !points.isEmpty else { return "" }
        let heading = ["requests/s", "kind", "validation and scrub"] + LatencyPoint.names.map { $0 + ", ms" }
        let lines = points.map { point in
            [point.requestsPerSecond.short, point.kind, point.isBusy ? "running" : ""]
                + point.milliseconds.map(\.short)
        }
        return ([heading, heading.map { _ in "---" }] + lines)
            .map { "| " + $0.joined(separator: " | ") + " |" }.joined(separator: "\n")
    }

    /// The machine and the versions of what is compared.
    static func machine() -> [String] {
        func text(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }
        func value(_ name: String, in text: String) -> String {
            let line = text.split(separator: "\n").first { $0.hasPrefix(name) } ?? ""
            return line.split(separator: ":").last?.trimmingCharacters(in: .whitespaces) ?? ""
        }
        func version(_ program: String, _ argument: String) -> String? {
            guard let path = Tool.path(program), let output = try? Tool.run(path, [argument]) else { return nil }
            return "\(program): " + (output.split(separator: "\n").first ?? "")
        }
        let versions = [
            version("redis-server", "--version"), version("postgres", "--version"), version("etcd", "--version"),
            version("sqlite3", "--version"), version("python3", "--version"), version("git", "--version"),
        ]
        return [
            value("model name", in: text("/proc/cpuinfo"))
                + ", \(ProcessInfo.processInfo.processorCount) cores, \(ProcessInfo.processInfo.physicalMemory >> 20) MiB",
            ProcessInfo.processInfo.operatingSystemVersionString,
            Date().formatted(.iso8601) + ", load average "
                + text("/proc/loadavg").split(separator: " ").prefix(3).joined(separator: " "),
        ] + versions.compactMap { $0 }
    }
}
