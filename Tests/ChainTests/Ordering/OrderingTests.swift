// Lists whose blocks an engine of consensus puts in order: what is planned changes nothing, and what is ordered is final.

import Foundation
import TestSupport
import Testing

@testable import Chain

@Suite(.timeLimit(.minutes(1)))
struct OrderingTests {
    private func request(
        _ texts: String..., counter: Int? = nil, lastHash: Hash? = nil, key: String? = nil
    ) -> AppendRequest {
        var request = AppendRequest(drafts: texts.map { Draft(data: $0) }, lastHash: lastHash)
        if let counter { request.id = AppendID(session: 7, counter: counter) }
        if let key { request.idempotency = Idempotency(key: key, requestHash: Block.genesis.hash) }
        return request
    }

    private func open(_ directory: TemporaryDirectory) async throws -> BlockList {
        try await BlockList.open(path: directory.path("chain.db")) { 1_700_000_000 }
    }

    /// The body closes and opens the list again as it likes, and leaves it open.
    private func withList(_ body: (inout BlockList, TemporaryDirectory) async throws -> Void) async throws {
        try await withTemporaryDirectory { directory in
            var list = try await open(directory)
            try await body(&list, directory)
            #expect(try await list.validate().isValid)
            try await list.close()
        }
    }

    /// Plans requests, and has the plan ordered.
    @discardableResult
    private func order(_ requests: [AppendRequest], in list: BlockList) async throws -> AppendPlan {
        let plan = try await list.plan(requests)
        if let batch = plan.batch { try await list.append([batch], isOwn: true) }
        return plan
    }

    @Test func aPlanChangesNothing() async throws {
        try await withList { list, _ in
            let plan = try await list.plan([request("one", counter: 1, key: "k"), request("two", counter: 2)])
            #expect(plan.batch?.height == 2 && plan.headHeight == 0 && plan.headHash == Block.genesis.hash)
            #expect(list.height == 0 && list.status.finalHeight == 0)
            #expect(try await list.heights(of: AppendID(session: 7, counter: 1)) == nil)
            // As it would be the first time.
            #expect(try await list.plan([request("one", counter: 1, key: "k")]).batch?.height == 1)
        }
    }

    @Test func whatIsOrderedIsFinalAndFoundByItsIDs() async throws {
        try await withList { list, directory in
            let requests = [request("one", "two", counter: 1, key: "k"), request("three", counter: 2)]
            let plan = try await order(requests, in: list)
            #expect(list.height == 3 && list.status.finalHeight == 3)
            #expect(try plan.results.map { try $0.get().map(\.height) } == [[1, 2], [3]])
            #expect(try await list.block(at: 2)?.data == "two")
            #expect(try await list.heights(of: AppendID(session: 7, counter: 1)) == 1..<3)
            #expect(try await list.heights(of: AppendID(session: 8, counter: 1)) == nil)
            #expect(try await list.tags(1..<4).map(\.id.counter) == [1, 2])
            #expect(try await list.firstTagHeight() == 1)

            // Sent again, by its id or by its key under another id.
            let again = try await list.plan([requests[0], request("one", "two", counter: 9, key: "k")])
            #expect(again.batch == nil)
            #expect(try again.results.map { try $0.get().map(\.height) } == [[1, 2], [1, 2]])

            try await list.close()
            list = try await open(directory)
            #expect(list.status.finalHeight == 3)
            #expect(try await list.plan([requests[1]]).batch == nil)
        }
    }

    @Test func oneThatIsInABatchTwiceIsMadeOnce() async throws {
        try await withList { list, _ in
            let plan = try await order([request("one", counter: 1), request("one", counter: 1)], in: list)
            #expect(list.height == 1)
            #expect(try plan.results[0].get() == plan.results[1].get())
        }
    }

    @Test func eachRequestIsRefusedAlone() async throws {
        try await withList { list, _ in
            let plan = try await order(
                [
                    request("one", counter: 1), request("two", counter: 2, lastHash: .zero),
                    request("three", counter: 3),
                ],
                in: list)
            #expect(list.height == 2)
            guard case .failure(.invalidLastHash(let head)) = plan.results[1] else {
                Issue.record("\(plan.results[1])")
                return
            }
            #expect(head.data == "one")
        }
    }

    @Test func batchesFromElsewhereAreCheckedAndHaveToFollowTheHead() async throws {
        try await withList { list, directory in
            let other = try await BlockList.open(path: directory.path("other.db")) { 1_700_000_000 }
            var batches: [OrderedBatch] = []
            for counter in 1...4 {
                let plan = try await order([request("text \(counter)", counter: counter)], in: other)
                batches.append(try #require(plan.batch))
            }
            try await list.append([batches[0]])
            await #expect(throws: ReceptionError.listMoved) { try await list.append([batches[2]]) }
            await #expect(throws: ReceptionError.listMoved) { try await list.append([batches[0]]) }
            await #expect(throws: ReceptionError.self) { try await list.append([batches[1], batches[3]]) }
            var content = batches[1].runs[0].content
            content[content.count - 1] ^= 1
            let run = try #require(BlockRun(firstHeight: 2, count: 1, content: content))
            let spoilt = try #require(
                OrderedBatch(previousHeight: 1, previousHash: batches[0].hash, runs: [run], tags: []))
            await #expect(throws: ReceptionError.self) { try await list.append([spoilt]) }
            #expect(list.height == 1)
            try await list.append(Array(batches[1...]))
            #expect(list.status == other.status)
            #expect(try await list.heights(of: AppendID(session: 7, counter: 3)) == 3..<4)
            try await other.close()
        }
    }

    @Test func nothingIsOrderedAfterBlocksThatAreNotFinal() async throws {
        try await withList { list, _ in
            let plan = try await list.plan([request("one", counter: 1)])
            _ = try await list.append(request("mine"))
            await #expect(throws: ReceptionError.listMoved) {
                let batch = try #require(plan.batch)
                try await list.append([batch], isOwn: true)
            }
            let next = try await list.plan([request("two", counter: 2)])
            await #expect(throws: ReceptionError.listMoved) {
                let batch = try #require(next.batch)
                try await list.append([batch], isOwn: true)
            }
        }
    }

    @Test func whatIsCutOffBecomesOrphansThatAreSentAgain() async throws {
        try await withList { list, directory in
            try await order([request("one", counter: 1)], in: list)
            let cut = try await list.append(request("two", "three"))
            let point = try #require(try await list.block(at: 1))
            let result = try await list.cut(after: 1, hash: point.hash)
            #expect(result?.replacedBlocks == 2 && result?.reappendedBlocks == 0)
            #expect(list.height == 1 && list.status.headHash == point.hash)
            while try await list.tidy() != .done {}
            let pending = try await list.pendingOrphans(after: 0)
            #expect(pending.blocks == cut && pending.lastID == nil)
            #expect(try await list.orphan(cut[0].hash)?.state == .pending)

            // As after a kill.
            try await list.close()
            list = try await open(directory)
            #expect(list.height == 1 && list.status.headHash == point.hash)
            let drafts = cut.map { Draft(data: $0.data, origin: Origin(of: $0)) }
            for (index, draft) in drafts.enumerated() {
                var again = AppendRequest(drafts: [draft])
                again.id = AppendID(session: 8, counter: index)
                try await order([again], in: list)
                let second = try await list.plan([AppendRequest(drafts: [draft])])
                #expect(second.results[0] == .failure(.identityExists(height: 2 + index)))
            }
            #expect(list.height == 3)
            #expect(try await list.pendingOrphans(after: 0).blocks == [])
            let last = try #require(try await list.block(at: 3))
            #expect(try await list.orphan(cut[1].hash)?.state == .moved(height: 3, hash: last.hash))
        }
    }

    @Test func nothingFinalIsCutOff() async throws {
        try await withList { list, _ in
            try await order([request("one", counter: 1), request("two", counter: 2)], in: list)
            let hash = try #require(try await list.storedHashes(at: [1])[0])
            await #expect(throws: ReceptionError.conflict(height: 2)) { _ = try await list.cut(after: 1, hash: hash) }
            await #expect(throws: ReceptionError.listMoved) { _ = try await list.cut(after: 2, hash: hash) }
            #expect(list.height == 2)
        }
    }

    @Test func aListWithoutTheOrderTakesOverWhatIsFinalOfAnother() async throws {
        try await withList { list, directory in
            let other = try await BlockList.open(path: directory.path("other.db")) { 1_700_000_000 }
            for counter in 1...3 { try await order([request("text \(counter)", counter: counter)], in: other) }
            _ = try await list.append(request("mine"))
            var reception = try await list.reception(after: 0, hash: Block.genesis.hash)
            let blocks = try await other.slices(from: 1, blocksMax: 3).flatMap(\.blocks)
            let tags = try await other.tags(0..<4)
            #expect(try await reception.take(BlockRun.runs(of: blocks), tags: tags, latestTimestamp: .max))
            var terms = AdoptionTerms()
            terms.finalHeight = 3
            let result = try await reception.adopt(terms)
            // What this node acknowledged follows.
            #expect(result?.reappendedBlocks == 1)
            #expect(list.status.finalHeight == 3 && list.height == 4)
            #expect(try await list.tags(0..<9) == tags)
            try await other.close()
        }
    }

    /// However the pieces fall, in which an append and its tag come.
    @Test func aKeyIsKnownWhereItsBlocksWereFetched() async throws {
        try await withList { list, directory in
            let other = try await BlockList.open(path: directory.path("other.db")) { 1_700_000_000 }
            var request = request(counter: 1, key: "k")
            request.drafts = (0..<600).map { Draft(data: "text \($0)") }
            let batch = try #require(try await order([request], in: other).batch)
            var reception = try await list.reception(after: 0, hash: Block.genesis.hash, isHeldBack: true)
            for (index, run) in batch.runs.enumerated() {
                _ = try await reception.take([run], tags: index == 0 ? batch.tags : [], latestTimestamp: .max)
            }
            request.id = AppendID(session: 8, counter: 1)
            // That the tag is there says nothing of the list before the blocks are.
            #expect(try await list.plan([request]).batch != nil)
            var terms = AdoptionTerms()
            terms.finalHeight = batch.height
            terms.isOrdered = true
            _ = try await reception.adopt(terms)

            #expect(batch.runs.count > 1 && list.height == 600)
            let again = try await list.plan([request])
            #expect(again.batch == nil)
            #expect(try again.results[0].get().map(\.height) == Array(1...600))
            request.idempotency = Idempotency(key: "k", requestHash: .zero)
            #expect(try await list.plan([request]).results == [.failure(.idempotencyKeyReused)])
            try await other.close()
        }
    }

    @Test func tagsAreForgottenAfterADay() async throws {
        try await withTemporaryDirectory { directory in
            let clock = AppendTests.Clock()
            let list = try await BlockList.open(path: directory.path("chain.db")) { clock.now }
            for counter in 1...5 { try await order([request("text \(counter)", counter: counter)], in: list) }
            clock.set(clock.now + Idempotency.lifetimeSeconds + 1)
            try await order([request("last", counter: 6)], in: list)
            #expect(try await list.tags(0..<100).map(\.id.counter) == [6])
            try await list.close()
        }
    }
}
