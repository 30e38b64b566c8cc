// One row of the report: what was measured, against what, and what is aimed at.

import Foundation

/// What is aimed at: of the ratio where there is a baseline, else of the figure.
enum Aim: Codable, Sendable {
    case atMost(Double)
    case atLeast(Double)

    func isMet(by value: Double) -> Bool {
        switch self {
        case .atMost(let limit): value <= limit
        case .atLeast(let limit): value >= limit
        }
    }

    var limit: Double {
        switch self {
        case .atMost(let limit), .atLeast(let limit): limit
        }
    }

    var text: String {
        switch self {
        case .atMost(let limit): "≤ " + limit.short
        case .atLeast(let limit): "≥ " + limit.short
        }
    }
}

/// What a figure is compared with; without figures where that is not installed.
struct Baseline: Codable, Sendable {
    let name: String
    var figures: Figures?
}

struct Row: Codable, Sendable {
    let part: Part
    let name: String
    /// The unit of the figures.
    let unit: String
    let ours: Figures
    var baseline: Baseline?
    var aim: Aim?
    /// How many threads and connections each side has, and what else was counted.
    let remarks: String
    /// The percentiles behind it, of those rows that are of latency.
    var latencies: [LatencyPoint]?
    /// How etcd's database grew, of the row that is of its size.
    var sizes: [SizePoint]?

    /// Ours over the baseline's, run by run.
    var ratios: Figures? { baseline?.figures.map { ours.over($0) } }

    /// `nil` where nothing is aimed at, or the baseline is missing.
    var isMet: Bool? {
        guard let aim else { return nil }
        guard baseline != nil else { return aim.isMet(by: ours.median) }
        return ratios.map { aim.isMet(by: $0.median) }
    }

    /// The cells of its line in the table.
    var cells: [String] {
        let theirs = baseline.map { "\($0.name): " + ($0.figures?.text(unit: unit) ?? "not installed") }
        let verdict = isMet.map { $0 ? "met" : "missed" } ?? ""
        return [
            name, ours.text(unit: unit), theirs ?? "", ratios.map(\.median.short) ?? "",
            (ratios ?? ours).spread, remarks, aim?.text ?? "", verdict,
        ]
    }

    static let headings = ["what", "chaind", "baseline", "ratio", "spread", "remarks", "aim", ""]
}

extension Figures {
    fileprivate func text(unit: String) -> String { median.short + (unit.isEmpty ? "" : " " + unit) }

    /// From the least to the greatest.
    fileprivate var spread: String { values.count < 2 ? "" : "\(least.short)–\(greatest.short)" }
}

extension Int {
    /// With commas between thousands.
    var grouped: String { formatted(.number.locale(Locale(identifier: "en"))) }
}

extension Double {
    /// Three figures, without needless zeros.
    var short: String {
        guard isFinite, self != 0 else { return "0" }
        let decimals = Swift.max(0, 2 - Int(log10(abs(self)).rounded(.down)))
        guard decimals > 0 else { return Int(rounded()).grouped }
        let text = String(format: "%.\(decimals)f", self)
        return String(text.reversed().drop { $0 == "0" }.drop { $0 == "." }.reversed())
    }
}

/// Rows as a table that reads well in a terminal and in Markdown.
struct Table: CustomStringConvertible {
    let rows: [Row]

    var description: String {
        let lines = [Row.headings] + rows.map(\.cells)
        let widths = Row.headings.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        func line(_ cells: [String], filler: Character = " ") -> String {
            let padded = zip(cells, widths).map { $0 + String(repeating: filler, count: $1 - $0.count) }
            return "| " + padded.joined(separator: " | ") + " |"
        }
        let rule = widths.map { String(repeating: "-", count: $0) }
        return ([line(lines[0]), line(rule)] + lines.dropFirst().map { line($0) }).joined(separator: "\n")
    }
}
