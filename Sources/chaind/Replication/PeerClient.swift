// Carries messages to members over HTTP. One for the process: it owns the connections to all members.

import AsyncHTTPClient
import Chain
import NIOCore
import NIOHTTP1

/// Talks to members. Each request has a time limit, each answer a size limit, and cancelling the task ends the request.
struct PeerClient: Sendable {
    /// How patient a request is, and how much an answer may be.
    struct Limits: Sendable {
        var connectSeconds = 2.0
        var healthSeconds = 4.0
        /// For every other request that is answered by a message, and for a stream to begin.
        var requestSeconds = 10.0
        /// For appends to be decided on by the leader. They may be sent again at any time, and are before a client gives up
        /// that waits for one of them, also where the connection that was used is dead.
        var forwardSeconds = 3.0
        /// How long a member to which a stream is sent may take nothing of it, or think about its answer.
        var pushIdleSeconds = 60.0
        var stream = StreamLimits()
    }

    private let limits: Limits
    private let credentials: @Sendable () -> NodeCredentials
    private let client: HTTPClient

    /// - Parameter credentials: what members are shown, as it is at each request.
    init(limits: Limits = Limits(), credentials: @escaping @Sendable () -> NodeCredentials) {
        self.limits = limits
        self.credentials = credentials
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.timeout = .init(connect: .milliseconds(Int64(limits.connectSeconds * 1_000)))
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.httpVersion = .http1Only
        configuration.decompression = .disabled
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    /// Ends all connections. What is under way fails.
    func shutdown() async throws {
        try await client.shutdown()
    }

    /// The way to the members that this client is.
    var transport: Transport {
        Transport(
            health: { address async throws(PeerError) in
                try await message(get(address, "/"), seconds: limits.healthSeconds)
            },
            status: { address, status async throws(PeerError) in
                try await message(
                    post(address, SyncPath.status, status), seconds: limits.requestSeconds,
                    sizeBytesMax: MessageLimits.statusSizeBytesMax)
            },
            locate: { address, points async throws(PeerError) in
                try await message(
                    post(address, SyncPath.locate, LocateRequest(points: points)), seconds: limits.requestSeconds)
            },
            pull: { address, point async throws(PeerError) in try await pull(from: address, after: point) },
            push: { address, stream async throws(PeerError) in try await push(stream, to: address) },
            leave: { address, leave async throws(PeerError) in
                _ = try await content(post(address, SyncPath.leave, leave), seconds: limits.requestSeconds)
            },
            forward: { address, message async throws(PeerError) in try await forward(message, to: address) })
    }

    // MARK: Streams

    private func pull(from address: MemberAddress, after point: BlockPoint) async throws(PeerError) -> IncomingStream {
        let request = get(address, "\(SyncPath.stream)?after=\(point.height)&hash=\(point.hash)")
        let body: HTTPClientResponse.Body
        do {
            body = try await withTimeLimit(seconds: limits.requestSeconds) {
                let response = try await client.execute(request, deadline: .distantFuture)
                try await checkStatus(response)
                return response.body
            }
        } catch {
            throw PeerError(error)
        }
        let stream = try await IncomingStream(reading: body, limits: limits.stream)
        guard stream.header.after == point else {
            throw .invalid(reason: "the stream begins after another block than the one asked for")
        }
        return stream
    }

    private func push(_ stream: OutgoingStream, to address: MemberAddress) async throws(PeerError) -> PushAnswer {
        let activity = Activity()
        var request = get(address, SyncPath.stream)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/octet-stream")
        let buffers = OutgoingBuffers(stream: stream, onDemand: { activity.note() })
        request.body = .stream(buffers, length: .unknown)
        let content: ByteBuffer
        do {
            content = try await withIdleLimit(seconds: limits.pushIdleSeconds, activity) { [request] in
                try await self.content(request, seconds: limits.stream.totalSeconds)
            }
        } catch {
            throw PeerError(error)
        }
        return try decode(content)
    }

    // MARK: Messages

    private func forward(
        _ message: ForwardMessage, to address: MemberAddress
    ) async throws(PeerError) -> [ForwardOutcome] {
        var request = get(address, SyncPath.forward)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/octet-stream")
        request.body = .bytes(message.encoded)
        let content = try await content(
            request, seconds: limits.forwardSeconds, sizeBytesMax: ForwardAnswer.sizeBytesMax)
        do throws(StreamError) {
            return try ForwardAnswer.decode(content, count: message.requests.count)
        } catch {
            throw .invalid(reason: "no answer to forwarded appends")
        }
    }

    private func get(_ address: MemberAddress, _ path: String) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: address.description + path)
        // Who prefers HTML gets a page for people.
        request.headers.add(name: "Accept", value: "application/json")
        credentials().apply(to: &request)
        return request
    }

    private func post(
        _ address: MemberAddress, _ path: String, _ message: some Encodable
    ) throws(PeerError) -> HTTPClientRequest {
        var request = get(address, path)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        do {
            request.body = .bytes(try MessageCoding.encode(message))
        } catch {
            throw PeerError(error)
        }
        return request
    }

    private func message<Message: Decodable>(
        _ request: HTTPClientRequest, seconds: Double, sizeBytesMax: Int = MessageLimits.sizeBytesMax
    ) async throws(PeerError) -> Message {
        try decode(try await content(request, seconds: seconds, sizeBytesMax: sizeBytesMax))
    }

    private func decode<Message: Decodable>(_ content: ByteBuffer) throws(PeerError) -> Message {
        do {
            return try MessageCoding.decode(from: content)
        } catch {
            throw PeerError(error)
        }
    }

    /// Sends a request, and reads the answer if it is a good one.
    private func content(
        _ request: HTTPClientRequest, seconds: Double, sizeBytesMax: Int = MessageLimits.sizeBytesMax
    ) async throws(PeerError) -> ByteBuffer {
        do {
            return try await withTimeLimit(seconds: seconds) {
                let response = try await client.execute(request, deadline: .distantFuture)
                try await checkStatus(response)
                return try await response.body.collect(upTo: sizeBytesMax)
            }
        } catch {
            throw PeerError(error)
        }
    }

    /// Throws for an answer other than 200.
    private func checkStatus(_ response: HTTPClientResponse) async throws {
        guard response.status != .ok else { return }
        let status = Int(response.status.code)
        if 300..<400 ~= status {
            throw PeerError.redirect(location: oneLine(response.headers.first(name: "Location") ?? "nowhere"))
        }
        let content = try await response.body.collect(upTo: MessageLimits.sizeBytesMax)
        let detail: String
        do {
            detail = oneLine(try MessageCoding.decode(Refusal.self, from: content).detail)
        } catch {
            // Not every server in between says why in our shape.
            detail = ""
        }
        throw PeerError.refused(status: status, detail: detail)
    }

    /// The reason of an answer other than 200, in either of its shapes.
    private struct Refusal: Decodable {
        enum CodingKeys: CodingKey { case detail }
        struct Fault: Decodable { let msg: String }

        let detail: String

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            do {
                detail = try container.decode(String.self, forKey: .detail)
            } catch DecodingError.typeMismatch {
                detail = try container.decode([Fault].self, forKey: .detail).first?.msg ?? ""
            }
        }
    }
}
