// Streams and messages with random damage: refused or taken, but never a crash, and never a run that is not whole.

import Chain
import NIOCore
import TestSupport
import Testing

@testable import chaind

@Suite struct ReplicationDamageTests {
    /// Flips, cuts, inserts and repeats bytes, a few times.
    private func damage(_ bytes: [UInt8], using random: inout SeededGenerator) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
            let index = Int.random(in: 0..<bytes.count, using: &random)
            let end = min(bytes.count, index + Int.random(in: 1...200, using: &random))
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes[index] = UInt8.random(in: 0...255, using: &random)
            case 2: bytes.removeSubrange(index..<end)
            case 3: bytes.removeSubrange(index...)
            case 4: bytes.insert(contentsOf: bytes[index..<end], at: index)
            default:
                let noise = (index..<end).map { _ in UInt8.random(in: 0...255, using: &random) }
                bytes.insert(contentsOf: noise, at: index)
            }
        }
        return bytes
    }

    @Test(arguments: 1...10)
    func damagedStreamsAreRefusedOrWhole(seed: UInt64) throws {
        let sample = StreamSample(seed: seed, blocks: 20, runBlocksMax: 6)
        let bytes = sample.bytes
        var random = SeededGenerator(seed: seed)
        for _ in 0..<150 {
            let damaged = damage(bytes, using: &random)
            let pieces = (0..<5).map { _ in Int.random(in: 1...(bytes.count + 1), using: &random) }
            let decoded = DecodedStream(damaged, pieceSizes: pieces)
            let header = decoded.header ?? sample.header
            var height = header.after.height + 1
            for part in decoded.parts {
                guard case .run(let run) = part else { continue }
                #expect(run.firstHeight == height)
                #expect(run == BlockRun(firstHeight: height, count: run.count, content: run.content))
                height = run.endHeight
            }
            #expect(height <= header.head.height + 1)
            if case .end? = decoded.parts.last { #expect(height == header.head.height + 1) }
            #expect(decoded == DecodedStream(damaged, pieceSizes: [1 + Int(seed)]), "pieces make no difference")
        }
    }

    /// One bit anywhere in the columns of fixed width and in the data: the run may still be whole, the hashes tell.
    @Test func aFlippedBitIsRefusedOrChangesWhatArrives() {
        let sample = StreamSample(seed: 5, blocks: 10, runBlocksMax: 4)
        let bytes = sample.bytes
        for index in bytes.indices {
            var damaged = bytes
            damaged[index] ^= 1 << UInt8(index % 8)
            let decoded = DecodedStream(damaged)
            #expect(decoded.error != nil || decoded.header != sample.header || decoded.parts != sample.parts)
        }
    }

    @Test(arguments: 1...10)
    func damagedMessagesAreRefusedOrWithinTheLimits(seed: UInt64) throws {
        let document = try ProtocolDocument()
        let titles = ["GET /", "POST /sync/status", "POST /sync/locate", "POST /sync/stream", "POST /sync/leave"]
        let examples = try titles.flatMap { try document.examples(under: $0) }
        #expect(examples.count == 6)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            for example in examples {
                try expectHarmless(ByteBuffer(bytes: damage(Array(example.utf8), using: &random)))
            }
        }
    }

    private func expectHarmless(_ bytes: ByteBuffer) throws {
        func decoded<Message: Decodable>(_ type: Message.Type) -> Message? {
            do throws(MessageError) {
                return try MessageCoding.decode(type, from: bytes)
            } catch {
                #expect(!error.description.isEmpty && !error.description.contains("\n"))
                return nil
            }
        }
        let heights = 0...MessageLimits.heightMax
        if let status = decoded(StatusMessage.self) {
            #expect(heights ~= status.head.height && status.timeSeconds >= 0)
            #expect(status.members.allSatisfy { 0...MessageLimits.counterMax ~= $0.counter })
        }
        if let health = decoded(HealthMessage.self) { #expect(heights ~= health.head.height) }
        if let request = decoded(LocateRequest.self) { #expect(request.points.count <= MessageLimits.pointsMax) }
        if let answer = decoded(PushAnswer.self) { #expect(answer.detail.count <= 300) }
        _ = decoded(LocateAnswer.self)
        _ = decoded(LeaveMessage.self)
    }
}
