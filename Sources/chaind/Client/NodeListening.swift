// Listens to a node's events, and comes again when the connection is lost.

import AsyncHTTPClient
import Chain
import Foundation
import NIOCore

/// What is told of a list, from one connection to the next.
struct NodeListening {
    enum News {
        case block(Block)
        /// The blocks after this one gave way to others.
        case replaced(BlockPoint)
        /// The connection is lost, and is made again at the next call.
        case lost(reason: String)
    }

    private static let pauseSeconds = 1.0
    private static let eventSizeBytesMax = 128 << 20

    private struct Point: Decodable {
        let height: Int
        let hash: Hash
    }

    private struct Reason: Decodable {
        let reason: String
    }

    private let client: NodeClient
    private let from: Int?
    private var last: BlockPoint?
    private var body: HTTPClientResponse.Body.AsyncIterator?
    private var parser = EventParser()
    private var isAgain = false

    /// - Parameter from: the height to begin at; `nil` for the head's.
    init(client: NodeClient, from: Int?) {
        self.client = client
        self.from = from
    }

    /// Waits for what comes next.
    ///
    /// - Throws: `CommandError` if the node refuses or a block is not right; `CancellationError`.
    mutating func next() async throws -> News {
        while true {
            try Task.checkCancellation()
            if let event = parser.next() {
                if let news = try news(of: event) { return news }
                continue
            }
            do {
                if body == nil { try await connect() }
                guard let part = try await body?.next() else { throw CommandError("the connection ended") }
                parser.feed(part)
                guard parser.sizeBytes <= Self.eventSizeBytesMax else {
                    throw Refusal(reason: "\(client.url): an event is too large")
                }
            } catch let error as Refusal {
                throw CommandError(error.reason)
            } catch let error as CancellationError {
                throw error
            } catch {
                try Task.checkCancellation()
                return lost("\(client.url): \(connectionReason(of: error))")
            }
        }
    }

    private mutating func news(of event: EventParser.Event) throws -> News? {
        let data = Data(event.data.utf8)
        do {
            switch event.name {
            case "block":
                let block = try JSONDecoder().decode(AnsweredBlock.self, from: data).block()
                guard last == nil || last?.hash == block.previousHash else {
                    throw CommandError("block \(block.height) does not continue the one before")
                }
                last = BlockPoint(height: block.height, hash: block.hash)
                return .block(block)
            case "replaced":
                let point = try JSONDecoder().decode(Point.self, from: data)
                last = BlockPoint(height: point.height, hash: point.hash)
                return .replaced(BlockPoint(height: point.height, hash: point.hash))
            case "dropped": return lost(try JSONDecoder().decode(Reason.self, from: data).reason)
            default: return nil
            }
        } catch is DecodingError {
            throw CommandError("\(client.url): does not answer as a node does")
        }
    }

    private mutating func lost(_ reason: String) -> News {
        body = nil
        parser = EventParser()
        return .lost(reason: reason)
    }

    private struct Refusal: Error {
        let reason: String
    }

    private mutating func connect() async throws {
        if isAgain { try await Task.sleep(for: .seconds(Self.pauseSeconds)) }
        isAgain = true
        let response = try await client.listen(
            "/blocks/events" + (last == nil ? from.map { "?from=\($0)" } ?? "" : ""),
            lastEventID: last?.eventID)
        switch response.status.code {
        case 200: body = response.body.makeAsyncIterator()
        case 400..<500: throw Refusal(reason: "\(client.url): the node refuses with status \(response.status.code)")
        default: throw CommandError("status \(response.status.code)")
        }
    }
}

/// Cuts a stream into events.
struct EventParser {
    struct Event: Equatable {
        var name = ""
        var data = ""
    }

    private var received = ByteBuffer()
    private var searchedBytes = 0

    /// What is kept until its event is whole.
    var sizeBytes: Int { received.readableBytes }

    mutating func feed(_ part: ByteBuffer) {
        received.discardReadBytes()
        received.writeImmutableBuffer(part)
    }

    /// The next whole event; `nil` if more has to come.
    mutating func next() -> Event? {
        let view = received.readableBytesView
        guard let end = view.dropFirst(searchedBytes).firstRange(of: [10, 10]) else {
            searchedBytes = max(0, view.count - 1)
            return nil
        }
        let lines = view[..<end.lowerBound].split(separator: 10)
        var event = Event()
        for line in lines {
            let parts = line.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { continue }
            let value = String(
                decoding: parts[1].first == UInt8(ascii: " ") ? parts[1].dropFirst() : parts[1], as: UTF8.self)
            switch String(decoding: parts[0], as: UTF8.self) {
            case "event": event.name = value
            case "data": event.data += value
            default: break
            }
        }
        received.moveReaderIndex(forwardBy: view.distance(from: view.startIndex, to: end.upperBound))
        searchedBytes = 0
        return event
    }
}
