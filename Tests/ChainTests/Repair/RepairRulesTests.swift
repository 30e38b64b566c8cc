// What a repair must not do, what it keeps, and the rules for the head, which no block vouches for.

import TestSupport
import Testing

@testable import Chain

struct RepairRulesTests {
    private static let member = "http://member:1"

    /// Runs a body with two lists of the same blocks, "text 1" and so on, that the first one acknowledged.
    private func withEqualLists(_ blocks: Int = 700, _ body: ([ForkedList]) async throws -> Void) async throws {
        try await withLists(2) { lists in
            try await lists[0].append(blocks)
            _ = try await lists[1].pull(from: lists[0])
            try await body(lists)
        }
    }

    // MARK: The head

    @Test func aHeadWhoseTextIsDamagedIsConfirmedByItsStoredHash() async throws {
        try await withEqualLists { lists in
            let head = try lists[0].list.status
            try await lists[0].flipText(at: 700)
            #expect(try lists[0].list.status.headHash == .zero)
            #expect(try lists[0].list.status.damagedHeights == [700])
            await #expect(throws: AppendError.damagedHead(height: 700)) { try await lists[0].append(701) }
            await #expect(throws: RepairError.unconfirmed) { try await lists[0].list.repairHashes(at: 700..<701) }
            #expect(try await lists[0].repair(at: 700, from: lists[1]).map(\.height) == [700])
            #expect(try lists[0].list.status.headHash == head.headHash)
            try await lists[0].append(701)
            try await lists[0].restart()
            #expect(try await lists[0].list.validate().isValid)
        }
    }

    @Test func aHeadWhoseHashIsDamagedIsConfirmedByAMemberThatHasIt() async throws {
        try await withEqualLists { lists in
            try await lists[0].flipHash(at: 700)
            await #expect(throws: RepairError.unconfirmed, "its own data is not enough") {
                try await lists[0].list.repairHashes(at: 700..<701)
            }
            try await lists[0].repair(at: 700, from: lists[1])
            #expect(try lists[0].list.status.headHash == lists[1].list.status.headHash)
            try await lists[0].append(701)
        }
    }

    @Test func aHeadIsNotReplacedByWhatAnotherListHasThere() async throws {
        for flipsHash in [false, true] {
            try await withLists(2) { lists in
                try await lists[0].append(50)
                _ = try await lists[1].pull(from: lists[0])
                try await lists[0].append(51)
                _ = try await lists[1].list.append(AppendRequest(drafts: [Draft(data: "other")]))
                if flipsHash { try await lists[0].flipHash(at: 51) } else { try await lists[0].flipText(at: 51) }
                await #expect(throws: RepairError.unconfirmed) {
                    try await lists[0].repair(at: 51, from: lists[1])
                }
                #expect(try lists[0].list.status.damagedHeights == [51])
                #expect(try lists[0].list.status.headHash == .zero)
            }
        }
    }

    @Test func aHeadOfWhichNothingCanBeReadIsWhatAMemberHas() async throws {
        try await withEqualLists { lists in
            try await lists[0].close()
            let database = RawDatabase(path: lists[0].path)
            var run = try #require(try database.runs().last)
            let first = Int(run.position)
            run.content = []
            try database.update(run)
            try await lists[0].open()
            #expect(try lists[0].list.status.headHash == .zero)
            await #expect(throws: RepairError.self) { try await lists[0].list.repairHashes(at: first..<701) }
            #expect(try await lists[0].repair(at: 700, from: lists[1]).map(\.height) == Array(first...700))
            #expect(try lists[0].list.status.headHash == lists[1].list.status.headHash)
            try await lists[0].append(701)
            #expect(try await lists[0].list.validate().isValid)
        }
    }

    /// The texts of the head are ours, but not the blocks before it: they are damaged, and a member has others there.
    @Test func aHeadOfTheSameTextVouchesForNothingBeforeIt() async throws {
        try await withLists(2) { lists in
            try await lists[0].append(49)
            _ = try await lists[1].pull(from: lists[0])
            _ = try await lists[0].list.append(AppendRequest(drafts: [Draft(data: "text 50,")]))
            _ = try await lists[1].list.append(AppendRequest(drafts: [Draft(data: "other")]))
            for list in lists { _ = try await list.list.append(AppendRequest(drafts: [Draft(data: "text 51,")])) }
            try await lists[0].flipText(at: 50)
            try await lists[0].flipHash(at: 51)
            #expect(try await lists[0].scrub() == [50, 51])
            await #expect(throws: RepairError.unconfirmed) { try await lists[0].repair(at: 50, from: lists[1]) }
        }
    }

    @Test func anOperatorAcceptsWhatTheDataOfTheHeadGives() async throws {
        try await withEqualLists { lists in
            let hash = try lists[0].list.status.headHash
            try await lists[0].flipHash(at: 700)
            let repairs = try await lists[0].list.acceptHead()
            #expect(repairs.map(\.height) == [700])
            #expect(repairs[0].source.contains("operator"))
            #expect(try lists[0].list.status.headHash == hash)
            #expect(try await lists[0].list.acceptHead() == [], "there is nothing to accept any more")

            try await lists[0].flipText(at: 700)
            try await lists[0].list.acceptHead()
            #expect(try await lists[0].list.block(at: 700)?.data == "uext 700,")
            #expect(try lists[0].list.status.headHash != hash)
            try await lists[0].append(701)
            #expect(try await lists[0].list.validate().isValid)
            try await lists[0].restart()
            #expect(try lists[0].list.status.repairs.count == 2)
        }
    }

    @Test func aHeadThatIsDamagedWhileTheListIsOpenIsKnown() async throws {
        try await withEqualLists { lists in
            let position = try #require(try RawDatabase(path: lists[0].path).runs().last?.position)
            // A last row that cannot be made out at all.
            try RawDatabase(path: lists[0].path).execute("UPDATE runs SET content = x'00' WHERE position = \(position)")
            let found = try await lists[0].scrub()
            #expect(found.last == 700)
            try await lists[0].repair(at: found[0], from: lists[1])
            #expect(try await lists[0].scrub() == [])
            #expect(try await lists[0].list.validate().isValid)
            try await lists[0].append(701)
        }
    }

    // MARK: Candidates

    @Test func whatDoesNotFitIsNeverStored() async throws {
        try await withEqualLists { lists in
            let good = try await lists[1].runs(from: 1)
            try await lists[0].flipText(at: 400)
            #expect(try await lists[0].scrub() == [400])
            try await lists[0].close()
            let before = try RawDatabase(path: lists[0].path).runs()
            try await lists[0].open()
            #expect(try await lists[0].scrub() == [400])

            let previous = try #require(try await lists[1].list.block(at: 399))
            let lie = Block(height: 400, timestamp: previous.timestamp, data: "lie", previousHash: previous.hash)
            let truth = try #require(try await lists[1].list.block(at: 400))
            let wrongHash = Block(
                height: 400, timestamp: truth.timestamp, data: "lie", previousHash: previous.hash, hash: truth.hash,
                origin: nil)
            let later = Block(
                height: 400, timestamp: truth.timestamp + 1, data: truth.data, previousHash: previous.hash)
            var offers = [[lie], [wrongHash], [later], [truth, lie]].map(BlockRun.runs)
            // A whole list that fits together, and is another one.
            try await lists[1].restartEmpty()
            try await lists[1].append(700, name: "lie")
            offers.append(try await lists[1].runs(from: 1))
            // The right blocks out of order, not all of them, or at the wrong heights.
            offers.append(good.reversed())
            offers.append([good[0]])
            offers.append([])
            offers.append(
                try good.map { run in
                    try #require(BlockRun(firstHeight: run.firstHeight + 1, count: run.count, content: run.content))
                })
            offers.append([good[0], good[2]])
            for (index, offer) in offers.enumerated() {
                var repairs: [Repair] = []
                do {
                    repairs = try await lists[0].list.repair(with: offer, source: RepairRulesTests.member)
                } catch {
                    #expect(error is RepairError)
                }
                #expect(repairs == [], "offer \(index)")
                #expect(try await lists[0].scrub() == [400], "offer \(index)")
            }
            try await lists[0].close()
            #expect(try RawDatabase(path: lists[0].path).runs() == before)
            try await lists[0].open()
            #expect(try lists[0].list.status.repairs == [])
            #expect(try await lists[0].scrub() == [400])
            #expect(try await lists[0].list.repair(with: good, source: RepairRulesTests.member).map(\.height) == [400])
        }
    }

    @Test func goodBlocksAreLeftAlone() async throws {
        try await withEqualLists { lists in
            let runs = try await lists[1].runs(from: 1)
            #expect(try await lists[0].list.repair(with: runs, source: RepairRulesTests.member) == [])
            #expect(try lists[0].list.status.repairs == [])
            #expect(try await lists[0].list.damagedRange(at: 5) == nil)
            #expect(try await lists[0].list.damagedRange(at: 701) == nil)
        }
    }

    // MARK: What is kept

    @Test func whatWasAcknowledgedIsAppendedAgainAfterARepair() async throws {
        for lost in [false, true] {
            try await withLists(3) { lists in
                try await lists[0].append(100)
                _ = try await lists[1].pull(from: lists[0])
                let last = try await lists[0].append(120)
                _ = try await lists[1].pull(from: lists[0])
                // Blocks of the other's stand in the same runs.
                _ = try await lists[1].list.append(AppendRequest(drafts: [Draft(data: "held")]))
                _ = try await lists[0].pull(from: lists[1])
                if lost {
                    try await lists[0].close()
                    try RawDatabase(path: lists[0].path).execute("DELETE FROM runs WHERE position = 101")
                    try await lists[0].open()
                } else {
                    try await lists[0].flipText(at: 110)
                }
                #expect(try await lists[0].scrub().contains(110))
                try await lists[0].repair(at: 110, from: lists[1])
                #expect(try await lists[0].scrub() == [])

                try await lists[2].append(200, name: "better")
                let result = try #require(try await lists[0].pull(from: lists[2]))
                #expect(result.reappendedBlocks == 120, "its own, and not the one that it held")
                let texts = try await lists[0].texts()
                #expect(texts.suffix(last.count) == last.map(\.data)[...])
                #expect(!texts.contains("held"))
            }
        }
    }

    @Test func aKeyStillAnswersWithItsBlock() async throws {
        try await withLists(2) { lists in
            try await lists[0].append(30)
            let request = AppendRequest(
                drafts: [Draft(data: "text 31,")], idempotency: Idempotency(key: "k", requestHash: .zero))
            let first = try await lists[0].list.append(request)
            try await lists[0].append(60)
            _ = try await lists[1].pull(from: lists[0])
            try await lists[0].flipText(at: 31)
            await #expect(throws: AppendError.damaged(height: 31)) { try await lists[0].list.append(request) }
            try await lists[0].repair(at: 31, from: lists[1])
            #expect(try await lists[0].list.append(request) == first)
            #expect(try lists[0].list.status.height == 60)
        }
    }

    @Test func aHashIsFoundAfterItWasRepaired() async throws {
        try await withEqualLists { lists in
            let hash = try #require(try await lists[1].list.block(at: 300)?.hash)
            try await lists[0].flipHash(at: 300)
            try await lists[0].list.validateInBackground()
            #expect(try lists[0].list.status.validatedHeight == 299)
            await #expect(throws: ReadError.damaged(height: 300)) { try await lists[0].list.block(hash: hash) }
            try await lists[0].list.repairHashes(at: 300..<301)
            #expect(try await lists[0].list.block(hash: hash)?.height == 300)
            #expect(try lists[0].list.status.validatedHeight == 700)
            #expect(try await lists[0].list.block(hash: Hash(hex: String(repeating: "ab", count: 32))!) == nil)
        }
    }

    @Test func repairsAreRecordedAndTheOldestForgotten() async throws {
        try await withEqualLists(1_300) { lists in
            try await lists[0].close()
            let database = RawDatabase(path: lists[0].path)
            for run in try database.runs().dropLast().dropFirst() {
                try database.execute("DELETE FROM runs WHERE position = \(run.position)")
            }
            try await lists[0].open()
            let damaged = try await lists[0].scrub()
            #expect(damaged.count > 1_000)
            let repairs = try await lists[0].repair(at: damaged[0], from: lists[1])
            #expect(repairs.count == damaged.count)
            try await lists[0].restart()
            let last = try lists[0].list.status.repairs
            #expect(last.map(\.height) == damaged.suffix(10).reversed())
            #expect(last.allSatisfy { $0.time == 1_700_000_000 && $0.source == RepairRulesTests.member })
            #expect(last.allSatisfy { $0.fault.hasPrefix("structure: expected ") })
            try await lists[0].close()
            #expect(try RawDatabase(path: lists[0].path).integers("SELECT count(*) FROM repairs") == [1_000])
            try await lists[0].open()
        }
    }

    // MARK: Beside the list

    @Test func aDamagedOrphanIsTold() async throws {
        try await withLists(3) { lists in
            try await lists[0].append(1)
            _ = try await lists[1].pull(from: lists[0])
            try await lists[2].append(2, name: "better")
            _ = try await lists[1].pull(from: lists[2])
            try await lists[1].tidyAll()
            #expect(try await lists[1].damagedOrphans() == [])
            try await lists[1].close()
            try RawDatabase(path: lists[1].path).execute(
                "UPDATE orphans SET content = CAST(substr(content, 1, 44) || 'Xext 1,' AS BLOB)")
            try await lists[1].open()
            let hash = try await lists[0].list.block(at: 1)?.hash
            #expect(try await lists[1].damagedOrphans() == [hash])
            #expect(try await lists[1].list.reappendOrphans(replacedBefore: .max) == 0, "never as if it were good")
            #expect(try lists[1].list.status.height == 2)
        }
    }

    @Test func blocksInBranchesHealToo() async throws {
        try await withLists(3) { lists in
            try await lists[0].append(120)
            _ = try await lists[1].pull(from: lists[0])
            try await lists[0].append(130)
            try await lists[1].append(180, name: "better")
            let result = try #require(try await lists[0].pull(from: lists[1]))
            #expect(result.replacedBlocks == 10 && result.reappendedBlocks == 10)
            try await lists[0].tidyAll()
            _ = try await lists[1].pull(from: lists[0])
            _ = try await lists[2].pull(from: lists[0])
            // On both sides of where the lists parted, and among those that were appended again.
            for heights in [[119, 120, 121, 122], [185], [181, 190], [118, 121, 183]] {
                for height in heights { try await lists[0].flipText(at: height) }
                #expect(try await lists[0].scrub() == heights)
                while let height = try lists[0].list.status.damagedHeights.first {
                    try await lists[0].repair(at: height, from: lists[2])
                }
                #expect(try await lists[0].scrub() == [])
                #expect(try await lists[0].list.validate().isValid)
                #expect(try lists[0].list.status.headHash == lists[1].list.status.headHash)
            }
            // What was appended again is still known by what it stands for.
            #expect(try await lists[0].list.orphans(before: nil, limit: 100).count == 10)
            for orphan in try await lists[0].list.orphans(before: nil, limit: 100) { #expect(orphan.state != .pending) }
        }
    }

    @Test func aValidationThatRunsGoesOnWithWhatWasRepaired() async throws {
        try await withEqualLists(20_000) { lists in
            for height in [100, 9_000, 19_000] { try await lists[0].flipHash(at: height) }
            let list = try lists[0].list
            let validation = Task { try await list.validateInBackground() }
            for height in [100, 9_000, 19_000] { try await list.repairHashes(at: height..<height + 1) }
            try await validation.value
            #expect(list.status.damagedHeights == [])
            #expect(list.status.validatedHeight == 20_000)
        }
    }

    @Test func aScrubGoesRoundInSmallSteps() async throws {
        try await withLists(1) { lists in
            let text = String(repeating: "x", count: 60_000)
            for _ in 0..<100 { _ = try await lists[0].list.append(AppendRequest(drafts: [Draft(data: text)])) }
            var place = ScrubPlace.start
            var steps: [ScrubStep] = []
            repeat {
                let step = try await lists[0].list.scrub(from: place)
                steps.append(step)
                place = step.next
            } while place != .start
            #expect(steps.count >= 6)
            #expect(steps.allSatisfy { $0.sizeBytes < 2 << 20 })
            #expect(steps.reduce(0) { $0 + $1.sizeBytes } >= 6_000_000)
        }
    }
}

extension ForkedList {
    /// Flips a bit of the block's text in the file.
    fileprivate func flipText(at height: Int) async throws {
        try await change(at: height) { run, index in
            run.content[44 * Int(run.blocks) + (index == 0 ? 0 : run.dataEnd(index - 1))] ^= 1
        }
    }

    /// Flips a bit of the block's stored hash in the file.
    fileprivate func flipHash(at height: Int) async throws {
        try await change(at: height) { run, index in run.content[8 * Int(run.blocks) + 32 * index + 9] ^= 16 }
    }

    private func change(at height: Int, _ body: (inout RawRun, Int) -> Void) async throws {
        try await close()
        let database = RawDatabase(path: path)
        // The branch that the height belongs to is the last one that begins at it or before.
        let branch = try database.integers("SELECT branch FROM segments WHERE first <= \(height) ORDER BY first DESC")[
            0]
        var run = try #require(try database.runs().last { $0.position <= branch << 40 | Int64(height) })
        body(&run, height - Int(run.position & (1 << 40 - 1)))
        try database.update(run)
        try await open()
    }

    /// Repairs what is damaged around a height with another list's blocks.
    @discardableResult
    fileprivate func repair(at height: Int, from other: ForkedList) async throws -> [Repair] {
        let range = try #require(try await list.damagedRange(at: height))
        let runs = try await other.runs(from: range.before.height + 1)
        return try await list.repair(with: runs, source: "http://member:1")
    }

    fileprivate func damagedOrphans() async throws -> [Hash] {
        var place = ScrubPlace.start
        var hashes: [Hash] = []
        repeat {
            let step = try await list.scrub(from: place)
            hashes += step.damagedOrphans
            place = step.next
        } while place != .start
        return hashes
    }

    fileprivate func restartEmpty() async throws {
        try await close()
        try RawDatabase(path: path).execute("DELETE FROM runs WHERE position > 0")
        try await open()
    }
}
