// A stream on its way out as the buffers of a body, made as they are asked for.

import Hummingbird
import NIOCore

/// The bytes of a stream. Small parts go together, so that a new block takes one write and not three.
struct OutgoingBuffers: AsyncSequence, Sendable {
    typealias Element = ByteBuffer

    /// A buffer of at least this size is sent.
    private static let sizeBytesMin = 64 << 10

    let stream: OutgoingStream
    /// Called when the next buffer is asked for: whoever takes the stream is still there.
    var onDemand: @Sendable () -> Void = {}

    func makeAsyncIterator() -> Iterator {
        Iterator(stream: stream, onDemand: onDemand)
    }

    struct Iterator: AsyncIteratorProtocol {
        let stream: OutgoingStream
        let onDemand: @Sendable () -> Void
        private var hasBegun = false
        private var isAtEnd = false

        fileprivate init(stream: OutgoingStream, onDemand: @escaping @Sendable () -> Void) {
            self.stream = stream
            self.onDemand = onDemand
        }

        mutating func next() async -> ByteBuffer? {
            onDemand()
            guard !isAtEnd else { return nil }
            var buffer = ByteBuffer()
            if !hasBegun { buffer.writeStreamHeader(stream.header) }
            hasBegun = true
            while buffer.readableBytes < OutgoingBuffers.sizeBytesMin {
                guard let part = await stream.next() else {
                    isAtEnd = true
                    break
                }
                buffer.writeStreamPart(part)
            }
            return buffer.readableBytes > 0 ? buffer : nil
        }
    }
}

extension ResponseBody {
    /// The stream as the body of an answer. The server waits for the client between the buffers; a client that does not
    /// take them is cut off by `WriteDeadlineHandler`, and one that takes them slowly when the time for all is over.
    init(_ stream: OutgoingStream, limits: StreamLimits = StreamLimits()) {
        self.init { writer in
            let deadline = ContinuousClock.now + .seconds(limits.totalSeconds)
            for await buffer in OutgoingBuffers(stream: stream) {
                guard ContinuousClock.now < deadline else { throw PeerError.timedOut }
                try await writer.write(buffer)
            }
            try await writer.finish(nil)
        }
    }
}
