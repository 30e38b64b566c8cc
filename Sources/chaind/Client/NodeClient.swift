// Talks to a node over HTTP on behalf of a command: every request has a time limit and a bounded number of retries.

import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix

/// A node by its URL. Every request must be one that can be sent twice.
struct NodeClient: Sendable {
    /// How often and how patiently a request is sent.
    struct Patience: Sendable {
        var attemptsMax = 10
        /// The pause after the first attempt; it doubles with each one.
        var pauseSecondsFirst = 0.5
        /// The longest pause, even where the node asks for a longer one.
        var pauseSecondsMax = 30.0
        /// Whether the first failure is said at once, for who waits.
        var isSaid = false
        /// What one attempt may take, the whole answer included.
        var attemptSecondsMax = 60.0

        /// How long to wait after an attempt, counted from 1; the node's `Retry-After` counts where it is longer.
        func pauseSeconds(afterAttempt attempt: Int, retryAfterSeconds: Double?) -> Double {
            let growing = pauseSecondsFirst * pow(2, Double(attempt - 1))
            return min(pauseSecondsMax, max(growing, retryAfterSeconds ?? 0))
        }
    }

    /// An answer that is not worth another attempt.
    struct Answer: Sendable {
        let status: Int
        let body: Data

        /// The node's reason, as far as it gives one; one line of limited length.
        var detail: String {
            do {
                let text = try JSONDecoder().decode(Detail.self, from: body).detail
                return BlockOutput.visible(String(text.prefix(300)), allowingLines: false)
            } catch {
                return "status \(status)"
            }
        }

        private struct Detail: Decodable {
            let detail: String
        }
    }

    /// Why there is no answer.
    enum Failure: Error, CustomStringConvertible {
        case answerTooLarge
        /// The last attempt's failure, and whether an earlier attempt may have been carried out.
        case gaveUp(reason: String, attempts: Int, mayBeDone: Bool)

        var description: String {
            switch self {
            case .answerTooLarge: "the node's answer is too large"
            case .gaveUp(let reason, let attempts, _): "\(reason) (\(attempts) attempts)"
            }
        }
    }

    let url: String
    private let credentials: NodeCredentials
    private let patience: Patience
    private let client: HTTPClient

    /// - Parameter url: where the node answers, such as `http://127.0.0.1:8000`.
    init(url: String, credentials: NodeCredentials, patience: Patience = Patience()) throws(CommandError) {
        guard let parts = URLComponents(string: url), ["http", "https"].contains(parts.scheme),
            parts.host?.isEmpty == false, parts.query == nil, parts.fragment == nil
        else {
            throw CommandError("\(url): not a URL such as http://127.0.0.1:8000")
        }
        self.url = String(url.reversed().drop { $0 == "/" }.reversed())
        self.credentials = credentials
        self.patience = patience
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.timeout = .init(connect: .seconds(10), read: .seconds(Int64(patience.attemptSecondsMax)))
        configuration.connectionPool.retryConnectionEstablishment = false
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    /// Ends all connections.
    func close() async throws {
        try await client.shutdown()
    }

    /// Reads.
    func get(_ path: String, answerSizeBytesMax: Int) async throws -> Answer {
        try await send(request(path, accept: "application/json"), answerSizeBytesMax: answerSizeBytesMax)
    }

    /// Sends a JSON object. The key makes attempts to append after the first one safe.
    func post(
        _ path: String, json: [UInt8], idempotencyKey: String? = nil, answerSizeBytesMax: Int
    ) async throws -> Answer {
        var request = request(path, accept: "application/json")
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        if let idempotencyKey { request.headers.add(name: "Idempotency-Key", value: idempotencyKey) }
        request.body = .bytes(json)
        return try await send(request, answerSizeBytesMax: answerSizeBytesMax)
    }

    /// Begins to listen to events. The answer fails where nothing comes for as long as an attempt may take.
    func listen(_ path: String, lastEventID: String?) async throws -> HTTPClientResponse {
        var request = request(path, accept: "text/event-stream")
        if let lastEventID { request.headers.add(name: "Last-Event-ID", value: lastEventID) }
        // A deadline would be that of all of the body.
        return try await client.execute(request, deadline: .distantFuture)
    }

    /// What is most likely wrong where a node closes a connection without a word.
    private func hint(for error: any Error) -> String {
        let isClosed = (error as? HTTPClientError) == .remoteConnectionClosed
        return isClosed && url.hasPrefix("http:") ? " (if it speaks TLS, its URL begins with https://)" : ""
    }

    private func request(_ path: String, accept: String) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: url + path)
        request.headers.add(name: "Accept", value: accept)
        credentials.apply(to: &request)
        return request
    }

    /// Sends until there is an answer. Cancelling ends the pauses, not an attempt that is on its way.
    private func send(_ request: HTTPClientRequest, answerSizeBytesMax: Int) async throws -> Answer {
        var mayBeDone = false
        var attempt = 1
        while true {
            let outcome = await Task {
                try await withTimeLimit(seconds: patience.attemptSecondsMax) {
                    let response = try await client.execute(
                        request, timeout: .milliseconds(Int64(patience.attemptSecondsMax * 1000)))
                    let body = try await response.body.collect(upTo: answerSizeBytesMax)
                    let answer = Answer(status: Int(response.status.code), body: Data(body.readableBytesView))
                    return (answer, response.headers.first(name: "Retry-After").flatMap(Double.init))
                }
            }.result
            let reason: String
            var retryAfterSeconds: Double?
            switch outcome {
            case .success((let answer, let seconds)):
                guard [502, 503, 504].contains(answer.status) else { return answer }
                reason = "\(url): \(answer.detail)"
                retryAfterSeconds = seconds
                mayBeDone = mayBeDone || answer.status != 503
            case .failure(is NIOTooManyBytesError): throw Failure.answerTooLarge
            case .failure(let error):
                reason = "\(url): \(connectionReason(of: error))\(hint(for: error))"
                // Where there was no connection, nothing was sent.
                if !(error is NIOConnectionError) { mayBeDone = true }
            }
            if attempt == 1, patience.isSaid { StandardError.say("\(reason); trying again") }
            guard attempt < patience.attemptsMax else {
                throw Failure.gaveUp(reason: reason, attempts: attempt, mayBeDone: mayBeDone)
            }
            let pause = patience.pauseSeconds(afterAttempt: attempt, retryAfterSeconds: retryAfterSeconds)
            try await Task.sleep(for: .seconds(pause))
            attempt += 1
        }
    }
}
