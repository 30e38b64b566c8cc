// Asks etcd over its JSON gateway. One for the process: it owns the connections to all endpoints.

import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix

/// A client of etcd. It stays with the endpoint that answered last, and goes on to the next one after a failure.
struct EtcdClient: Sendable {
    private static let answerSizeBytesMax = 64 << 20
    /// More than are under way at a time: those above wait for a connection. Each watch keeps one.
    private static let connectionsMax = 64

    private let settings: EtcdSettings
    private let endpoints: EtcdEndpoints
    private let user: EtcdUser?
    private let login = EtcdLogin()
    private let client: HTTPClient

    /// - Throws: `CommandError` that names the setting or the file that is wrong.
    init(settings: EtcdSettings) throws(CommandError) {
        self.settings = settings
        endpoints = EtcdEndpoints(try settings.checkedEndpoints())
        user = try settings.checkedUser()
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.tlsConfiguration = try settings.tlsConfiguration()
        configuration.timeout = .init(
            connect: .milliseconds(Int64(settings.attemptSeconds * 1_000)),
            read: .milliseconds(Int64(settings.watchIdleSeconds * 1_000)))
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = EtcdClient.connectionsMax
        configuration.httpVersion = .http1Only
        configuration.decompression = .disabled
        // On one event loop: where a request and its connection have two, AsyncHTTPClient 1.37 ends the process if an endpoint
        // answers before it has the whole request, and then closes.
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        client = HTTPClient(eventLoopGroupProvider: .shared(eventLoop), configuration: configuration)
    }

    /// Ends all connections. What is under way fails.
    func shutdown() async throws {
        try await client.shutdown()
    }

    /// The etcd that this client reaches.
    var etcd: Etcd {
        Etcd(
            transact: { transaction async throws(EtcdError) in try await attempt(.transaction(transaction)) },
            range: { range, limit async throws(EtcdError) in
                try await firstAnswer { endpoint async throws(EtcdError) in
                    try await attempt(.range(range, limit: limit), at: endpoint)
                }
            },
            grantLease: { seconds async throws(EtcdError) in try await attempt(.grantLease(seconds: seconds)) },
            keepAlive: { leaseID async throws(EtcdError) in try await attempt(.keepAlive(leaseID: leaseID)) },
            revokeLease: { leaseID async throws(EtcdError) in
                try await attempt(.revokeLease(leaseID: leaseID), isDoneIf: EtcdError.noLease)
            },
            watch: { range, revision async throws(EtcdError) in
                try await firstAnswer { endpoint async throws(EtcdError) in
                    try await watch(.watch(range, fromRevision: revision), at: endpoint)
                }
            },
            status: { await status() },
            compact: { revision async throws(EtcdError) in
                try await attempt(.compact(revision: revision), isDoneIf: EtcdError.alreadyCompacted)
            })
    }

    // MARK: Attempts

    /// Asks the endpoint in use, once.
    private func attempt<Answer>(_ request: EtcdRequest<Answer>) async throws(EtcdError) -> Answer {
        try await attempt(request, at: endpoints.current)
    }

    private func attempt<Answer>(
        _ request: EtcdRequest<Answer>, at endpoint: String
    ) async throws(EtcdError) -> Answer {
        try await leavingIfUnknown(endpoint) { () async throws(EtcdError) in
            try await answer(to: request, from: endpoint, seconds: settings.attemptSeconds)
        }
    }

    /// Does what may be done already, as a reason for which it is refused says.
    private func attempt(_ request: EtcdRequest<Void>, isDoneIf doneReason: String) async throws(EtcdError) {
        do throws(EtcdError) {
            try await attempt(request)
        } catch .refused(let reason) where reason.contains(doneReason) {
            // It is as it was wanted.
        }
    }

    /// Asks each endpoint until one answers: for what may be asked twice.
    private func firstAnswer<Answer>(
        _ ask: (String) async throws(EtcdError) -> Answer
    ) async throws(EtcdError) -> Answer {
        var failures: [String] = []
        for endpoint in endpoints.fromCurrent {
            do throws(EtcdError) {
                return try await ask(endpoint)
            } catch .unknown(let reason) where !Task.isCancelled {
                failures.append(reason)
            }
        }
        throw .unknown(failures.joined(separator: "; "))
    }

    private func leavingIfUnknown<Answer>(
        _ endpoint: String, _ ask: () async throws(EtcdError) -> Answer
    ) async throws(EtcdError) -> Answer {
        do throws(EtcdError) {
            return try await ask()
        } catch {
            if case .unknown = error, !Task.isCancelled { endpoints.leave(endpoint) }
            throw error
        }
    }

    private func watch(
        _ request: EtcdRequest<EtcdWatchLine>, at endpoint: String
    ) async throws(EtcdError) -> EtcdWatch {
        try await leavingIfUnknown(endpoint) { () async throws(EtcdError) in
            let deadline = NIODeadline.now() + .nanoseconds(Int64(settings.attemptSeconds * 1e9))
            return try await exchange(with: endpoint, until: deadline) { token in
                try await withTimeLimit(seconds: settings.attemptSeconds) {
                    let body = try await stream(request, from: endpoint, token: token)
                    let reader = EtcdWatchReader(
                        body, from: endpoint, decode: request.decode, onBreak: { endpoints.leave(endpoint) })
                    try await reader.begin()
                    return EtcdWatch(next: { () async throws(EtcdError) in try await reader.next() })
                }
            }
        }
    }

    private func status() async -> [EtcdStatus] {
        await withTaskGroup(of: EtcdStatus?.self) { group in
            for endpoint in endpoints.urls {
                group.addTask { await status(of: endpoint) }
            }
            var statuses: [String: EtcdStatus] = [:]
            for await case let status? in group { statuses[status.endpoint] = status }
            return endpoints.urls.compactMap { statuses[$0] }
        }
    }

    private func status(of endpoint: String) async -> EtcdStatus? {
        do throws(EtcdError) {
            let answer = try await answer(to: .status(), from: endpoint, seconds: settings.statusSeconds)
            return EtcdStatus(
                endpoint: endpoint, version: answer.version, sizeBytes: answer.sizeBytes,
                usedSizeBytes: answer.usedSizeBytes)
        } catch {
            // Who does not answer is missing.
            return nil
        }
    }

    // MARK: Exchanges

    /// Asks an endpoint and reads the whole answer.
    private func answer<Answer>(
        to request: EtcdRequest<Answer>, from endpoint: String, seconds: Double
    ) async throws(EtcdError) -> Answer {
        let deadline = NIODeadline.now() + .nanoseconds(Int64(seconds * 1e9))
        return try await exchange(with: endpoint, until: deadline) { token in
            try await answer(to: request, from: endpoint, token: token, until: deadline)
        }
    }

    /// Talks to an endpoint, and once more after a new login where etcd says that ours is spent.
    private func exchange<Answer: Sendable>(
        with endpoint: String, until deadline: NIODeadline, _ talk: (_ token: String?) async throws -> Answer
    ) async throws(EtcdError) -> Answer {
        do {
            guard let user else { return try await talk(nil) }
            let logIn = { @Sendable () async throws(EtcdError) in
                try await newToken(for: user, at: endpoint, until: deadline)
            }
            let token = try await login.token(logIn: logIn)
            do {
                return try await talk(token.text)
            } catch let error as EtcdError where error.isSpentLogin {
                return try await talk(login.token(insteadOf: token, logIn: logIn).text)
            }
        } catch {
            throw EtcdError(error, endpoint: endpoint)
        }
    }

    private func newToken(
        for user: EtcdUser, at endpoint: String, until deadline: NIODeadline
    ) async throws(EtcdError) -> EtcdLogin.Token {
        do {
            return .init(text: try await answer(to: .login(user), from: endpoint, token: nil, until: deadline))
        } catch EtcdError.refused(let reason) where reason.contains(EtcdError.noLoginNeeded) {
            return .init(text: nil)
        } catch {
            throw EtcdError(error, endpoint: endpoint)
        }
    }

    /// The answer comes as a whole: that takes one way to the event loop and back, where a stream takes several.
    ///
    /// - Throws: `EtcdError` for an answer other than 200.
    private func answer<Answer>(
        to request: EtcdRequest<Answer>, from endpoint: String, token: String?, until deadline: NIODeadline
    ) async throws -> Answer {
        let message = try HTTPClient.Request(
            url: url(of: request, at: endpoint), method: .POST, headers: headers(token: token),
            body: .byteBuffer(request.body))
        let response = try await client.execute(
            request: message,
            delegate: ResponseAccumulator(request: message, maxBodySize: EtcdClient.answerSizeBytesMax),
            deadline: deadline
        ).get()
        let content = Array((response.body ?? ByteBuffer()).readableBytesView)
        try check(response.status, content, from: endpoint)
        return try request.decode(content)
    }

    /// - Throws: `EtcdError` for an answer other than 200.
    private func stream<Answer>(
        _ request: EtcdRequest<Answer>, from endpoint: String, token: String?
    ) async throws -> HTTPClientResponse.Body {
        var message = HTTPClientRequest(url: url(of: request, at: endpoint))
        message.method = .POST
        message.headers = headers(token: token)
        message.body = .bytes(request.body)
        let response = try await client.execute(message, deadline: .distantFuture)
        if response.status != .ok {
            let content = try await response.body.collect(upTo: EtcdClient.answerSizeBytesMax)
            try check(response.status, Array(content.readableBytesView), from: endpoint)
        }
        return response.body
    }

    private func url<Answer>(of request: EtcdRequest<Answer>, at endpoint: String) -> String {
        "\(endpoint)/v3/\(request.path)"
    }

    private func headers(token: String?) -> HTTPHeaders {
        // A member that has no leader says so at once, and ends its watches, instead of waiting for one.
        var headers: HTTPHeaders = ["Content-Type": "application/json", "Grpc-Metadata-hasleader": "true"]
        if let token { headers.add(name: "Authorization", value: token) }
        return headers
    }

    private func check(_ status: HTTPResponseStatus, _ content: [UInt8], from endpoint: String) throws(EtcdError) {
        guard status != .ok else { return }
        let reason: String
        do throws(JSONSyntaxError) {
            reason = try EtcdRefusal(json: content).message
        } catch {
            // What stands between us and etcd has another shape, if any.
            reason = String(decoding: content, as: UTF8.self)
        }
        throw EtcdError(status: Int(status.code), message: oneLine(reason), endpoint: endpoint)
    }
}
