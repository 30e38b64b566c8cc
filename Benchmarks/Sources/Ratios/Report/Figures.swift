// The figures of alternating runs, and how they are made.

import Foundation

/// The figures of alternating runs, or the times of single requests.
struct Figures: Codable, Sendable {
    private(set) var values: [Double] = []

    init(_ values: [Double] = []) { self.values = values }

    mutating func add(_ value: Double) { values.append(value) }

    var least: Double { values.min() ?? 0 }
    var greatest: Double { values.max() ?? 0 }

    var median: Double {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return 0 }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    /// The value that a part of all values does not exceed.
    func percentile(_ part: Double) -> Double {
        let sorted = values.sorted()
        return sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(part * Double(sorted.count)))]
    }

    /// The ratios of the runs, one by one.
    func over(_ baseline: Figures) -> Figures {
        Figures(zip(values, baseline.values).map { $0 / $1 })
    }
}

/// A measurement that went wrong.
struct MeasurementError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// The seconds that a body takes.
func seconds(_ body: () async throws -> Void) async rethrows -> Double {
    let start = ContinuousClock.now
    try await body()
    return ContinuousClock.now.seconds(since: start)
}

extension ContinuousClock.Instant {
    func seconds(since start: ContinuousClock.Instant) -> Double { (self - start) / .seconds(1) }
}

/// Runs what blocks in a thread of its own.
func inThread<Result: Sendable>(_ work: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Swift.Result { try work() }) }
    }
}
