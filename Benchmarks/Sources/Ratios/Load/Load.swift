// Load on a server: connections on one thread, each with a request under way; the same client whatever the server is.

import CBaselines
import Foundation

/// What is sent, and where to.
struct Load: Sendable {
    /// The connections are spread over these.
    let ports: [Int]
    var connections = 64
    /// One request, or two that are mixed.
    var requests: [LoadRequest]
    /// Every so many requests the first of two is sent.
    var firstEvery = 1
    /// How many appends or reads one request is.
    var operations = 1
    var protocolUsed = load_http
    /// What a connection begins with, and how often that is answered.
    var opening: [UInt8] = []
    var openingReplies = 0
    /// How often a request is answered.
    var replies = 1
    var firstNumber = 0

    /// Sends for some seconds.
    ///
    /// - Parameter rate: requests a second whatever becomes of them; `nil` sends the next one on each answer.
    func run(seconds: Double, rate: Double? = nil) async throws -> LoadResult {
        try await inThread { try send(seconds: seconds, rate: rate) }
    }

    private func send(seconds: Double, rate: Double?) throws -> LoadResult {
        // More than any server here answers.
        let requestsMax = Int((rate ?? 300_000) * seconds) + 1
        var latencies = [UInt32](repeating: 0, count: requestsMax)
        var statuses = [UInt16](repeating: 0, count: requestsMax)
        var plan = load_plan()
        plan.`protocol` = protocolUsed
        (plan.port_count, plan.connections) = (Int32(ports.count), Int32(connections))
        (plan.opening_replies, plan.replies, plan.first_every) = (
            Int32(openingReplies), Int32(replies), Int32(firstEvery)
        )
        (plan.rate, plan.seconds, plan.requests_max) = (rate ?? 0, seconds, requestsMax)
        plan.first_number = UInt64(firstNumber)
        var result = load_result()
        let first = requests[0]
        let second = requests.last ?? first
        let code = latencies.withUnsafeMutableBufferPointer { latencies in
            statuses.withUnsafeMutableBufferPointer { statuses in
                (result.latencies, result.statuses) = (latencies.baseAddress, statuses.baseAddress)
                return ports.map(UInt16.init).withUnsafeBufferPointer { ports in
                    opening.withUnsafeBufferPointer { opening in
                        first.bytes.withUnsafeBufferPointer { firstBytes in
                            second.bytes.withUnsafeBufferPointer { secondBytes in
                                plan.ports = ports.baseAddress
                                plan.opening = load_request(LoadRequest([]), opening)
                                plan.requests = (load_request(first, firstBytes), load_request(second, secondBytes))
                                return load_run(&plan, &result)
                            }
                        }
                    }
                }
            }
        }
        guard code == 0 else { throw MeasurementError("load on \(ports): \(String(cString: strerror(code)))") }
        return LoadResult(
            latencies: Array(latencies.prefix(result.requests)), statuses: Array(statuses.prefix(result.requests)),
            seconds: result.seconds, processorShare: result.processor_seconds / max(result.seconds, 0.001))
    }
}

extension load_request {
    fileprivate init(_ request: LoadRequest, _ bytes: UnsafeBufferPointer<UInt8>) {
        self.init(
            bytes: bytes.baseAddress, size: bytes.count, number_place: request.number.lowerBound,
            number_digits: request.number.count, number_end: UInt64(request.numberEnd))
    }
}

/// What became of the requests, by their numbers.
struct LoadResult: Sendable {
    /// Microseconds.
    let latencies: [UInt32]
    let statuses: [UInt16]
    let seconds: Double
    /// How much of a core the client took.
    let processorShare: Double

    /// Requests that were answered well, a second.
    var ratePerSecond: Double { Double(count(of: 200)) / seconds }

    func count(of status: UInt16) -> Int { statuses.count { $0 == status } }

    /// The latencies in milliseconds of requests that were answered well.
    func milliseconds(where isMeant: (Int) -> Bool = { _ in true }) -> Figures {
        Figures(statuses.indices.filter { statuses[$0] == 200 && isMeant($0) }.map { Double(latencies[$0]) / 1_000 })
    }
}

/// The rates of servers in alternating runs.
struct AlternatingLoads {
    /// Operations a second of each; `nil` for a server that is not there.
    private(set) var rates: [Figures?]
    /// The most of a core that the client took.
    private(set) var processorShareMax = 0.0

    /// The first run is not counted.
    init(_ loads: [Load?], runs: Int, seconds: Double) async throws {
        rates = loads.map { $0.map { _ in Figures() } }
        for run in 0...runs {
            for (index, load) in loads.enumerated() {
                guard let load else { continue }
                let result = try await load.run(seconds: seconds)
                guard result.count(of: 200) == result.statuses.count else {
                    throw MeasurementError("a request to \(load.ports) was refused")
                }
                processorShareMax = max(processorShareMax, result.processorShare)
                if run > 0 { rates[index]?.add(result.ratePerSecond * Double(load.operations)) }
            }
        }
    }

    /// How busy the client was.
    var clientRemark: String { "the client, 1 thread, took at most \((processorShareMax * 100).short) % of a core" }
}
