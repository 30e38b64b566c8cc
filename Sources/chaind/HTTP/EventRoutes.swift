// `GET /blocks/events`: the list as it grows, as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

import Chain
import HTTPTypes
import Hummingbird
import NIOCore
import ServiceLifecycle
import Synchronization

/// Tells those who listen of each block, and of blocks that were replaced.
struct EventRoutes: Sendable {
    /// Who was at the end of the list and falls behind so far does not take events as fast as they come.
    private static let lagBlocksMax = 10_000
    /// After so long without a block a comment is sent, so that a connection that is gone is noticed.
    private static let silenceSeconds = 15.0
    /// How long it may take until it is known where a block that was replaced was.
    private static let replacedSeconds = 30.0
    private static let retrySeconds = 0.1

    private let list: BlockList
    private let tail: LiveTail
    private let memory: MemoryBudget
    private let listeners: ListenerCount

    init(list: BlockList, memory: MemoryBudget, listeners: ListenerCount) {
        self.list = list
        self.memory = memory
        self.listeners = listeners
        tail = LiveTail(list: list)
    }

    /// Begins after `Last-Event-ID`, at `from`, or with the head.
    func listen(_ request: Request) async throws -> Response {
        let start = try await start(of: request)
        guard let listener = listeners.begin() else {
            throw HTTPFailure(.serviceUnavailable, "too many listen already: at most \(listeners.max)")
        }
        return Response(
            status: .ok, headers: [.contentType: "text/event-stream", .cacheControl: "no-cache"],
            body: ResponseBody { writer in
                try await writer.write(ByteBuffer(string: "retry: 1000\n\n"))
                let reason = try await tell(from: start, &writer)
                try await writer.write(.droppedEvent(reason))
                try await writer.finish(nil)
                withExtendedLifetime(listener) {}
            })
    }

    private func start(of request: Request) async throws -> BlockPoint {
        if let id = request.headers.first(where: { $0.name.canonicalName == "last-event-id" })?.value, !id.isEmpty {
            guard let point = BlockPoint(eventID: id) else {
                throw HTTPFailure(
                    RequestFault(["header", "last-event-id"], "value is not HEIGHT-HASH", type: "value_error"))
            }
            return point
        }
        let head = list.height
        let height = min(try request.uri.number("from") ?? head, head + 1) - 1
        guard height >= 0 else { return .beforeGenesis }
        guard let hash = try await list.storedHashes(at: [height]).first ?? nil else {
            throw ReadError.damaged(height: height)
        }
        return BlockPoint(height: height, hash: hash)
    }

    /// Tells of what follows a block, for as long as that can be done.
    ///
    /// - Returns: why it ends.
    private func tell(from start: BlockPoint, _ writer: inout any ResponseBodyWriter) async throws -> String {
        var point = start
        var wasAtEnd = false
        while !Task.isShuttingDownGracefully {
            do {
                switch try await tail.next(after: point) {
                case .chunk(let chunk):
                    let share = memory.share()
                    guard share.grow(by: chunk.events.readableBytes) else { return "too much is under way" }
                    try await writer.write(chunk.events)
                    withExtendedLifetime(share) {}
                    point = chunk.end
                case .nothing:
                    wasAtEnd = true
                    if try await !isChanged(from: point) { try await writer.write(ByteBuffer(string: ": \n\n")) }
                case .notListed:
                    let listed = try await lastListed(from: point)
                    if listed != point { try await writer.write(.replacedEvent(after: listed)) }
                    point = listed
                }
            } catch let error as ReadError {
                return error.description
            }
            if wasAtEnd, list.height - point.height > Self.lagBlocksMax {
                return "too slow: \(list.height - point.height) blocks behind"
            }
        }
        return "the node stops"
    }

    /// Waits until the list goes on after its head, or the node stops.
    ///
    /// - Returns: false if nothing has happened for some time.
    private func isChanged(from head: BlockPoint) async throws -> Bool {
        do {
            try await withTimeLimit(seconds: Self.silenceSeconds) { [list] in
                await cancelWhenGracefulShutdown { await list.headChange(from: head.hash) }
            }
            return true
        } catch is TimeLimitExceeded {
            return false
        }
    }

    /// The last block of the list among those up to one that may have been replaced; the genesis if that was never here.
    private func lastListed(from point: BlockPoint) async throws -> BlockPoint {
        let start = ContinuousClock.now
        while true {
            do throws(ReadError) {
                let listed = try await list.lastListed(from: point.height, hash: point.hash)
                return listed.map { BlockPoint(height: $0.height, hash: $0.hash) } ?? .genesis
            } catch {
                // It was replaced just now, and is not among the orphans yet.
                guard error == .hashesIncomplete, ContinuousClock.now - start < .seconds(Self.replacedSeconds) else {
                    throw error
                }
            }
            try await Task.sleep(for: .seconds(Self.retrySeconds))
        }
    }
}

/// Counts those who listen. Each is one for as long as it is kept.
final class ListenerCount: Sendable {
    let max: Int
    private let count = Atomic(0)

    /// How many there are.
    var value: Int { count.load(ordering: .relaxed) }

    init(max: Int) {
        self.max = max
    }

    /// - Returns: `nil` if there are enough.
    func begin() -> Listener? {
        guard count.add(1, ordering: .relaxed).newValue <= max else {
            count.subtract(1, ordering: .relaxed)
            return nil
        }
        return Listener(self)
    }

    final class Listener: Sendable {
        private let listeners: ListenerCount

        fileprivate init(_ listeners: ListenerCount) {
            self.listeners = listeners
        }

        deinit { listeners.count.subtract(1, ordering: .relaxed) }
    }
}

extension ByteBuffer {
    /// The blocks after one were replaced by others. The genesis, where nothing is known of what was there.
    fileprivate static func replacedEvent(after point: BlockPoint) -> ByteBuffer {
        let data = "{\"height\":\(point.height),\"hash\":\"\(point.hash)\"}"
        return ByteBuffer(string: "id: \(point.eventID)\nevent: replaced\ndata: \(data)\n\n")
    }

    /// The last event.
    fileprivate static func droppedEvent(_ reason: String) -> ByteBuffer {
        var event = ByteBuffer(string: "event: dropped\ndata: {\"reason\":")
        event.writeJSON(reason)
        event.writeStaticString("}\n\n")
        return event
    }
}
