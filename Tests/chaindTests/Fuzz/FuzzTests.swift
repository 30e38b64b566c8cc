// Everything that parses, with input that is nearly right. None of it may end the process; and what is taken has to mean what it
// says: it is written again as the same bytes, or another reader finds the same in it, or its hashes fit.

import Chain
import Foundation
import NIOCore
import TestSupport
import Testing

@testable import chaind

@Suite struct FuzzTests {
    // MARK: What clients send

    private static let appends = [
        #"{"data": "hello", "last_hash": "89b5c2eadcfcdbc2661cab5212f78e701af68a8f4881a6272ad5429964fb14f4"}"#,
        #"{"data":"\u00e9\ud83d\ude00\\\"\/\b\f\n\r\t","last_hash":null,"more":[1,-2.5e+7,{"a":[true,false,null]}]}"#,
        #"{"data": ["one", "two", "\u0000"], "last_hash": null}"#,
    ]

    @Test func bodiesOfAppends() throws {
        struct One: Decodable { let data: String }
        struct Many: Decodable { let data: [String] }
        var input = Mutations(Self.appends.map { Array($0.utf8) }, seed: 1)
        var taken = 0
        for _ in 0..<Mutations.rounds {
            let bytes = input.next()
            for kind in [AppendKind.single, .batch] {
                let content: AppendContent
                do throws(HTTPFailure) {
                    content = try AppendContent(bytes, contentType: nil, kind: kind)
                } catch {
                    #expect(error.status.code == 422)
                    continue
                }
                taken += 1
                // Of two members of one name, readers take different ones.
                guard Data(bytes).ranges(of: Data("data".utf8)).count == 1 else { continue }
                let texts =
                    switch kind {
                    case .single: [try JSONDecoder().decode(One.self, from: Data(bytes)).data]
                    case .batch: try JSONDecoder().decode(Many.self, from: Data(bytes)).data
                    }
                #expect(texts.map { Array($0.utf8) } == content.texts.map { Array($0.utf8) })
            }
        }
        #expect(taken > Mutations.rounds / 20)
    }

    /// Whatever comes on a connection: the node goes on, and has what it acknowledged and nothing else.
    @Test func connections() async throws {
        let body = #"{"data": "x"}"#
        let samples = [
            "POST /blocks/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n\(body)",
            "POST /blocks/batch HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "11\r\n{\"data\": [\"a\",\"b\"\r\n2\r\n]}\r\n0\r\n\r\n",
            "GET /blocks/?from=0&limit=2 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /blocks/head HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET /blocks/events?from=0 HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 0-89b5\r\nConnection: close\r\n\r\n",
            "POST /sync/status HTTP/1.1\r\nHost: [::1]:8000\r\nOrigin: http://[::1]:8000\r\nAuthorization: Basic Og==\r\n\r\n{}",
            "GET /sync/stream?after=0&hash=89b5c2eadcfcdbc2661cab5212f78e701af68a8f4881a6272ad5429964fb14f4 HTTP/1.0\r\n\r\n",
        ]
        try await withNode { node async throws in
            var input = Mutations(samples.map { Array($0.utf8) }, seed: 2)
            for _ in 0..<max(200, Mutations.rounds / 50) {
                let connection = try RawConnection(port: node.port)
                do {
                    try await connection.send(input.next())
                    try await Task.sleep(for: .milliseconds(10))
                } catch is TestSupportError {
                    // The node has closed it.
                }
            }
            #expect(try await node.client.get("/blocks/valid").json(ValidationAnswer.self).state == "valid")
            let before = try await node.client.get("/").json(StatusAnswer.self).height
            #expect(try await node.client.post("/blocks/", ["data": "last"]).status == 200)
            let blocks = try await node.client.get("/blocks/").json(BlocksAnswer.self).blocks
            #expect(blocks.count == before + 2 && blocks.last?.data == "last")
        }
    }

    // MARK: What nodes send

    @Test func blockStreams() {
        let samples = [StreamSample.hello] + (1...3).map { StreamSample(seed: $0, blocks: 12, runBlocksMax: 5) }
        let tags = AppendTag(
            id: AppendID(session: 1, counter: 2), firstHeight: 1, blocks: 1, taken: 3,
            idempotency: Idempotency(key: "key", requestHash: Block.genesis.hash))
        let tagged = StreamSample.bytes(
            StreamSample.hello.header, [.tags([tags])] + StreamSample.hello.parts)
        var input = Mutations(samples.map(\.bytes) + [tagged], seed: 3)
        var whole = 0
        for _ in 0..<Mutations.rounds {
            let bytes = input.next()
            let decoded = DecodedStream(bytes)
            #expect(DecodedStream(bytes, pieceSizes: input.pieceSizes()) == decoded)
            guard decoded.isAtEnd, decoded.error == nil, let header = decoded.header else { continue }
            whole += 1
            if case .failed = decoded.parts.last { continue }
            #expect(StreamSample.bytes(header, decoded.parts) == bytes)
        }
        #expect(whole > Mutations.rounds / 20)
    }

    /// A run is good only if it is the one that was made: whatever byte is another one, a hash does not fit.
    @Test func runs() throws {
        let sample = StreamSample(seed: 9, blocks: 30, runBlocksMax: 30)
        let runs = sample.parts.compactMap { if case .run(let run) = $0 { run } else { nil } }
        var input = Mutations(runs.map(\.content), seed: 4)
        var good = 0
        for _ in 0..<Mutations.rounds {
            let content = input.next()
            for run in runs {
                let before = sample.blocks[run.firstHeight - 1]
                guard let found = BlockRun(firstHeight: run.firstHeight, count: run.count, content: content) else {
                    continue
                }
                for lanes in HashLanes.all {
                    let isGood = found.firstFault(after: before.hash, timestamp: before.timestamp, lanes: lanes) == nil
                    // With lanes, what is stored is held against what it says; OpenSSL has the last word on what comes in.
                    #expect(isGood == (content == run.content))
                    good += isGood ? 1 : 0
                }
            }
        }
        #expect(good > 0)
    }

    @Test func batchesAndForwardedAppends() throws {
        let sample = StreamSample(seed: 3, blocks: 4)
        let batch = try #require(
            OrderedBatch(
                previousHeight: 0, previousHash: Block.genesis.hash,
                runs: BlockRun.runs(of: Array(sample.blocks.dropFirst())),
                tags: [
                    AppendTag(
                        id: AppendID(session: 5, counter: 1), firstHeight: 1, blocks: 4, taken: 1_700_000_000,
                        idempotency: nil)
                ]))
        var input = Mutations(
            [BatchCoding.encode(batch), BatchCoding.encodeParts(count: 2, prefix: "chaind/chunk/1/")], seed: 5)
        for _ in 0..<Mutations.rounds {
            let bytes = input.next()
            do throws(StreamError) {
                if case .whole(let found) = try BatchCoding.decode(bytes) {
                    #expect(try BatchCoding.batch(BatchCoding.encode(found)) == found)
                }
            } catch {
                // Refused, as most of it is to be.
            }
        }

        let message = ForwardMessage(
            address: try MemberAddress("http://node:8000"), session: 7,
            requests: [AppendRequest(drafts: [Draft(data: "a"), Draft(data: "é")], lastHash: Block.genesis.hash)])
        let outcomes: [ForwardOutcome] = [.ordered(1..<3), .refused("why"), .undecided, .identityExists(height: 2)]
        var messages = Mutations(
            [Array(message.encoded.readableBytesView), Array(ForwardAnswer.encode(outcomes).readableBytesView)], seed: 6
        )
        for _ in 0..<Mutations.rounds {
            let bytes = messages.next()
            do throws(StreamError) {
                let found = try ForwardMessage(decoding: ByteBuffer(bytes: bytes))
                let again = try ForwardMessage(decoding: found.encoded)
                #expect(again.encoded == found.encoded)
            } catch {
                // Refused, as most of it is to be.
            }
            do throws(StreamError) {
                let found = try ForwardAnswer.decode(ByteBuffer(bytes: bytes), count: outcomes.count)
                #expect(try ForwardAnswer.decode(ForwardAnswer.encode(found), count: outcomes.count) == found)
            } catch {
                // Refused, as most of it is to be.
            }
        }
    }

    @Test func messages() {
        let hash = "89b5c2eadcfcdbc2661cab5212f78e701af68a8f4881a6272ad5429964fb14f4"
        var input = Mutations(
            """
            {"address":"http://node:8000","node_id":"1","height":7,"head_hash":"\(hash)","final_height":0,\
            "settled_height":0,"validated_height":7,"damaged":[1,2],"members":[{"address":"http://other:8000","counter":3,\
            "state":"up"}],"time":1700000000}
            """,
            #"{"points":[{"height":0,"hash":"\#(hash)"},{"height":7,"hash":"\#(hash)"}]}"#,
            #"{"height":1099511627775,"hash":"\#(hash)","address":"http://[::1]:1","counter":9007199254740992}"#,
            seed: 7)
        for _ in 0..<Mutations.rounds {
            let bytes = ByteBuffer(bytes: input.next())
            refusing { () throws(MessageError) in _ = try MessageCoding.decode(StatusMessage.self, from: bytes) }
            refusing { () throws(MessageError) in _ = try MessageCoding.decode(HealthMessage.self, from: bytes) }
            refusing { () throws(MessageError) in _ = try MessageCoding.decode(LocateRequest.self, from: bytes) }
            refusing { () throws(MessageError) in _ = try MessageCoding.decode(LocateAnswer.self, from: bytes) }
            refusing { () throws(MessageError) in _ = try MessageCoding.decode(LeaveMessage.self, from: bytes) }
            refusing { () throws(MessageError) in _ = try MessageCoding.decode(PushAnswer.self, from: bytes) }
        }
    }

    /// Only this error, and one line without what was sent.
    private func refusing(_ body: () throws(MessageError) -> Void) {
        do throws(MessageError) {
            try body()
        } catch {
            #expect(!error.description.contains("\n") && error.description.utf8.count < 1_000)
        }
    }

    // MARK: What etcd answers

    @Test func answersOfEtcd() {
        let header = #""header":{"cluster_id":"1","member_id":"2","revision":"6"}"#
        let entry = #"{"key":"YQ==","create_revision":"2","mod_revision":"3","version":"1","value":"Yg=="}"#
        var input = Mutations(
            #"{\#(header),"kvs":[\#(entry)],"more":true,"count":"5"}"#,
            #"{\#(header),"succeeded":true,"responses":[{"response_range":{\#(header),"kvs":[\#(entry)]}}]}"#,
            #"{"result":{\#(header),"ID":"7","TTL":"10"}}"#, #"{"error":"etcdserver: user name is empty","code":3}"#,
            seed: 8)
        let transaction = EtcdTransaction(success: [.range(.init("a"))], failure: [])
        for _ in 0..<Mutations.rounds {
            let json = input.next()
            do throws(JSONSyntaxError) {
                _ = try EtcdRangeAnswer(json: json)
                #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(json)) }
            } catch {
                // Refused, as most of it is to be.
            }
            do throws(JSONSyntaxError) {
                _ = try EtcdTransactionAnswer(json: json, of: transaction)
                _ = try EtcdAnswer.leaseID(json: json)
                _ = try EtcdAnswer.isLeaseAlive(json: json)
                _ = try EtcdAnswer.token(json: json)
            } catch {
                // Refused, as most of it is to be.
            }
        }
    }

    // MARK: Files, addresses, paths and events

    @Test func filesOfMembers() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.path("sync.json")
            var input = Mutations(
                #"{"addresses": ["http://localhost:8000", "https://node.example", "http://[::1]:9"]}"#,
                #"{"addresses":[]}"#, seed: 9)
            for _ in 0..<Mutations.rounds / 10 {
                try Data(input.next()).write(to: URL(fileURLWithPath: path))
                let file = SyncFile(path: path)
                let found = try file.addresses()
                let own = try MemberAddress("http://own:1")
                _ = try file.update(up: [own], down: [])
                #expect(try Set(file.addresses()) == Set(found + [own]))
            }
        }
    }

    @Test func addressesAndPaths() throws {
        var input = Mutations(
            "http://node.example:8000/", "https://[2001:db8::1]:443", "http://127.0.0.1", "/blocks/7", "/sync/stream/",
            "/%62locks/head", "node.example:8000", "reader name 89b5", seed: 10)
        for _ in 0..<Mutations.rounds {
            let text = String(decoding: input.next(), as: UTF8.self)
            do throws(MemberAddressError) {
                let address = try MemberAddress(text)
                #expect(try MemberAddress(address.text) == address)
            } catch {
                // Refused, as most of it is to be.
            }
            if let route = Route(path: text), case .block = route {} else { _ = Route(path: text)?.name }
            _ = HostNames(["node.example"]).include(text)
            do throws(CommandError) {
                _ = try TokenFile(text, path: "tokens")
            } catch {
                #expect(error.description.hasPrefix("tokens: line "))
            }
        }
    }

    @Test func events() {
        var input = Mutations(
            "retry: 1000\n\n", "id: 1-89b5\nevent: block\ndata: {\"height\":1}\n\n: still here\n\n", "data:x\n\n\n\n",
            seed: 11)
        func events(_ bytes: [UInt8], _ sizes: [Int]) -> [EventParser.Event] {
            var parser = EventParser()
            var found: [EventParser.Event] = []
            var rest = bytes[...]
            for size in sizes where !rest.isEmpty {
                parser.feed(ByteBuffer(bytes: rest.prefix(size)))
                rest = rest.dropFirst(size)
                while let event = parser.next() { found.append(event) }
            }
            return found
        }
        for _ in 0..<Mutations.rounds {
            let bytes = input.next()
            #expect(events(bytes, input.pieceSizes()) == events(bytes, [Int.max]))
        }
    }
}
