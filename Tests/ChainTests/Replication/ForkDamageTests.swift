// Forks on a disk that went bad: a damaged block is lost, and no other one with it.

import TestSupport
import Testing

@testable import Chain

struct ForkDamageTests {
    /// The block after one whose stored hash went bad is still good: it is appended again with the adoption where this
    /// node acknowledged it, and kept as an orphan where not.
    @Test(arguments: [true, false]) func aDamagedHashCostsNoOtherBlock(isAcknowledged: Bool) async throws {
        try await withLists(3) { lists in
            for text in ["a", "b", "c", "d"] { try await lists[0].appendTexts(1, text) }
            try await lists[1].appendTexts(9, "e")
            let damaged = isAcknowledged ? lists[0] : lists[2]
            if !isAcknowledged { _ = try await damaged.pull(from: lists[0]) }
            try await damaged.close()
            let database = RawDatabase(path: damaged.path)
            var run = try #require(try database.runs().first { $0.position <= 2 && 2 < $0.position + $0.blocks })
            run.content[Int(8 * run.blocks + 32 * (2 - run.position))] ^= 1
            try database.update(run)
            try await damaged.open()
            var reception = try await damaged.list.reception(after: 0, hash: Block.genesis.hash)
            _ = try await reception.take(try await lists[1].runs(from: 1), latestTimestamp: .max)
            let reappended = try #require(try await reception.adopt(AdoptionTerms())).reappendedBlocks
            try await damaged.tidyAll()
            damaged.clock.withLock { $0 += 60 }
            let later = try await damaged.list.reappendOrphans(replacedBefore: damaged.clock.withLock { $0 })
            #expect((reappended, later) == (isAcknowledged ? (3, 0) : (0, 3)))
            #expect(try await damaged.texts().suffix(3) == ["a 0", "c 0", "d 0"])
        }
    }

    /// The same where the next block is of another branch.
    @Test func aDamagedHashBeforeAnotherBranchCostsNoOtherBlock() async throws {
        try await withLists(3) { lists in
            try await lists[0].appendTexts(1, "a")
            _ = try await lists[1].pull(from: lists[0])
            try await lists[0].appendTexts(2, "c")
            try await lists[1].appendTexts(1, "b")
            _ = try await lists[1].pull(from: lists[0])
            try await lists[2].appendTexts(9, "e")
            try await lists[1].flipHash(at: 1)
            var reception = try await lists[1].list.reception(after: 0, hash: Block.genesis.hash)
            _ = try await reception.take(try await lists[2].runs(from: 1), latestTimestamp: .max)
            _ = try await reception.adopt(AdoptionTerms())
            try await lists[1].tidyAll()
            lists[1].clock.withLock { $0 += 60 }
            _ = try await lists[1].list.reappendOrphans(replacedBefore: lists[1].clock.withLock { $0 })
            #expect(try await Set(lists[1].texts().dropFirst(9)) == ["b 0", "c 0", "c 1"])
        }
    }

    /// Where a text ends is told by a column of its own: a number that is wrong costs its block, and the one that begins there.
    @Test func aDamagedEndOfATextCostsNoOtherBlock() async throws {
        try await withLists(2) { lists in
            try await lists[0].appendTexts(20, "a")
            var reception = try await lists[1].list.reception(after: 0, hash: Block.genesis.hash)
            let common = try #require(try await lists[0].runs(from: 1)[0].part(1..<11))
            _ = try await reception.take([common], latestTimestamp: .max)
            try await lists[1].appendTexts(15, "b")
            try await lists[0].flipEndOfText(at: 5)
            // The run is split where the lists part, and merged with small ones later.
            let result = try #require(try await lists[0].pull(from: lists[1]))
            #expect((result.replacedBlocks, result.reappendedBlocks) == (10, 10))
            for _ in 0..<30 { try await lists[0].appendTexts(10, "c") }
            for height in [5, 6] {
                await #expect(throws: ReadError.damaged(height: height)) { try await lists[0].list.block(at: height) }
            }
            let readable = (1...4).map { "a \($0 - 1)" } + (7...10).map { "a \($0 - 1)" }
            for (height, text) in zip(Array(1...4) + Array(7...10), readable) {
                #expect(try await lists[0].list.block(at: height)?.data == text)
            }
            let rest = try await lists[0].runs(from: 11).flatMap { $0.blocks(after: .zero).map(\.data) }
            #expect(Array(rest.prefix(25)) == (0..<15).map { "b \($0)" } + (10..<20).map { "a \($0)" })
            #expect(rest.count == 325)
        }
    }

    /// The same within what is merged when small runs fill a large one.
    @Test func smallRunsWithADamagedEndOfATextAreMergedAsTheyAre() async throws {
        try await withLists(1) { lists in
            try await lists[0].appendTexts(9, "a")
            try await lists[0].flipEndOfText(at: 5)
            for _ in 0..<30 { try await lists[0].appendTexts(10, "b") }
            #expect(try await lists[0].list.validate().fault?.height == 5)
            #expect(try await lists[0].list.block(at: 9)?.data == "a 8")
            #expect(try await lists[0].list.block(at: 10)?.data == "b 0")
        }
    }

    /// A bit that flips in a text can make it one that an orphan stands for: the orphan waits until the block is good.
    @Test func anOrphanIsNotForgottenForADamagedBlock() async throws {
        try await withLists(3) { lists in
            try await lists[0].appendTexts(1, "b")
            try await lists[1].appendTexts(1, "c")
            try await lists[1].appendTexts(2, "d")
            _ = try await lists[2].pull(from: lists[0])
            _ = try await lists[2].pull(from: lists[1])
            try await lists[2].tidyAll()
            try await lists[2].flipText(at: 1)
            lists[2].clock.withLock { $0 += 60 }
            let now = lists[2].clock.withLock { $0 }
            #expect(try await lists[2].list.reappendOrphans(replacedBefore: now) == 0)
            #expect(try await lists[2].scrub() == [1])
            try await lists[2].repair(at: 1, from: lists[1])
            #expect(try await lists[2].list.reappendOrphans(replacedBefore: now) == 1)
            #expect(try await lists[2].texts() == ["c 0", "d 0", "d 1", "b 0"])
        }
    }
}
