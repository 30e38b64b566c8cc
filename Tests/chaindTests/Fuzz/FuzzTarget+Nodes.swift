// What comes from other nodes and from etcd.

import Chain
import Foundation
import NIOCore
import Testing

@testable import chaind

extension FuzzTarget {
    private static let hash = "89b5c2eadcfcdbc2661cab5212f78e701af68a8f4881a6272ad5429964fb14f4"

    static let streams: FuzzTarget = {
        let samples = [StreamSample.hello] + (1...3).map { StreamSample(seed: $0, blocks: 12, runBlocksMax: 5) }
        let tags = AppendTag(
            id: AppendID(session: 1, counter: 2), firstHeight: 1, blocks: 1, taken: 3,
            idempotency: Idempotency(key: "key", requestHash: Block.genesis.hash))
        let tagged = StreamSample.bytes(
            StreamSample.hello.header, [.tags([tags])] + StreamSample.hello.parts)
        return FuzzTarget("streams", samples.map(\.bytes) + [tagged]) { bytes in
            let decoded = DecodedStream(bytes)
            try #require(DecodedStream(bytes, pieceSizes: pieceSizes(of: bytes)) == decoded)
            guard decoded.isAtEnd, decoded.error == nil, let header = decoded.header else { return false }
            if case .failed = decoded.parts.last { return true }
            try #require(StreamSample.bytes(header, decoded.parts) == bytes)
            return true
        }
    }()

    /// A run is good only if it is the one that was made: whatever byte is another one, a hash does not fit.
    static let runs: FuzzTarget = {
        let sample = StreamSample(seed: 9, blocks: 30, runBlocksMax: 30)
        let runs = sample.parts.compactMap { if case .run(let run) = $0 { run } else { nil } }
        return FuzzTarget("runs", runs.map(\.content)) { content in
            var isTaken = false
            for run in runs {
                let before = sample.blocks[run.firstHeight - 1]
                guard let found = BlockRun(firstHeight: run.firstHeight, count: run.count, content: content) else {
                    continue
                }
                for lanes in HashLanes.all {
                    let isGood = found.firstFault(after: before.hash, timestamp: before.timestamp, lanes: lanes) == nil
                    // With lanes, what is stored is held against what it says; OpenSSL has the last word on what comes in.
                    try #require(isGood == (content == run.content))
                    isTaken = isTaken || isGood
                }
            }
            return isTaken
        }
    }()

    static let batches: FuzzTarget = {
        let sample = StreamSample(seed: 3, blocks: 4)
        let tag = AppendTag(
            id: AppendID(session: 5, counter: 1), firstHeight: 1, blocks: 4, taken: 1_700_000_000, idempotency: nil)
        let batch = OrderedBatch(
            previousHeight: 0, previousHash: Block.genesis.hash,
            runs: BlockRun.runs(of: Array(sample.blocks.dropFirst())), tags: [tag])
        let samples = [
            batch.map(BatchCoding.encode) ?? [], BatchCoding.encodeParts(count: 2, prefix: "chaind/chunk/1/"),
        ]
        return FuzzTarget("batches", samples) { bytes in
            switch try? BatchCoding.decode(bytes) {
            case .whole(let found): try #require(try BatchCoding.batch(BatchCoding.encode(found)) == found)
            case .parts: break
            case nil: return false
            }
            return true
        }
    }()

    static let forwardedAppends: FuzzTarget = {
        let messages = ["http://node:8000"].compactMap { try? MemberAddress($0) }.map { address in
            ForwardMessage(
                address: address, session: 7,
                requests: [
                    AppendRequest(
                        drafts: [Draft(data: "a"), Draft(data: "é", origin: Origin(of: .genesis))],
                        lastHash: Block.genesis.hash, idempotency: Idempotency(key: "key", requestHash: .zero))
                ])
        }
        let outcomes: [ForwardOutcome] = [.ordered(1..<3), .refused("why"), .undecided, .identityExists(height: 2)]
        let samples = messages.map(\.encoded) + [ForwardAnswer.encode(outcomes)]
        return FuzzTarget("forwarded-appends", samples.map { Array($0.readableBytesView) }) { bytes in
            var isTaken = false
            if let found = try? ForwardMessage(decoding: ByteBuffer(bytes: bytes)) {
                try #require(try ForwardMessage(decoding: found.encoded).encoded == found.encoded)
                isTaken = true
            }
            if let found = try? ForwardAnswer.decode(ByteBuffer(bytes: bytes), count: outcomes.count) {
                try #require(try ForwardAnswer.decode(ForwardAnswer.encode(found), count: outcomes.count) == found)
                isTaken = true
            }
            return isTaken
        }
    }()

    static let messages = FuzzTarget(
        "messages",
        """
        {"address":"http://node:8000","node_id":"1","height":7,"head_hash":"\(hash)","final_height":0,\
        "settled_height":0,"validated_height":7,"damaged":[1,2],"members":[{"address":"http://other:8000","counter":3,\
        "state":"up"}],"time":1700000000}
        """,
        #"{"points":[{"height":0,"hash":"\#(hash)"},{"height":7,"hash":"\#(hash)"}]}"#,
        #"{"outcome":"adopted","height":1099511627775,"head_hash":"\#(hash)","detail":"why","health":"up","node_id":"1"}"#,
        #"{"list":1,"staged":9007199254740992,"busy":true,"address":"http://[::1]:1","node_id":"1"}"#
    ) { bytes in
        try [
            isTaken(StatusMessage.self, bytes), isTaken(HealthMessage.self, bytes), isTaken(LocateRequest.self, bytes),
            isTaken(LocateAnswer.self, bytes), isTaken(LeaveMessage.self, bytes), isTaken(PushAnswer.self, bytes),
        ].contains(true)
    }

    /// Refused with this error only, and one line without what was sent.
    private static func isTaken(_ type: (some Decodable).Type, _ bytes: [UInt8]) throws -> Bool {
        do throws(MessageError) {
            _ = try MessageCoding.decode(type, from: ByteBuffer(bytes: bytes))
            return true
        } catch {
            try #require(!error.description.contains("\n") && error.description.utf8.count < 1_000)
            return false
        }
    }

    static let etcdAnswers: FuzzTarget = {
        let header = #""header":{"cluster_id":"1","member_id":"2","revision":"6"}"#
        let entry = #"{"key":"YQ==","create_revision":"2","mod_revision":"3","version":"1","value":"Yg=="}"#
        let transaction = EtcdTransaction(success: [.range(.init("a"))], failure: [])
        return FuzzTarget(
            "etcd", #"{\#(header),"kvs":[\#(entry)],"more":true,"count":"5"}"#,
            #"{\#(header),"succeeded":true,"responses":[{"response_range":{\#(header),"kvs":[\#(entry)]}}]}"#,
            #"{"result":{\#(header),"ID":"7","TTL":"10"}}"#, #"{"error":"etcdserver: user name is empty","code":3}"#,
            #"{\#(header),"version":"3.5.16","dbSize":"20480","dbSizeInUse":"16384","leader":"2"}"#,
            #"{"result":{\#(header),"events":[{"kv":\#(entry)},{"type":"DELETE","kv":{"key":"YQ=="}}]}}"#,
            #"{"result":{"created":true,"canceled":true,"cancel_reason":"compacted","compact_revision":"4"}}"#
        ) { bytes in
            let taken: [Any?] = [
                try? EtcdRangeAnswer(json: bytes), try? EtcdTransactionAnswer(json: bytes, of: transaction),
                try? EtcdStatusAnswer(json: bytes), try? EtcdWatchLine(json: bytes), try? EtcdRefusal(json: bytes),
                try? EtcdAnswer.leaseID(json: bytes), try? EtcdAnswer.isLeaseAlive(json: bytes),
                try? EtcdAnswer.token(json: bytes),
            ]
            guard taken.contains(where: { $0 != nil }) else { return false }
            _ = try JSONSerialization.jsonObject(with: Data(bytes))
            return true
        }
    }()
}
