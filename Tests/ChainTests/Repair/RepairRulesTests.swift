// What a repair must not do, and what it keeps.

import TestSupport
import Testing

@testable import Chain

struct RepairRulesTests {
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
                    repairs = try await lists[0].list.repair(with: offer, source: "http://member:1")
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
            #expect(try await lists[0].list.repair(with: good, source: "http://member:1").map(\.height) == [400])
        }
    }

    @Test func goodBlocksAreLeftAlone() async throws {
        try await withEqualLists { lists in
            let runs = try await lists[1].runs(from: 1)
            #expect(try await lists[0].list.repair(with: runs, source: "http://member:1") == [])
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
            #expect(last.allSatisfy { $0.time == 1_700_000_000 && $0.source == "http://member:1" })
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

    /// Where a block that was appended again stands is known by an index: the scrub makes it anew, and a wrong entry is not
    /// believed.
    @Test(arguments: [
        "DELETE FROM origins", "UPDATE origins SET identity = randomblob(32)",
        "UPDATE origins SET position = position + 1",
    ])
    func theIndexOfIdentitiesIsMadeAnew(damage: String) async throws {
        try await withLists(2) { lists in
            try await lists[0].append(3)
            try await lists[1].append(5, name: "better")
            _ = try await lists[0].pull(from: lists[1])
            try await lists[0].tidyAll()
            let orphans = try await lists[0].list.orphans(before: nil, limit: 10)
            #expect(orphans.map(\.state.height).sorted() == [6, 7, 8])
            try await lists[0].close()
            try RawDatabase(path: lists[0].path).execute(damage)
            try await lists[0].open()
            #expect(try await lists[0].list.orphans(before: nil, limit: 10) != orphans)
            #expect(try await lists[0].scrubSteps().flatMap(\.listedAgain).sorted() == [6, 7, 8])
            #expect(try await lists[0].list.orphans(before: nil, limit: 10) == orphans)
            #expect(try await lists[0].scrubSteps().flatMap(\.listedAgain) == [])
        }
    }

    /// Before it is found out, the index says that what was replaced is not in the list.
    @Test func nothingIsAppendedTwiceBecauseTheIndexLacksIt() async throws {
        try await withLists(2) { lists in
            try await lists[0].append(3)
            try await lists[1].append(5, name: "better")
            _ = try await lists[0].pull(from: lists[1])
            let head = try lists[0].list.status.headHash
            try await lists[0].close()
            try RawDatabase(path: lists[0].path).execute("UPDATE origins SET identity = randomblob(32)")
            try await lists[0].open()
            try await lists[0].tidyAll()
            #expect(try await lists[0].list.reappendOrphans(replacedBefore: .max) == 0)
            let headAfter = try lists[0].list.status.headHash
            #expect(headAfter == head)
            #expect(try await lists[0].list.orphans(before: nil, limit: 10).map(\.state.height).sorted() == [6, 7, 8])
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
            let steps = try await lists[0].scrubSteps()
            #expect(steps.count >= 6)
            #expect(steps.allSatisfy { $0.sizeBytes < 2 << 20 })
            #expect(steps.reduce(0) { $0 + $1.sizeBytes } >= 6_000_000)
        }
    }
}

extension Orphan.State {
    /// Where it stands now; 0 if it does not.
    fileprivate var height: Int {
        if case .moved(let height, _) = self { height } else { 0 }
    }
}
