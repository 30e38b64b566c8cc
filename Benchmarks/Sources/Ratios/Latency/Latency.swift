// How long requests take at fixed rates, counted from when each was due, with and without what looks through the whole
// list at the same time.

import Foundation

/// How long the requests of a kind took at a rate.
struct LatencyPoint: Codable, Sendable {
    let kind: String
    /// Whether a validation of the whole list and the scrub ran.
    let isBusy: Bool
    let requestsPerSecond: Double
    /// At half, at 90, 99 and 99.9 % of the requests.
    let milliseconds: [Double]

    static let parts = [0.5, 0.9, 0.99, 0.999]
    static let names = ["p50", "p90", "p99", "p99.9"]
}

private let mixed = 11
/// The rates, as parts of the most that the node can do.
private let ratesOfMost = [0.1, 0.25, 0.5, 0.7, 0.9]

/// One append to ten reads, at rates up to what the node can do.
func measureLatency(_ bench: Bench) async throws -> [Row] {
    let folder = bench.folder + "/latency"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: try await bench.largeList(), toPath: folder + "/chain.db")

    let saturation = try await withNode(bench, folder: folder, isBusy: false) { load in
        try await load.run(seconds: bench.scale.latencySeconds).ratePerSecond
    }
    var points: [LatencyPoint] = []
    for isBusy in [false, true] {
        points += try await withNode(bench, folder: folder, isBusy: isBusy) { load in
            var points: [LatencyPoint] = []
            for part in ratesOfMost {
                let result = try await load.run(seconds: bench.scale.latencySeconds, rate: part * saturation)
                points += result.points(isBusy: isBusy, rate: part * saturation)
            }
            return points
        }
    }
    return ["read", "append"].flatMap { kind in
        let (quiet, busy) = (
            points.filter { $0.kind == kind && !$0.isBusy }, points.filter { $0.kind == kind && $0.isBusy }
        )
        return zip(ratesOfMost, zip(quiet, busy)).map { part, points in
            let (quiet, busy) = points
            return Row(
                part: .latency, name: "p99 of \(kind)s at \(Int(part * 100)) % of the most, validating and scrubbing",
                unit: "ms", ours: Figures([busy.milliseconds[2]]),
                baseline: Baseline(name: "alone", figures: Figures([quiet.milliseconds[2]])),
                aim: .atMost(2), remarks: "1 append to 10 reads, 64 connections; the most is \(saturation.short)/s",
                latencies: [quiet, busy])
        }
    }
}

/// Runs a body with a node under a mixed load.
private func withNode<Result: Sendable>(
    _ bench: Bench, folder: String, isBusy: Bool, _ body: (Load) async throws -> Result
) async throws -> Result {
    let node = try await Node(
        chaind: bench.chaind, dataDirectory: folder,
        arguments: isBusy ? [] : ["--scrub-megabytes-per-second", "0"])
    defer { node.stop() }
    try await node.waitUntilValidated()
    let load = Load(
        ports: [node.port],
        requests: [
            .post("/blocks/", "{\"data\":\"\(loadText)\"}"),
            .get("/blocks/############", numberEnd: bench.scale.blocks),
        ], firstEvery: mixed)
    let stop = StopSign()
    async let validations: Void = {
        while isBusy && !stop.isRaised { try await node.ask("GET", "/blocks/valid") }
    }()
    let result = try await { () async throws -> Result in
        defer { stop.raise() }
        return try await body(load)
    }()
    try await validations
    return result
}

extension LoadResult {
    /// The percentiles of appends and of reads.
    fileprivate func points(isBusy: Bool, rate: Double) -> [LatencyPoint] {
        [("append", true), ("read", false)].map { kind, isAppend in
            let times = milliseconds { ($0 % mixed == 0) == isAppend }
            return LatencyPoint(
                kind: kind, isBusy: isBusy, requestsPerSecond: rate,
                milliseconds: LatencyPoint.parts.map { times.percentile($0) })
        }
    }
}
