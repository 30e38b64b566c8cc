// Runs of ours and of a baseline in turn, and how they compare.

import Foundation

/// Measurements of the two sides, pair by pair.
struct Pairs {
    private var ours: [Double] = []
    private var baseline: [Double] = []

    /// Adds one run of each side.
    mutating func add(ours: Double, baseline: Double) {
        self.ours.append(ours)
        self.baseline.append(baseline)
    }

    /// Prints a row: medians, and the ratio with its spread.
    func report(_ what: String, unit: String, aim: String) {
        let ratios = zip(ours, baseline).map { $0 / $1 }.sorted()
        let row = String(
            format: "ours %.6g %@, baseline %.6g %@, ratio %.3f (%.3f to %.3f), aim %@", Pairs.median(ours), unit,
            Pairs.median(baseline), unit, Pairs.median(ratios), ratios.first ?? .nan, ratios.last ?? .nan, aim)
        print("\(what): \(row)")
    }

    private static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return .nan }
        return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }
}
