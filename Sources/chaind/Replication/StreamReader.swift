// Reads a block stream from the body of a request or an answer, as fast as its parts are asked for and no faster.

import Hummingbird
import NIOCore

/// So much is read under one time limit.
private let readSizeBytesMin = 1 << 20

/// The body of one stream, with its decoder. The state belongs to this actor alone.
private actor StreamReader<Body: AsyncSequence & Sendable> where Body.Element == ByteBuffer {
    private let limits: StreamLimits
    private let deadline: ContinuousClock.Instant
    private var iterator: Body.AsyncIterator
    private var decoder = BlockStreamDecoder()
    private var pace: StreamPace
    /// What the last wait brought.
    private var readBytes = 0
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
            if let part { return part }
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

    /// Waits for more bytes.
    ///
    /// - Returns: false if the body is at its end.
    private func readMore() async throws(PeerError) -> Bool {
        if let failure { throw failure }
        let start = ContinuousClock.now
        let seconds = min(limits.idleSeconds, (deadline - start) / .seconds(1))
        readBytes = 0
        do {
            try await withTimeLimit(seconds: seconds) { try await self.readSome() }
            try Task.checkCancellation()
            try pace.record(sizeBytes: readBytes, waitedSeconds: (ContinuousClock.now - start) / .seconds(1))
        } catch {
            // What came before is taken first.
            failure = PeerError(error)
            guard readBytes > 0 else { throw PeerError(error) }
        }
        return readBytes > 0 || !isAtEnd
    }

    /// Reads until there is much, or some after a moment: a time limit for each buffer would cost more than the buffer.
    private func readSome() async throws {
        let end = ContinuousClock.now + .milliseconds(50)
        repeat {
            var iterator = self.iterator
            let bytes = try await iterator.next(isolation: self)
            self.iterator = iterator
            guard let bytes else {
                isAtEnd = true
                return
            }
            decoder.append(bytes)
            readBytes += bytes.readableBytes
        } while readBytes < readSizeBytesMin && ContinuousClock.now < end
    }
}

extension IncomingStream {
    /// Reads the header of the stream that a body holds. The rest of the body is read as its parts are asked for.
    init(
        reading body: some AsyncSequence<ByteBuffer, any Error> & Sendable, limits: StreamLimits = StreamLimits()
    ) async throws(PeerError) {
        let reader = StreamReader(body, limits: limits)
        let header = try await reader.header()
        self.init(header: header, next: { () async throws(PeerError) in try await reader.nextPart() })
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
