// What swift-metrics records, kept for Prometheus. None of the kept exporters is needed for so little.

import CoreMetrics
import Synchronization

/// Takes what the program counts and times, if it is one of `Metric.recorded`; everything else goes nowhere.
final class PrometheusMetrics: MetricsFactory, Sendable {
    private struct Key: Hashable {
        let metric: Metric
        let labels: [MetricSample.Label]
    }

    private let series = Mutex<[Key: any PrometheusSeries]>([:])

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        find(label, dimensions) { _ in PrometheusCounter() } ?? NOOPMetricsHandler.instance
    }

    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        find(label, dimensions, PrometheusHistogram.init) ?? NOOPMetricsHandler.instance
    }

    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        find(label, dimensions, PrometheusHistogram.init) ?? NOOPMetricsHandler.instance
    }

    /// The series of these dimensions, made if it is not there; `nil` if it is none of ours or of another kind.
    private func find<Series: PrometheusSeries>(
        _ label: String, _ dimensions: [(String, String)], _ make: (Metric) -> Series
    ) -> Series? {
        guard let metric = Metric.recorded[label] else { return nil }
        let key = Key(metric: metric, labels: dimensions.map { MetricSample.Label(name: $0.0, value: $0.1) })
        return series.withLock { series in
            if let found = series[key] { return found as? Series }
            let made = make(metric)
            series[key] = made
            return made
        }
    }

    // They last as long as the process.
    func destroyCounter(_ handler: any CounterHandler) {}
    func destroyRecorder(_ handler: any RecorderHandler) {}
    func destroyTimer(_ handler: any TimerHandler) {}

    /// Everything recorded so far, in the order of the names and labels.
    var families: [MetricFamily] {
        let recorded = Dictionary(grouping: series.withLock { Array($0) }, by: \.key.metric)
        return recorded.sorted { $0.key.name < $1.key.name }
            .map { metric, series in
                let sorted = series.sorted { $0.key.labels.lexicographicallyPrecedes($1.key.labels) }
                return MetricFamily(metric, sorted.flatMap { $0.value.samples($0.key.labels) })
            }
    }
}

private protocol PrometheusSeries: Sendable {
    func samples(_ labels: [MetricSample.Label]) -> [MetricSample]
}

private final class PrometheusCounter: CounterHandler, PrometheusSeries {
    private let value = Atomic<Int64>(0)

    func increment(by amount: Int64) { value.wrappingAdd(amount, ordering: .relaxed) }

    func reset() { value.store(0, ordering: .relaxed) }

    func samples(_ labels: [MetricSample.Label]) -> [MetricSample] {
        [MetricSample(labels: labels, value: Double(value.load(ordering: .relaxed)))]
    }
}

private final class PrometheusHistogram: RecorderHandler, TimerHandler, PrometheusSeries {
    private struct Values {
        /// How many fell into each bucket, and last those above all bounds.
        var counts: [Int]
        var sum = 0.0
    }

    private let bounds: [Double]
    private let values: Mutex<Values>

    init(_ metric: Metric) {
        bounds = if case .histogram(let bounds) = metric.kind { bounds } else { [] }
        values = Mutex(Values(counts: Array(repeating: 0, count: bounds.count + 1)))
    }

    func record(_ value: Int64) { record(Double(value)) }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }

    func record(_ value: Double) {
        let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
        values.withLock { values in
            values.counts[bucket] += 1
            values.sum += value
        }
    }

    func samples(_ labels: [MetricSample.Label]) -> [MetricSample] {
        let (counts, sum) = values.withLock { ($0.counts, $0.sum) }
        var samples: [MetricSample] = []
        var count = 0
        for (bound, bucketCount) in zip(bounds + [.infinity], counts) {
            count += bucketCount
            let bucket = labels + [MetricSample.Label(name: "le", value: PrometheusText.number(bound))]
            samples.append(MetricSample(suffix: "_bucket", labels: bucket, value: Double(count)))
        }
        return samples + [
            MetricSample(suffix: "_sum", labels: labels, value: sum),
            MetricSample(suffix: "_count", labels: labels, value: Double(count)),
        ]
    }
}
