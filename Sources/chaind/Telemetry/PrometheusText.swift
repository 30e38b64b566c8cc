// The text that Prometheus reads (https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4).

import NIOCore

/// One figure.
struct MetricSample {
    struct Label: Hashable, Comparable {
        let name: String
        let value: String

        static func < (one: Label, other: Label) -> Bool { (one.name, one.value) < (other.name, other.value) }
    }

    var suffix = ""
    var labels: [Label] = []
    let value: Double
}

/// The figures of one name.
struct MetricFamily {
    let metric: Metric
    let samples: [MetricSample]

    init(_ metric: Metric, _ samples: [MetricSample]) {
        self.metric = metric
        self.samples = samples
    }

    /// A family of one figure.
    init(_ metric: Metric, _ value: Double) {
        self.init(metric, [MetricSample(value: value)])
    }
}

/// Writes families.
enum PrometheusText {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    static func text(_ families: [MetricFamily]) -> ByteBuffer {
        var text = ByteBuffer()
        for family in families where !family.samples.isEmpty {
            let metric = family.metric
            text.writeString("# HELP \(metric.name) \(metric.help)\n# TYPE \(metric.name) \(metric.kind.name)\n")
            for sample in family.samples {
                text.writeString("\(metric.name)\(sample.suffix)\(labels(sample.labels)) \(number(sample.value))\n")
            }
        }
        return text
    }

    static func number(_ value: Double) -> String {
        if value == .infinity { return "+Inf" }
        if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
        return "\(value)"
    }

    private static func labels(_ labels: [MetricSample.Label]) -> String {
        if labels.isEmpty { return "" }
        return "{" + labels.map { "\($0.name)=\"\(escaped($0.value))\"" }.joined(separator: ",") + "}"
    }

    private static func escaped(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}

extension Metric.Kind {
    fileprivate var name: String {
        switch self {
        case .counter: "counter"
        case .gauge: "gauge"
        case .histogram: "histogram"
        }
    }
}
