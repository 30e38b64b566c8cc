// A node that fetches many blocks takes none that others send.

import Chain
import TestSupport
import Testing

@testable import chaind

struct BusyReceiverTests {
    @Test func whatIsSentMeanwhileIsNotTaken() async throws {
        try await withLists(1) { lists in
            lists[0].clock.withLock { $0 = 1_700_000_000 }
            let replica = try await ReplicaPlay().start(0, on: lists[0], members: [1])
            #expect(await replica.beginFetch(from: address(1)))
            #expect(try await replica.answer(LocateRequest(points: [])).isBusy)
            let busy = try await replica.take(IncomingStream(of: .hello))
            #expect(busy.outcome == .busy && busy.head == Block.genesis.point)
            await replica.endFetch(from: address(1))
            #expect(try await !replica.answer(LocateRequest(points: [])).isBusy)
            let taken = try await replica.take(IncomingStream(of: .hello))
            #expect(taken.outcome == .adopted && taken.head == Block.hello.point)
        }
    }
}

extension IncomingStream {
    fileprivate init(of sample: StreamSample) {
        let outgoing = sample.outgoing
        self.init(header: sample.header, next: { await outgoing.next() })
    }
}

extension Replica {
    fileprivate func beginFetch(from address: MemberAddress) -> Bool {
        group.mayFetch(blocks: 4_096, from: address, nowSeconds: nowSeconds())
    }

    fileprivate func endFetch(from address: MemberAddress) {
        _ = group.synced(address, outcome: .failed("no answer"), nowSeconds: nowSeconds())
    }
}
