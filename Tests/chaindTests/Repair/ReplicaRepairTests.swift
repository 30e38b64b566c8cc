// A node whose file is damaged heals with what its members have, and goes on as before where none has it.

import Chain
import TestSupport
import Testing

@testable import chaind

struct ReplicaRepairTests {
    /// Runs a body with open lists that hold the same 1,000 blocks, acknowledged by the first.
    private func withEqualLists(_ count: Int, _ body: ([ForkedList]) async throws -> Void) async throws {
        try await withLists(count) { lists in
            try await lists[0].list.append(1_000)
            for list in lists.dropFirst() { _ = try await list.pull(from: lists[0]) }
            try await body(lists)
        }
    }

    /// Flips a bit of a block's text in the file of a list, which is closed and opened for that.
    private func flip(_ list: ForkedList, at height: Int) async throws {
        try await list.close()
        let database = RawDatabase(path: list.path)
        var run = try #require(try database.runs().last { $0.position <= height })
        let place = try #require(run.content.firstRange(of: Array("text \(height),".utf8)))
        run.content[place.lowerBound] ^= 1
        try database.update(run)
        try await list.open()
    }

    @Test func aFlippedBitIsFoundByTheScrubAndHeals() async throws {
        try await withEqualLists(2) { lists in
            try await flip(lists[0], at: 700)
            let play = ReplicaPlay()
            try await play.start(0, on: lists[0], members: [1])
            try await play.start(1, on: lists[1], members: [0])
            await play.run(seconds: 30)
            let status = try lists[0].list.status
            #expect(status.damagedHeights == [])
            #expect(status.repairs.map(\.height) == [700])
            #expect(status.repairs.first?.source == "http://localhost:8001")
            #expect(try await lists[0].list.block(at: 700)?.data == "text 700,")
            #expect(try await lists[0].list.validate().isValid)
        }
    }

    @Test func withNoScrubWhatAReadFoundHeals() async throws {
        try await withEqualLists(2) { lists in
            try await flip(lists[0], at: 700)
            let play = ReplicaPlay()
            var pace = AtRestPace()
            pace.scrubBytesPerSecond = 0
            try await play.start(0, on: lists[0], members: [1], pace: pace)
            try await play.start(1, on: lists[1], members: [0], pace: pace)
            await play.run(seconds: 60)
            #expect(try lists[0].list.status.repairs == [])
            await #expect(throws: ReadError.damaged(height: 700)) { try await lists[0].list.block(at: 700) }
            await play.run(seconds: 10)
            #expect(try await lists[0].list.block(at: 700)?.data == "text 700,")
        }
    }

    @Test func aDamagedHeadHealsAndTakesAppends() async throws {
        try await withEqualLists(3) { lists in
            try await flip(lists[0], at: 1_000)
            let append = AppendRequest(drafts: [Draft(data: "more")])
            await #expect(throws: AppendError.damagedHead(height: 1_000)) { try await lists[0].list.append(append) }
            let play = ReplicaPlay()
            for number in 0..<3 { try await play.start(number, on: lists[number], members: [0, 1, 2]) }
            await play.run(seconds: 1)
            #expect(try lists[0].list.status.headHash == lists[1].list.status.headHash)
            #expect(try lists[0].list.status.repairs.map(\.height) == [1_000])
            #expect(try await lists[0].list.orphans(before: nil, limit: 10) == [], "it was repaired, not replaced")
            #expect(try await lists[0].list.append(append)[0].height == 1_001)
            await play.run(seconds: 20)
            #expect(try lists[1].list.status.height == 1_001)
        }
    }

    @Test func aMemberThatReturnsHasIt() async throws {
        try await withEqualLists(2) { lists in
            try await flip(lists[0], at: 3)
            let play = ReplicaPlay()
            try await play.start(0, on: lists[0], members: [1])
            await play.run(seconds: 600)
            #expect(try lists[0].list.status.damagedHeights == [3])
            await #expect(throws: ReadError.damaged(height: 3)) { try await lists[0].list.block(at: 3) }
            #expect(try await lists[0].list.block(at: 4) != nil)
            #expect(try await lists[0].list.append(AppendRequest(drafts: [Draft(data: "more")])).count == 1)
            try await play.start(1, on: lists[1], members: [0])
            await play.run(seconds: 70)
            #expect(try lists[0].list.status.damagedHeights == [])
            #expect(try lists[0].list.status.repairs.map(\.height) == [3])
        }
    }

    @Test func aLiarIsNotBelievedAndTheNextMemberIsAsked() async throws {
        try await withEqualLists(3) { lists in
            try await flip(lists[0], at: 400)
            let play = ReplicaPlay()
            // All of it fits together, from the damaged block on.
            play.tampering.withLock {
                $0 = { run in
                    let block = Block(
                        height: run.firstHeight, timestamp: 1_700_000_000, data: "lie", previousHash: .zero)
                    return BlockRun.runs(of: [block])[0]
                }
            }
            try await play.start(0, on: lists[0], members: [1])
            try await play.start(1, on: lists[1], members: [0])
            await play.run(seconds: 60)
            #expect(try lists[0].list.status.damagedHeights == [400])
            #expect(try lists[0].list.status.repairs == [])
            let asked = play.pulls.withLock { $0[address(1), default: 0] }
            #expect(asked >= 1 && asked < 10, "ever less often")
            await #expect(throws: ReadError.damaged(height: 400)) { try await lists[0].list.block(at: 400) }

            play.tampering.withLock { $0 = { $0 } }
            await play.run(seconds: 300)
            #expect(try lists[0].list.status.damagedHeights == [])
        }
    }

    /// Two nodes share 1,000 blocks; the first has appended 20 more alone, and the tenth of these went bad on its disk.
    private func withDamagedSuffix(_ body: ([ForkedList]) async throws -> Void) async throws {
        try await withEqualLists(2) { lists in
            for height in 1_001...1_020 {
                _ = try await lists[0].list.append(AppendRequest(drafts: [Draft(data: "text \(height),")]))
            }
            try await flip(lists[0], at: 1_010)
            try await body(lists)
        }
    }

    private func checkAgreement(_ lists: [ForkedList], texts: [String]) async throws {
        for list in lists {
            #expect(try await list.list.validate().isValid)
            #expect(try list.list.status.damagedHeights == [])
            var blocks: [Block] = []
            for try await slice in try list.list.slices(from: 1_001) { blocks += slice.blocks }
            #expect(blocks.map(\.data).sorted() == texts.sorted())
        }
        #expect(try lists[0].list.status.headHash == lists[1].list.status.headHash)
    }

    @Test func aBlockThatNobodyHasDoesNotKeepAForkApart() async throws {
        try await withDamagedSuffix { lists in
            _ = try await lists[1].list.append(AppendRequest(drafts: [Draft(data: "other")]))
            let play = ReplicaPlay()
            for number in 0..<2 { try await play.start(number, on: lists[number], members: [0, 1]) }
            await play.run(seconds: 60)
            let texts = (1_001...1_020).filter { $0 != 1_010 }.map { "text \($0)," }
            try await checkAgreement(lists, texts: texts + ["other"])
        }
    }

    @Test func whatFollowsABlockThatNobodyHasReachesTheOthers() async throws {
        try await withDamagedSuffix { lists in
            let play = ReplicaPlay()
            for number in 0..<2 { try await play.start(number, on: lists[number], members: [0, 1]) }
            await play.run(seconds: 60)
            try await checkAgreement(lists, texts: (1_001...1_020).filter { $0 != 1_010 }.map { "text \($0)," })
            // Those before it stay where they were.
            #expect(try await lists[1].list.block(at: 1_009)?.data == "text 1009,")
        }
    }

    @Test func aMemberThatHasTheBlockBringsItBack() async throws {
        try await withEqualLists(3) { lists in
            for height in 1_001...1_020 {
                _ = try await lists[0].list.append(AppendRequest(drafts: [Draft(data: "text \(height),")]))
            }
            _ = try await lists[2].pull(from: lists[0])
            try await flip(lists[0], at: 1_010)
            let play = ReplicaPlay()
            for number in 0..<2 { try await play.start(number, on: lists[number], members: [0, 1, 2]) }
            await play.run(seconds: 120)
            #expect(try lists[1].list.status.height == 1_019)
            try await play.start(2, on: lists[2], members: [0, 1, 2])
            await play.run(seconds: 200)
            try await checkAgreement(lists, texts: (1_001...1_020).map { "text \($0)," })
        }
    }

    @Test func aBlockThatAllLackButShareIsKeptInItsPlace() async throws {
        try await withEqualLists(2) { lists in
            for list in lists { try await flip(list, at: 700) }
            let play = ReplicaPlay()
            for number in 0..<2 { try await play.start(number, on: lists[number], members: [0, 1]) }
            await play.run(seconds: 60)
            _ = try await lists[0].list.append(AppendRequest(drafts: [Draft(data: "more")]))
            await play.run(seconds: 60)
            for list in lists {
                #expect(try list.list.status.damagedHeights == [700])
                #expect(try await list.list.block(at: 701)?.data == "text 701,")
                #expect(try list.list.status.height == 1_001)
            }
        }
    }

    @Test func membersHealEachOther() async throws {
        try await withEqualLists(3) { lists in
            for (number, heights) in [[10, 500, 900], [20, 501, 901], [30, 502, 902]].enumerated() {
                for height in heights { try await flip(lists[number], at: height) }
            }
            let play = ReplicaPlay()
            for number in 0..<3 { try await play.start(number, on: lists[number], members: [0, 1, 2]) }
            await play.run(seconds: 120)
            for list in lists {
                #expect(try list.list.status.damagedHeights == [])
                #expect(try await list.list.validate().isValid)
            }
        }
    }
}

extension BlockList {
    /// Appends texts that name their heights, each as a run of its own size.
    fileprivate func append(_ count: Int) async throws {
        while status.height < count {
            let first = status.height + 1
            let end = min(count, first + 49)
            _ = try await append(AppendRequest(drafts: (first...end).map { Draft(data: "text \($0),") }))
        }
    }
}
