// Reads a block stream from the body of a request or an answer: a few megabytes ahead of what is asked for, so that the
// next blocks come while those before them are stored.

import Hummingbird
import NIOCore

/// So much is read under one time limit.
private let readSizeBytesMin = 1 << 20
/// Nothing is read ahead while there is so much.
private let aheadSizeBytesMax = 8 << 20

/// The body of one stream, with its decoder. The state belongs to this actor alone.
private actor StreamReader<Body: AsyncSequence & Sendable> where Body.Element == ByteBuffer {
    private let limits: StreamLimits
    private let deadline: ContinuousClock.Instant
    private var iterator: Body.AsyncIterator
    private var decoder = BlockStreamDecoder()
    private var pace: StreamPace
    /// The read that is under way.
    private var reading: Task<Void, Never>?
    private var isAtEnd = false
    /// Why nothing more comes.
    private var failure: PeerError?

    init(_ body: Body, limits: StreamLimits) {
        self.limits = limits
        deadline = .now + .seconds(limits.totalSeconds)
        iterator = body.makeAsyncIterator()
        pace = StreamPace(limits)
    }

    func header() async throws(PeerError) -> StreamHeader {
        while true {
            do throws(StreamError) {
                if let header = try decoder.nextHeader() { return header }
            } catch {
                throw PeerError(error)
            }
            guard try await readMore() else { throw .invalid(reason: "the stream ends in its header") }
        }
    }

    func nextPart() async throws(PeerError) -> StreamPart? {
        while true {
            let part: StreamPart?
            do throws(StreamError) {
                part = try decoder.nextPart()
            } catch {
                throw PeerError(error)
            }
            if decoder.isAtEnd {
                // Only now can it be told that nothing follows; and the connection can serve another request.
                while try await readMore() { try checkNothingFollows() }
                return part
            }
            if let part {
                if decoder.bufferedSizeBytes < aheadSizeBytesMax { startReading() }
                return part
            }
            guard try await readMore() else { return nil }
        }
    }

    private func checkNothingFollows() throws(PeerError) {
        do throws(StreamError) {
            _ = try decoder.nextPart()
        } catch {
            throw PeerError(error)
        }
    }

    /// Whether `nextPart` need not wait.
    var isNextThere: Bool { decoder.isNextThere }

    /// Waits for more bytes.
    ///
    /// - Returns: false if the body is at its end.
    private func readMore() async throws(PeerError) -> Bool {
        startReading()
        guard let reading else {
            if let failure { throw failure }
            return false
        }
        await withTaskCancellationHandler {
            await reading.value
        } onCancel: {
            reading.cancel()
        }
        return true
    }

    /// Ends the read that is under way.
    func stop() { reading?.cancel() }

    private func startReading() {
        guard reading == nil, !isAtEnd, failure == nil else { return }
        reading = Task {
            do throws(PeerError) {
                try await read()
            } catch {
                // What came before is taken first.
                failure = error
            }
            reading = nil
        }
    }

    /// Reads until there is much, or some after a moment: a time limit for each buffer would cost more than the buffer.
    private func read() async throws(PeerError) {
        let start = ContinuousClock.now
        let sizeBytes = decoder.takenSizeBytes
        do {
            try await withTimeLimit(seconds: min(limits.idleSeconds, (deadline - start) / .seconds(1))) {
                try await self.readSome()
            }
            try Task.checkCancellation()
            try pace.record(
                sizeBytes: decoder.takenSizeBytes - sizeBytes,
                waitedSeconds: (ContinuousClock.now - start) / .seconds(1))
        } catch {
            throw PeerError(error)
        }
    }

    private func readSome() async throws {
        let end = decoder.takenSizeBytes + readSizeBytesMin
        let deadline = ContinuousClock.now + .milliseconds(50)
        repeat {
            var iterator = self.iterator
            let bytes = try await iterator.next(isolation: self)
            self.iterator = iterator
            guard let bytes else {
                isAtEnd = true
                return
            }
            decoder.append(bytes)
        } while decoder.takenSizeBytes < end && ContinuousClock.now < deadline
    }
}

/// Who has the stream. Without it, nobody waits for what is being read ahead.
private final class StreamHolder<Body: AsyncSequence & Sendable>: Sendable where Body.Element == ByteBuffer {
    let reader: StreamReader<Body>

    init(_ reader: StreamReader<Body>) {
        self.reader = reader
    }

    deinit {
        Task { [reader] in await reader.stop() }
    }
}

extension IncomingStream {
    /// Reads the header of the stream that a body holds. The rest of the body is read as its parts are asked for.
    init(
        reading body: some AsyncSequence<ByteBuffer, any Error> & Sendable, limits: StreamLimits = StreamLimits()
    ) async throws(PeerError) {
        let holder = StreamHolder(StreamReader(body, limits: limits))
        let header = try await holder.reader.header()
        self.init(
            header: header, next: { () async throws(PeerError) in try await holder.reader.nextPart() },
            isNextThere: { await holder.reader.isNextThere })
    }
}

extension Request {
    /// Reads the header of the stream that the body holds. The rest is read as its parts are asked for.
    func blockStream(
        context: ConnectionContext, limits: StreamLimits = StreamLimits()
    ) async throws(PeerError) -> IncomingStream {
        do {
            try await continueIfExpected(context: context)
        } catch {
            throw PeerError(error)
        }
        return try await IncomingStream(reading: body, limits: limits)
    }
}
