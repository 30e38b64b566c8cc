// Block streams over HTTP: pulled and pushed, whole, cut, endless, slow, and refused on the way.

import Chain
import Hummingbird
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import chaind

@Suite struct PeerStreamTests {
    /// What a stream came to: its parts, and the error that ended it.
    private func outcome(
        _ stream: () async throws(PeerError) -> IncomingStream
    ) async -> (parts: [StreamPart], error: PeerError?) {
        var parts: [StreamPart] = []
        do throws(PeerError) {
            let stream = try await stream()
            while let part = try await stream.next() { parts.append(part) }
            return (parts, nil)
        } catch {
            return (parts, error)
        }
    }

    private func pulled(
        limits: PeerClient.Limits = .hasty, after point: BlockPoint = Block.genesis.point,
        from respond: @escaping @Sendable (Request, ConnectionContext) async throws -> Response
    ) async throws -> (parts: [StreamPart], error: PeerError?) {
        var found: (parts: [StreamPart], error: PeerError?) = ([], nil)
        try await withPeerServer(respond: respond) { address in
            try await withPeerClient(limits) { transport in
                found = await outcome { () async throws(PeerError) in try await transport.pull(address, point) }
            }
        }
        return found
    }

    // MARK: Pull

    @Test func aPulledStreamIsTheOneThatWasSent() async throws {
        let sample = StreamSample(seed: 21, blocks: 3_000, runBlocksMax: 256)
        let found = try await pulled { request, _ in
            #expect(request.uri.path == "/sync/stream")
            #expect(request.uri.query == "after=0&hash=\(Block.genesis.hash)")
            return Response(status: .ok, body: ResponseBody(sample.outgoing))
        }
        #expect(found.error == nil)
        #expect(found.parts == sample.parts)
    }

    @Test func aStreamThatBeginsElsewhereIsRefused() async throws {
        let found = try await pulled(after: Block.hello.point) { _, _ in
            Response(status: .ok, body: ResponseBody(StreamSample.hello.outgoing))
        }
        #expect(found.parts.isEmpty)
        #expect(found.error?.description.contains("begins after another block") == true)
    }

    @Test(arguments: [0, 4, 50, 93, 95, 110, 2_000, 10_000])
    func aStreamThatIsCutGivesWhatCame(length: Int) async throws {
        let sample = StreamSample(seed: 22, blocks: 300)
        struct Cut: Error {}
        for breaks in [false, true] {
            let found = try await pulled { _, _ in
                .body { writer in
                    try await writer.write(ByteBuffer(bytes: sample.bytes.prefix(length)))
                    if breaks {
                        // What was written is received first.
                        try await Task.sleep(for: .milliseconds(50))
                        throw Cut()
                    }
                    try await writer.finish(nil)
                }
            }
            #expect(found.parts == Array(sample.parts.prefix(found.parts.count)))
            #expect(found.parts == DecodedStream(Array(sample.bytes.prefix(length))).parts)
            #expect((found.error == nil) == (!breaks && length >= BlockStream.headerSizeBytes))
            // Nobody is to blame for a connection that breaks, so that what came is kept.
            if breaks, case .invalid(let reason) = found.error { Issue.record("blamed: \(reason)") }
        }
    }

    @Test func aBadBlockEndsTheStreamWithItsHeight() async throws {
        let sample = StreamSample(seed: 23, blocks: 100)
        let found = try await pulled { _, _ in
            let parts = sample.parts.filter { $0 != sample.parts[2] }
            return Response(status: .ok, body: ResponseBody(OutgoingStream(header: sample.header, parts: parts)))
        }
        #expect(found.parts == Array(sample.parts.prefix(2)))
        #expect(found.error?.description.contains("goes on at height") == true)
    }

    @Test func anEndlessStreamIsRefused() async throws {
        for beginning in [[], StreamSample.hello.bytes, Array(StreamSample.hello.bytes.prefix(93))] {
            let found = try await pulled { _, _ in
                .body { writer in
                    try await writer.write(ByteBuffer(bytes: beginning))
                    for _ in 0..<1_000_000 { try await writer.write(ByteBuffer(repeating: 1, count: 64 << 10)) }
                }
            }
            #expect(found.error?.description.hasPrefix("not of the protocol: ") == true)
        }
    }

    @Test func aTrickleIsTooSlow() async throws {
        let bytes = StreamSample(seed: 24, blocks: 300).bytes
        let start = ContinuousClock.now
        let found = try await pulled { _, _ in
            .body { writer in
                for byte in bytes {
                    try await writer.write(ByteBuffer(bytes: [byte]))
                    try await Task.sleep(for: .milliseconds(100))
                }
            }
        }
        #expect(found.error == .tooSlow)
        #expect(ContinuousClock.now - start < .seconds(20))
    }

    @Test func aStreamThatStallsTimesOut() async throws {
        let bytes = StreamSample(seed: 25, blocks: 300).bytes
        for length in [0, 50, 3_000] {
            let found = try await pulled { _, _ in
                .body { writer in
                    try await writer.write(ByteBuffer(bytes: bytes.prefix(length)))
                    try await Task.sleep(for: .seconds(2))
                }
            }
            #expect(found.error == .timedOut)
        }
    }

    /// The sender is held back by a receiver that takes its time, and is not blamed for it.
    @Test func aSlowReceiverHoldsTheSenderBack() async throws {
        let block = Block(
            height: 1, timestamp: 1_700_000_000, data: String(repeating: "x", count: 1 << 20),
            previousHash: Block.genesis.hash)
        var blocks = [Block.genesis, block]
        while blocks.count < 100 {
            let last = blocks[blocks.count - 1]
            blocks.append(
                Block(height: last.height + 1, timestamp: last.timestamp, data: last.data, previousHash: last.hash))
        }
        let header = StreamHeader(after: blocks[0].point, head: blocks[99].point, finalHeight: 0)
        let parts = try blocks[1...].map { StreamPart.run(try #require(StreamSample.run(of: [$0]))) } + [.end]
        let sent = Mutex(0)
        try await withPeerServer { _, _ in
            let stream = OutgoingStream(header: header, parts: parts)
            let counted = OutgoingStream(
                header: header,
                next: {
                    sent.withLock { $0 += 1 }
                    return await stream.next()
                })
            return Response(status: .ok, body: ResponseBody(counted))
        } _: { address in
            try await withPeerClient { transport in
                let stream = try await transport.pull(address, header.after)
                // Longer than anything may take to come. The system's buffers alone may take 36 MiB.
                try await Task.sleep(for: .seconds(2))
                #expect(sent.withLock { $0 } < 70)
                #expect(try await stream.collect() == parts)
            }
        }
    }

    @Test func cancellingEndsAStream() async throws {
        try await withPeerServer { _, _ in
            .body { writer in
                try await writer.write(ByteBuffer(bytes: StreamSample.hello.bytes.prefix(100)))
                try await Task.sleep(for: .seconds(2))
            }
        } _: { address in
            try await withPeerClient(.patient) { transport in
                let reading = Task {
                    await outcome { () async throws(PeerError) in
                        try await transport.pull(address, Block.genesis.point)
                    }.error
                }
                try await Task.sleep(for: .milliseconds(200))
                reading.cancel()
                #expect(await reading.value == .cancelled)
            }
        }
    }

    // MARK: Push

    /// Sends a stream to a server that takes it in as a node does.
    private func pushed(
        _ stream: OutgoingStream, limits: PeerClient.Limits = .hasty, bodyTimeoutSeconds: Int = 30,
        serverLimits: StreamLimits = PeerClient.Limits.hasty.stream,
        take: @escaping @Sendable (IncomingStream) async throws -> Void = { _ in }
    ) async throws -> (received: (parts: [StreamPart], error: PeerError?), answer: Result<PushAnswer, PeerError>) {
        let received = Mutex<(parts: [StreamPart], error: PeerError?)>(([], nil))
        var answer = Result<PushAnswer, PeerError>.failure(.cancelled)
        try await withPeerServer(bodyTimeoutSeconds: bodyTimeoutSeconds) { request, context in
            #expect(request.method == .post && request.uri.path == "/sync/stream")
            let found = await outcome { () async throws(PeerError) in
                let stream = try await request.blockStream(context: context, limits: serverLimits)
                do { try await take(stream) } catch { throw PeerError(error) }
                return stream
            }
            received.withLock { $0 = found }
            let detail = found.error?.description ?? ""
            let outcome = PushAnswer.Outcome.adopted
            let answer = PushAnswer(
                outcome: detail.isEmpty ? outcome : .refused, head: Block.hello.point, detail: detail)
            let response = try Response.message(answer)
            return detail.isEmpty ? response : response.closingConnection()
        } _: { address in
            try await withPeerClient(limits) { transport in
                do throws(PeerError) {
                    answer = .success(try await transport.push(address, stream))
                } catch {
                    answer = .failure(error)
                }
            }
        }
        return (received.withLock { $0 }, answer)
    }

    @Test func aPushedStreamIsTheOneThatArrives() async throws {
        let sample = StreamSample(seed: 31, blocks: 3_000, runBlocksMax: 256)
        let found = try await pushed(sample.outgoing)
        #expect(found.received.parts == sample.parts && found.received.error == nil)
        #expect(
            found.answer == .success(PushAnswer(outcome: .adopted, head: Block.hello.point, detail: "")))
    }

    @Test func aPushThatIsRefusedOnTheWayIsAnsweredAtOnce() async throws {
        let sample = StreamSample(seed: 32, blocks: 300)
        let next = Mutex(0)
        let endless = OutgoingStream(
            header: sample.header,
            next: {
                let index = next.withLock { next in
                    next += 1
                    return next - 1
                }
                // The fourth is missing, and the last one comes again and again.
                return sample.parts[min(index < 3 ? index : index + 1, sample.parts.count - 2)]
            })
        let found = try await pushed(endless)
        guard case .success(let answer) = found.answer else {
            Issue.record("\(found.answer)")
            return
        }
        #expect(answer.outcome == .refused)
        #expect(answer.detail.contains("goes on at height"))
    }

    @Test func aPushThatEndsWithoutItsEndIsNotWhole() async throws {
        let sample = StreamSample(seed: 33, blocks: 50)
        let stream = OutgoingStream(header: sample.header, parts: sample.parts.dropLast())
        let found = try await pushed(stream)
        #expect(found.received.parts == sample.parts.dropLast())
        #expect(found.received.error == nil)
    }

    /// The time for the body of a request does not hold for a stream, which is held to a pace.
    @Test func aLongPushIsNotCutOff() async throws {
        let sample = StreamSample(seed: 34, blocks: 30)
        let slow = OutgoingStream(header: sample.header, parts: sample.parts)
        let pausing = OutgoingStream(
            header: sample.header,
            next: {
                do { try await Task.sleep(for: .milliseconds(1_500 / sample.parts.count)) } catch { return nil }
                return await slow.next()
            })
        let found = try await pushed(pausing, limits: .patient, bodyTimeoutSeconds: 1, serverLimits: StreamLimits())
        #expect(found.received.parts == sample.parts && found.received.error == nil)
    }

    @Test func aPushThatStallsTimesOutAtTheReceiver() async throws {
        let stalled = OutgoingStream(
            header: StreamSample.hello.header,
            next: {
                do { try await Task.sleep(for: .seconds(3)) } catch { return nil }
                return nil
            })
        let found = try await pushed(stalled, limits: .patient)
        #expect(found.received.error == .timedOut)
        let refusal = PushAnswer(outcome: .refused, head: Block.hello.point, detail: PeerError.timedOut.description)
        #expect(found.answer == .success(refusal))
    }

    @Test func aReceiverThatTakesNothingTimesOut() async throws {
        let sample = StreamSample(seed: 35, blocks: 100)
        let endless = OutgoingStream(header: sample.header, next: { sample.parts[0] })
        let found = try await pushed(endless) { _ in try await Task.sleep(for: .seconds(3)) }
        #expect(found.answer == .failure(.timedOut))
    }

    @Test func aReceiverThatThinksForLongTimesOut() async throws {
        let found = try await pushed(StreamSample.hello.outgoing) { _ in try await Task.sleep(for: .seconds(3)) }
        #expect(found.answer == .failure(.timedOut))
    }
}
