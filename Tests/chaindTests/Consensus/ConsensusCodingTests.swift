// What stands in etcd, and what members send the leader, as bytes.

import Chain
import Foundation
import NIOCore
import TestSupport
import Testing

@testable import chaind

@Suite("Messages and values of the consensus")
struct ConsensusCodingTests {
    private static let tags = [
        AppendTag(
            id: AppendID(session: 5, counter: 1), firstHeight: 1, blocks: 2, taken: 1_700_000_000, idempotency: nil),
        AppendTag(
            id: AppendID(session: 6, counter: 2), firstHeight: 3, blocks: 1, taken: 1_700_000_001,
            idempotency: Idempotency(key: "a key", requestHash: Block.genesis.hash)),
    ]

    private static func batch(blocks: Int, tags: [AppendTag] = tags) throws -> OrderedBatch {
        let sample = StreamSample(seed: 3, blocks: blocks)
        return try #require(
            OrderedBatch(
                previousHeight: 0, previousHash: Block.genesis.hash,
                runs: BlockRun.runs(of: Array(sample.blocks.dropFirst())), tags: tags))
    }

    // MARK: Batches

    @Test(arguments: [3, 300])
    func aBatchIsReadAsItWasWritten(blocks: Int) throws {
        let batch = try Self.batch(blocks: blocks)
        #expect(try BatchCoding.decode(BatchCoding.encode(batch)) == .whole(batch))
    }

    @Test func manyTagsAreReadAsTheyWereWritten() throws {
        let tags = (1...700).map {
            AppendTag(id: AppendID(session: 5, counter: $0), firstHeight: $0, blocks: 1, taken: 1, idempotency: nil)
        }
        let batch = try Self.batch(blocks: 700, tags: tags)
        #expect(try BatchCoding.decode(BatchCoding.encode(batch)) == .whole(batch))
    }

    @Test func aBatchInPartsNamesThem() throws {
        let bytes = BatchCoding.encodeParts(count: 9, prefix: "chaind/chunk/1/")
        #expect(try BatchCoding.decode(bytes) == .parts(count: 9, prefix: "chaind/chunk/1/"))
    }

    @Test func noBytesAreABatchThatWasNotWritten() throws {
        let bytes = BatchCoding.encode(try Self.batch(blocks: 3))
        for count in 0..<bytes.count {
            #expect(throws: StreamError.self, "the first \(count) bytes") {
                _ = try BatchCoding.decode(Array(bytes.prefix(count)))
            }
        }
        #expect(throws: StreamError.self) { _ = try BatchCoding.decode(bytes + [0]) }
        let parts = BatchCoding.encodeParts(count: 1, prefix: "x")
        #expect(throws: StreamError.self) { _ = try BatchCoding.decode(Array(parts.dropLast())) }
        #expect(throws: StreamError.self) {
            _ = try BatchCoding.decode(BatchCoding.encodeParts(count: 65, prefix: "x"))
        }
    }

    // MARK: Keys

    @Test func keysAreInTheOrderOfTheirHeights() {
        let keys = ConsensusKeys(prefix: "group")
        let heights = [0, 9, 10, 255, 256, 1 << 40 - 1]
        #expect(heights.map(keys.batch) == heights.map(keys.batch).sorted())
        #expect(heights.map { keys.height(ofBatch: keys.batch($0)) } == heights)
        #expect(keys.height(ofBatch: "group/batch/foreign") == nil)
        #expect(keys.batch(255) == "group/batch/00000000000000ff")
    }

    @Test func whatIsBelowOtherNamesIsNoneOfOurKeys() throws {
        var view = EtcdView(keys: ConsensusKeys(prefix: "group"))
        let head = try HeadRecord(height: 3, hash: Block.genesis.hash, writtenSizeBytes: 9).etcdValue()
        view.learn(.put(EtcdEntry(key: "group2/head", value: head, createRevision: 1, modRevision: 1)))
        view.learn(.put(EtcdEntry(key: "group/live/no address", value: head, createRevision: 1, modRevision: 1)))
        #expect(view.head.value == nil && view.live.isEmpty)
        view.learn(.put(EtcdEntry(key: "group/head", value: head, createRevision: 2, modRevision: 4)))
        #expect(view.head.value?.record.height == 3)
        // What is older is known to be so.
        view.learn(.deleted(key: "group/head", revision: 3))
        #expect(view.head.value?.modRevision == 4)
        view.learn(.put(EtcdEntry(key: "group/head", value: [0x7B], createRevision: 2, modRevision: 5)))
        #expect(view.head.value == nil)
    }

    // MARK: Forwarded appends

    private static let forward: ForwardMessage = {
        var plain = AppendRequest(drafts: [Draft(data: "olá, 世界 🌍"), Draft(data: "")])
        plain.id = AppendID(session: 5, counter: 1)
        var full = AppendRequest(
            drafts: [Draft(data: "again", origin: Origin(of: Block.genesis))], lastHash: Block.genesis.hash,
            idempotency: Idempotency(key: "k", requestHash: .zero))
        full.id = AppendID(session: 5, counter: 2)
        return ForwardMessage(address: address(1), session: 5, requests: [plain, full])
    }()

    @Test func forwardedAppendsAreReadAsTheyWereSent() throws {
        let read = try ForwardMessage(decoding: Self.forward.encoded)
        #expect(read.address == Self.forward.address && read.session == 5)
        for (request, sent) in zip(read.requests, Self.forward.requests) {
            #expect(request.id == sent.id && request.lastHash == sent.lastHash)
            #expect(request.idempotency == sent.idempotency)
            #expect(request.drafts.map(\.data) == sent.drafts.map(\.data))
            #expect(request.drafts.map(\.origin) == sent.drafts.map(\.origin))
        }
        #expect(read.requests.count == 2)
    }

    @Test func noOtherBytesAreForwardedAppends() {
        let bytes = Array(Self.forward.encoded.readableBytesView)
        for count in 0..<bytes.count {
            #expect(throws: StreamError.self, "the first \(count) bytes") {
                _ = try ForwardMessage(decoding: ByteBuffer(bytes: bytes.prefix(count)))
            }
        }
        #expect(throws: StreamError.self) { _ = try ForwardMessage(decoding: ByteBuffer(bytes: bytes + [0])) }
        // A text or a key that is no UTF-8 would become another one.
        for text in [Array("again".utf8), Array("k".utf8) + Hash.zero.bytes] {
            var spoilt = bytes
            if let start = bytes.indices.last(where: { bytes[$0...].starts(with: text) }) { spoilt[start] = 0xFF }
            #expect(spoilt != bytes)
            #expect(throws: StreamError.self) { _ = try ForwardMessage(decoding: ByteBuffer(bytes: spoilt)) }
        }
    }

    @Test func theLeadersAnswerIsReadAsItWasGiven() throws {
        let outcomes: [ForwardOutcome] = [
            .ordered(3..<5), .invalidLastHash(headHeight: 7), .idempotencyKeyReused, .identityExists(height: 2),
            .refused("its place in the group is over"), .undecided, .notTaken("etcd is full"),
        ]
        let bytes = ForwardAnswer.encode(outcomes)
        #expect(try ForwardAnswer.decode(bytes, count: outcomes.count) == outcomes)
        #expect(throws: StreamError.self) { _ = try ForwardAnswer.decode(bytes, count: outcomes.count - 1) }
        for count in 0..<bytes.readableBytes {
            #expect(throws: StreamError.self) {
                _ = try ForwardAnswer.decode(
                    ByteBuffer(bytes: bytes.readableBytesView.prefix(count)), count: outcomes.count)
            }
        }
    }
}
