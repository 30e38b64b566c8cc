// Times that were measured, and what was promised of them.

import Foundation

/// The figures of alternating runs.
struct Figures {
    private(set) var values: [Double] = []

    mutating func add(_ value: Double) { values.append(value) }

    var median: Double {
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    /// The value that a part of all values does not exceed.
    func percentile(_ part: Double) -> Double {
        let sorted = values.sorted()
        return sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(part * Double(sorted.count)))]
    }

    /// Prints the least, the median and the greatest.
    func show(_ name: String, unit: String, decimals: Int) {
        let parts = [values.min() ?? 0, median, values.max() ?? 0].map { String(format: "%12.\(decimals)f", $0) }
        print("  " + name.padding(toLength: 44, withPad: " ", startingAt: 0) + parts.joined() + " " + unit)
    }
}

/// What was promised of a figure, and whether it holds.
struct Goal {
    let name: String
    let isMet: Bool

    /// Prints the ratios of two measurements of the same runs, and whether their median keeps the promise.
    init(_ name: String, _ figures: Figures, over baseline: Figures, atMost limit: Double) {
        self.init(name, Goal.ratios(figures, baseline), promise: "at most \(limit)") { $0 <= limit }
    }

    init(_ name: String, _ figures: Figures, over baseline: Figures, atLeast limit: Double) {
        self.init(name, Goal.ratios(figures, baseline), promise: "at least \(limit)") { $0 >= limit }
    }

    /// Prints a figure that is promised by itself.
    init(_ name: String, _ figures: Figures, unit: String, atMost limit: Double) {
        self.init(name, figures, unit: unit, promise: "at most \(limit) \(unit)") { $0 <= limit }
    }

    private init(
        _ name: String, _ figures: Figures, unit: String = "", promise: String, isKept: (Double) -> Bool
    ) {
        self.name = name.trimmingCharacters(in: .whitespaces)
        isMet = isKept(figures.median)
        figures.show(name, unit: unit + "  (\(promise): \(isMet ? "met" : "missed"))", decimals: 3)
    }

    private static func ratios(_ figures: Figures, _ baseline: Figures) -> Figures {
        var ratios = Figures()
        for (value, base) in zip(figures.values, baseline.values) { ratios.add(value / base) }
        return ratios
    }
}

/// The seconds that a body takes.
func seconds(_ body: () async throws -> Void) async rethrows -> Double {
    let start = ContinuousClock.now
    try await body()
    return (ContinuousClock.now - start) / .seconds(1)
}

/// A measurement that went wrong.
struct MeasurementError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
