// Listens to server-sent events, as a browser does.

import AsyncHTTPClient
import Foundation
import NIOCore

/// One event.
public struct ServerSentEvent: Equatable, Sendable {
    public var id: String?
    public var event = ""
    public var data = ""

    init?(_ text: String) {
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let value = parts.count == 2 ? String(parts[1].drop { $0 == " " }) : ""
            switch parts.first {
            case "id": id = value
            case "event": event = value
            case "data": data += value
            default: break
            }
        }
        // A comment, or how long to wait before coming again, is no event.
        if event.isEmpty { return nil }
    }

    /// The data decoded from JSON.
    public func json<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
        try JSONDecoder().decode(type, from: Data(data.utf8))
    }
}

/// A stream of events, for one task.
public final class EventListener {
    private var body: HTTPClientResponse.Body.AsyncIterator
    private var received = ByteBuffer()

    init(_ response: HTTPClientResponse) {
        body = response.body.makeAsyncIterator()
    }

    /// The next event; `nil` at the end of the stream.
    public func next() async throws -> ServerSentEvent? {
        while let text = try await text() {
            if let event = ServerSentEvent(text) { return event }
        }
        return nil
    }

    /// The next events; fewer at the end of the stream.
    public func next(_ count: Int) async throws -> [ServerSentEvent] {
        var events: [ServerSentEvent] = []
        while events.count < count, let event = try await next() { events.append(event) }
        return events
    }

    /// What comes before the next empty line.
    private func text() async throws -> String? {
        var searchedBytes = 0
        while true {
            let view = received.readableBytesView
            if let end = view.dropFirst(searchedBytes).firstRange(of: [10, 10]) {
                let text = received.readString(length: end.lowerBound - view.startIndex)
                received.moveReaderIndex(forwardBy: 2)
                return text
            }
            searchedBytes = max(0, view.count - 1)
            guard var part = try await body.next() else { return nil }
            received.discardReadBytes()
            received.writeBuffer(&part)
        }
    }
}

extension HTTPTestClient {
    /// Listens to the events of a path.
    ///
    /// - Throws: `TestSupportError` unless the answer is a stream of events.
    public func listen(
        _ path: String = "/blocks/events", fields: [String: String] = [:], timeoutSeconds: Int64 = 60
    ) async throws -> EventListener {
        let response = try await open(path, fields: fields, timeoutSeconds: timeoutSeconds)
        guard response.status == .ok, response.headers.first(name: "content-type") == "text/event-stream" else {
            throw TestSupportError("\(response.status) is no stream of events")
        }
        return EventListener(response)
    }
}
