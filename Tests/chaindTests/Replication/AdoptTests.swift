// An operator ends a conflict: the list that was chosen stays chosen.

import Chain
import TestSupport
import Testing

@testable import chaind

struct AdoptTests {
    /// Nodes 0 and 2 have one list, and node 1 another one, which is shorter and settled.
    private func withConflict(_ body: ([Replica], [ForkedList], ReplicaPlay) async throws -> Void) async throws {
        try await withLists(3) { lists in
            try await lists[2].append(30, "a")
            _ = try await lists[0].pull(from: lists[2])
            try await lists[1].append(12, "b")
            try await lists[1].list.settle(upTo: 9, replacements: 0)
            let play = ReplicaPlay()
            var replicas: [Replica] = []
            for number in 0..<3 {
                replicas.append(try await play.start(number, on: lists[number], members: [0, 1, 2]))
            }
            await play.run(seconds: 20)
            #expect(await replicas[1].conflicts == [address(0), address(2)])
            #expect(try lists.map { try $0.list.status.height } == [30, 12, 30])
            try await body(replicas, lists, play)
        }
    }

    private func expectOneList(_ replicas: [Replica], _ lists: [ForkedList], beginsWith text: String, count: Int = 42)
        async throws
    {
        for replica in replicas { #expect(await replica.conflicts == []) }
        for list in lists {
            let texts = try await list.texts()
            #expect(texts.first == text)
            #expect(texts.count == count && Set(texts).count == count)
            #expect(try list.list.status.headHash == lists[0].list.status.headHash)
        }
    }

    @Test func theNodeThatRefusesTakesTheOthersList() async throws {
        try await withConflict { replicas, lists, play in
            _ = try await replicas[1].adopt(from: address(0))
            await play.run(seconds: 60)
            try await expectOneList(replicas, lists, beginsWith: "a 0")
        }
    }

    /// What the node refused is kept for a while, to go on with; its list has that by now.
    @Test func whatWasRefusedIsNotInTheWay() async throws {
        try await withConflict { replicas, lists, play in
            try await lists[0].list.settle(upTo: 20, replacements: 0)
            _ = try await replicas[1].adopt(from: address(0))
            try await lists[0].append(20, "c")
            await play.run(seconds: 60)
            try await expectOneList(replicas, lists, beginsWith: "a 0", count: 62)
        }
    }

    @Test func blocksFromTheFutureAreTakenByDecision() async throws {
        try await withLists(2) { lists in
            lists[0].clock.withLock { $0 += 5 * 86_400 }
            try await lists[0].append(10, "a")
            lists[0].clock.withLock { $0 -= 5 * 86_400 }
            try await lists[1].append(5, "b")
            for list in lists { try await list.list.settle(upTo: 5, replacements: 0) }
            let play = ReplicaPlay()
            let replica = try await play.start(1, on: lists[1], members: [0, 1])
            try await play.start(0, on: lists[0], members: [0, 1])
            guard case .adopted(5, _?) = try await replica.adopt(from: address(0)) else {
                Issue.record("not adopted")
                return
            }
            #expect(try lists[1].list.status.settledHeight == 5)
            #expect(try await lists[1].texts().first == "a 0")
        }
    }

    /// A third node still has the list that was decided against, and that is the longer one.
    @Test func theOthersTakeItsListOneAfterTheOther() async throws {
        try await withConflict { replicas, lists, play in
            _ = try await replicas[0].adopt(from: address(1))
            await play.run(seconds: 20)
            #expect(try await lists[0].texts().count == 12, "the third node must not undo it")
            #expect(await replicas[0].conflicts == [address(2)])
            _ = try await replicas[2].adopt(from: address(1))
            await play.run(seconds: 60)
            try await expectOneList(replicas, lists, beginsWith: "b 0")
        }
    }
}

extension Replica {
    /// The members that it shows a conflict with.
    fileprivate var conflicts: [MemberAddress] {
        group.view(ownHeight: list.status.height, nowSeconds: nowSeconds()).filter { $0.state == .conflict }
            .map(\.address)
    }
}

extension ForkedList {
    fileprivate func append(_ count: Int, _ text: String) async throws {
        _ = try await list.append(AppendRequest(drafts: (0..<count).map { Draft(data: "\(text) \($0)") }))
    }
}
