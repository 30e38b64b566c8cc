// Requests to a node on 127.0.0.1, as the tests send them.

import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOSSL

/// An answer, read to its end.
public struct HTTPAnswer: Sendable {
    public let status: Int
    /// The fields with their names in lower case; of a repeated field the last.
    public let fields: [String: String]
    public let body: [UInt8]

    /// The body as text.
    public var text: String { String(decoding: body, as: UTF8.self) }

    /// The body decoded from JSON.
    public func json<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(body))
        } catch {
            throw TestSupportError("\(status) is no \(type): \(text.prefix(500)) (\(error))")
        }
    }
}

/// What a client shows, and whose certificates it takes.
public struct ShownAccess: Sendable {
    /// For https; `nil` for http.
    public var tls: TLSConfiguration?
    public var token: String?

    public init(tls: TLSConfiguration? = nil, token: String? = nil) {
        self.tls = tls
        self.token = token
    }
}

/// Sends requests to one port of 127.0.0.1, over connections that all tests share.
public struct HTTPTestClient: Sendable {
    public let port: Int
    /// Whether a node answers there, as `openapi.json` says.
    private let isNode: Bool
    private let shown: ShownAccess

    public init(port: Int, isNode: Bool = true, shown: ShownAccess = ShownAccess()) {
        self.port = port
        self.isNode = isNode
        self.shown = shown
    }

    /// A request of this client.
    private func request(_ path: String, _ fields: [String: String]) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: "\(shown.tls == nil ? "http" : "https")://127.0.0.1:\(port)\(path)")
        request.tlsConfiguration = shown.tls
        if let token = shown.token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        for (name, value) in fields { request.headers.replaceOrAdd(name: name, value: value) }
        return request
    }

    /// Larger answers take too long to be held against the description.
    private static let describedSizeBytesMax = 64 << 10

    /// One for the whole run. It fails at once where no one listens, rather than trying again until its time-out.
    private static let client: HTTPClient = {
        var configuration = HTTPClient.Configuration()
        configuration.httpVersion = .http1Only
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 2_000
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.decompression = .disabled
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()

    /// Sends a request and reads its answer, at most 256 MiB.
    public func send(
        _ method: String, _ path: String, fields: [String: String] = [:], body: [UInt8]? = nil,
        timeoutSeconds: Int64 = 30
    ) async throws -> HTTPAnswer {
        var request = request(path, fields)
        request.method = HTTPMethod(rawValue: method)
        if let body { request.body = .bytes(body) }
        var tries = 0
        while true {
            do {
                let answer = try await answer(to: request, timeoutSeconds: timeoutSeconds)
                if isNode, answer.body.count <= Self.describedSizeBytesMax,
                    let fault = try OpenAPI.ours.get().fault(of: answer, to: method, path)
                {
                    throw TestSupportError(
                        "\(method) \(path) is not as described: \(fault) in \(answer.text.prefix(500))")
                }
                return answer
            } catch  where tries < 10 && Self.mayHideRefusal(error, ofBody: body?.count ?? 0) {
                tries += 1
            }
        }
    }

    /// Whether AsyncHTTPClient may have failed of itself because an answer that refuses a body came before all of it was
    /// sent: now and then it takes its own end of the body, which it stopped sending, as too short; and it closes the
    /// connection before it hands over the answer, and then takes what of a large body was not yet written as a failure.
    private static func mayHideRefusal(_ error: any Error, ofBody sizeBytes: Int) -> Bool {
        switch error {
        case let error as HTTPClientError: error == .bodyLengthMismatch
        case let error as ChannelError: error == .ioOnClosedChannel && sizeBytes > 1 << 20
        default: false
        }
    }

    /// Sends a GET, and leaves the body of the answer to be read as it comes.
    func open(_ path: String, fields: [String: String], timeoutSeconds: Int64) async throws -> HTTPClientResponse {
        return try await Self.client.execute(request(path, fields), timeout: .seconds(timeoutSeconds))
    }

    private func answer(to request: HTTPClientRequest, timeoutSeconds: Int64) async throws -> HTTPAnswer {
        let response = try await Self.client.execute(request, timeout: .seconds(timeoutSeconds))
        let content = try await response.body.collect(upTo: 256 * 1024 * 1024)
        return HTTPAnswer(
            status: Int(response.status.code),
            fields: Dictionary(response.headers.map { ($0.name.lowercased(), $0.value) }) { $1 },
            body: Array(content.readableBytesView))
    }

    /// Sends a GET.
    public func get(
        _ path: String, fields: [String: String] = [:], timeoutSeconds: Int64 = 30
    ) async throws -> HTTPAnswer {
        try await send("GET", path, fields: fields, timeoutSeconds: timeoutSeconds)
    }

    /// Sends a value as JSON in a POST.
    public func post(
        _ path: String, _ value: some Encodable, fields: [String: String] = [:], timeoutSeconds: Int64 = 30
    ) async throws -> HTTPAnswer {
        let fields = ["Content-Type": "application/json"].merging(fields) { $1 }
        let body = try Array(JSONEncoder().encode(value))
        return try await send("POST", path, fields: fields, body: body, timeoutSeconds: timeoutSeconds)
    }
}
