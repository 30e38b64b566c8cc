// Lists that part and are united again: what is adopted, replaced, appended again, and told of.

import Synchronization
import TestSupport
import Testing

@testable import Chain

struct ForkTests {
    @Test func anExtensionIsTakenPieceByPiece() async throws {
        try await withLists(2) { lists in
            try await lists[0].appendTexts(1_000, "a")
            let outcome = try await lists[1].pull(from: lists[0])
            #expect(outcome == nil, "nothing is staged for an extension")
            #expect(try lists[1].list.status.headHash == lists[0].list.status.headHash)
            #expect(try await lists[1].pull(from: lists[0]) == nil)
            #expect(try await lists[1].list.validate().isValid)
        }
    }

    @Test func theLongerListWinsAndAcknowledgedBlocksComeAfterIt() async throws {
        try await withLists(2) { lists in
            try await lists[0].appendTexts(5, "common")
            _ = try await lists[1].pull(from: lists[0])
            try await lists[0].appendTexts(40, "a")
            let kept = try await lists[1].appendTexts(3, "b")
            let result = try #require(try await lists[1].pull(from: lists[0]))
            #expect(result == AdoptionResult(adoptedBlocks: 40, replacedBlocks: 3, reappendedBlocks: 3, firstHeight: 6))
            let texts = try await lists[1].texts()
            #expect(texts.suffix(3) == ["b 0", "b 1", "b 2"])
            #expect(texts.count == 48)
            try await lists[1].tidyAll()
            for (index, block) in kept.enumerated() {
                let orphan = try #require(try await lists[1].list.orphan(block.hash))
                let now = try #require(try await lists[1].list.block(at: 46 + index))
                #expect(orphan.state == .moved(height: 46 + index, hash: now.hash))
                #expect(now.identity == block.hash)
            }
            #expect(try await lists[1].list.orphans(before: nil, limit: 10).map(\.height) == [8, 7, 6])
            #expect(try await lists[1].list.validate().isValid)
            // The other follows, and knows what became of a block that it never had.
            #expect(try await lists[0].pull(from: lists[1]) == nil)
            #expect(try lists[0].list.status.headHash == lists[1].list.status.headHash)
            #expect(try await lists[0].list.orphan(kept[0].hash)?.height == 6)
        }
    }

    @Test func ofTwoListsOfOneLengthTheSmallerHashWins() async throws {
        try await withLists(2) { lists in
            try await lists[0].appendTexts(2, "a")
            try await lists[1].appendTexts(2, "b")
            let smaller = try lists[0].list.status.headHash < lists[1].list.status.headHash ? 0 : 1
            await #expect(throws: ReceptionError.oursIsAsGood) {
                try await lists[smaller].pull(from: lists[1 - smaller])
            }
            #expect(try await lists[1 - smaller].pull(from: lists[smaller]) != nil)
            #expect(try await lists[smaller].list.stagedHeads().isEmpty)
        }
    }

    @Test func whatANodeOnlyHeldWaitsForItsSecondChance() async throws {
        try await withLists(3) { lists in
            // Block x was acknowledged by a node that is lost; the second one held it.
            let x = try await lists[0].appendTexts(1, "x")[0]
            _ = try await lists[1].pull(from: lists[0])
            try await lists[2].appendTexts(2, "c")
            let result = try #require(try await lists[1].pull(from: lists[2]))
            #expect(result.reappendedBlocks == 0)
            try await lists[1].tidyAll()
            #expect(try await lists[1].list.orphan(x.hash)?.state == .pending)
            #expect(try await lists[1].list.reappendOrphans(replacedBefore: -1) == 0)
            #expect(try await lists[1].list.reappendOrphans(replacedBefore: .max) == 1)
            #expect(try await lists[1].list.reappendOrphans(replacedBefore: .max) == 0)
            #expect(try await lists[1].texts() == ["c 0", "c 1", "x 0"])
            #expect(try await lists[1].list.orphan(x.hash)?.state != .pending)
        }
    }

    @Test func aKeyAnswersWithTheBlockWhereverItStands() async throws {
        try await withLists(2) { lists in
            let hash = Hash.zero
            let request = AppendRequest(
                drafts: [Draft(data: "paid"), Draft(data: "twice")],
                idempotency: Idempotency(key: "k", requestHash: hash))
            let first = try await lists[0].list.append(request)
            try await lists[1].appendTexts(7, "b")
            _ = try await lists[0].pull(from: lists[1])
            let again = try await lists[0].list.append(request)
            #expect(again.map(\.height) == [8, 9])
            #expect(again.map(\.identity) == first.map(\.hash))
            #expect(try await lists[0].texts().count == 9)
        }
    }

    @Test func aBrokenTransferGoesOnWhereItBrokeAlsoAfterARestart() async throws {
        try await withLists(2) { lists in
            try await lists[0].appendTexts(900, "a")
            try await lists[1].appendTexts(2, "b")
            let genesis = Block.genesis
            var reception = try await lists[1].list.reception(after: 0, hash: genesis.hash)
            let runs = try await lists[0].runs(from: 1)
            #expect(runs.count >= 3)
            #expect(try await reception.take([runs[0]], latestTimestamp: .max))
            try await lists[1].restart()
            let staged = try await lists[1].list.stagedHeads()
            #expect(staged.map(\.height) == [runs[0].endHeight - 1])
            reception = try await lists[1].list.reception(after: staged[0].height, hash: staged[0].hash)
            #expect(try await reception.take(Array(runs[1...]), latestTimestamp: .max))
            let result = try #require(try await reception.adopt(AdoptionTerms()))
            #expect(result.adoptedBlocks == 900)
            #expect(try await lists[1].texts().suffix(2) == ["b 0", "b 1"])
            #expect(try await lists[1].list.validate().isValid)
        }
    }

    @Test func badPiecesAreRefusedWithTheirHeightAndNothingStays() async throws {
        try await withLists(2) { lists in
            try await lists[0].appendTexts(600, "a")
            try await lists[1].appendTexts(1, "b")
            let runs = try await lists[0].runs(from: 1)
            var content = runs[1].content
            content[content.count - 1] ^= 1
            let bad = try #require(BlockRun(firstHeight: runs[1].firstHeight, count: runs[1].count, content: content))
            var reception = try await lists[1].list.reception(after: 0, hash: Block.genesis.hash)
            #expect(try await reception.take([runs[0]], latestTimestamp: .max))
            do {
                _ = try await reception.take([bad], latestTimestamp: .max)
                Issue.record("a bad block was taken")
            } catch ReceptionError.invalid(let fault) {
                #expect(fault.height == bad.endHeight - 1 && fault.kind == .hash)
            }
            #expect(try await lists[1].list.stagedHeads().isEmpty)
            #expect(try await lists[1].texts() == ["b 0"])
        }
    }

    /// Which is checked while the piece before it is stored.
    @Test func aBadBlockOfALaterPieceIsRefusedToo() async throws {
        try await withLists(2) { lists in
            try await lists[0].appendTexts(8_000, "a")
            try await lists[0].appendTexts(8_000, "b")
            try await lists[0].appendTexts(1_000, "c")
            var runs = try await lists[0].runs(from: 1)
            let last = runs.removeLast()
            try #require(runs.count > 64)
            var content = last.content
            content[content.count - 1] ^= 1
            runs.append(try #require(BlockRun(firstHeight: last.firstHeight, count: last.count, content: content)))
            var reception = try await lists[1].list.reception(after: 0, hash: Block.genesis.hash)
            do {
                _ = try await reception.take(runs, latestTimestamp: .max)
                Issue.record("a bad block was taken")
            } catch ReceptionError.invalid(let fault) {
                #expect(fault.height == last.endHeight - 1 && fault.kind == .hash)
            }
            #expect(try await lists[1].list.validate().fault == nil)
        }
    }

    @Test func ofTwoAdoptionsOfOneBranchTheLaterOneIsDone() async throws {
        try await withLists(2) { lists in
            // More than one transaction looks at, so that the other comes in between.
            try await lists[0].appendTexts(2_500, "a")
            try await lists[1].appendTexts(2_400, "b")
            let writer = try lists[1].list.writer
            var reception = try await lists[1].list.reception(after: 0, hash: Block.genesis.hash)
            _ = try await reception.take(try await lists[0].runs(from: 1), latestTimestamp: .max)
            let branch = try #require(try await writer.stagedBranches(progressedIn: 0 ... .max).first).branch

            let first = try await writer.beginAdoption(branch, terms: AdoptionTerms()).get()
            guard case .unfinished(let firstGoesOn) = try await writer.step(first, now: 1_700_000_000) else {
                Issue.record("it was done at once")
                return
            }
            // Another reception of the branch ends, too.
            _ = try await writer.beginAdoption(branch, terms: AdoptionTerms()).get()
            guard case .refused(.listMoved) = try await writer.step(firstGoesOn, now: 1_700_000_000) else {
                Issue.record("it goes on after what was cut off")
                return
            }
            let result = try #require(try await reception.adopt(AdoptionTerms()))
            #expect(result.reappendedBlocks == 2_400)
            #expect(try await lists[1].list.validate().isValid)
            #expect(try await lists[1].texts().count == 4_900)
        }
    }

    @Test func whatAnAdoptionBringsMeanwhileIsLookedAtToo() async throws {
        try await withLists(3) { lists in
            let kept = try await lists[1].appendTexts(2_400, "b")
            try await lists[0].appendTexts(6_000, "a")
            // Has the last one of them at a height that the first adoption has looked at by then.
            let last = try #require(kept.last)
            _ = try await lists[2].list.append(
                AppendRequest(drafts: [Draft(data: last.data, origin: Origin(of: last))]))
            try await lists[2].appendTexts(2_499, "c")
            let writer = try lists[1].list.writer
            var reception = try await lists[1].list.reception(after: 0, hash: Block.genesis.hash)
            _ = try await reception.take(try await lists[0].runs(from: 1), latestTimestamp: .max)
            let branch = try #require(try await writer.stagedBranches(progressedIn: 0 ... .max).first).branch
            var adoption = try await writer.beginAdoption(branch, terms: AdoptionTerms()).get()
            guard case .unfinished(let next) = try await writer.step(adoption, now: 1_700_000_000) else {
                Issue.record("it was done at once")
                return
            }
            adoption = next
            #expect(try await lists[1].pull(from: lists[2]) != nil)
            try await lists[1].tidyAll()
            while case .unfinished(let next) = try await writer.step(adoption, now: 1_700_000_000) { adoption = next }
            let texts = try await lists[1].texts()
            #expect(texts.count == 8_400 && texts.contains(last.data))
            #expect(try await lists[1].list.validate().isValid)
        }
    }

    @Test func anAcknowledgedBlockThatCameBackAsItWasIsStillOurs() async throws {
        try await withLists(3) { lists in
            try await lists[0].appendTexts(1, "b")
            _ = try await lists[1].pull(from: lists[0])
            try await lists[1].appendTexts(5, "d")
            try await lists[2].appendTexts(2, "c")
            #expect(try await lists[0].pull(from: lists[2])?.reappendedBlocks == 1)
            #expect(try await lists[0].pull(from: lists[1])?.reappendedBlocks == 0)
            #expect(try await lists[0].texts().first == "b 0")
            try await lists[2].appendTexts(8, "e")
            #expect(try await lists[0].pull(from: lists[2])?.reappendedBlocks == 1)
            #expect(try await lists[0].texts().last == "b 0")
        }
    }

    @Test func settledBlocksAreReplacedByDecisionOnly() async throws {
        try await withLists(2) { lists in
            try await lists[0].appendTexts(5, "a")
            try await lists[1].appendTexts(9, "b")
            try await lists[0].list.settle(upTo: 3, replacements: 0)
            await #expect(throws: ReceptionError.conflict(height: 1)) { try await lists[0].pull(from: lists[1]) }
            try await lists[0].restart()
            #expect(try lists[0].list.status.settledHeight == 3)
            var terms = AdoptionTerms()
            terms.isForced = true
            let result = try #require(try await lists[0].pull(from: lists[1], terms))
            #expect(result.reappendedBlocks == 5)
            #expect(try lists[0].list.status.settledHeight == 0)
        }
    }

    @Test func whatIsSettledThereIsSettledHereAfterADecisionOnly() async throws {
        try await withLists(4) { lists in
            try await lists[0].appendTexts(5, "a")
            try await lists[1].appendTexts(9, "b")
            try await lists[2].appendTexts(40, "c")
            var terms = AdoptionTerms()
            terms.settledHeight = 7
            try await lists[3].appendTexts(2, "d")
            _ = try #require(try await lists[3].pull(from: lists[1], terms))
            #expect(try lists[3].list.status.settledHeight == 0)
            terms.isForced = true
            _ = try #require(try await lists[0].pull(from: lists[1], terms))
            try await lists[0].restart()
            #expect(try lists[0].list.status.settledHeight == 7)
            await #expect(throws: ReceptionError.conflict(height: 1)) { try await lists[0].pull(from: lists[2]) }
        }
    }

    @Test func aTailFromAClockThatWasAheadIsAppendedAgain() async throws {
        try await withLists(1) { lists in
            try await lists[0].appendTexts(3, "now")
            lists[0].clock.withLock { $0 += 90_000 }
            try await lists[0].appendTexts(2, "tomorrow")
            lists[0].clock.withLock { $0 -= 90_000 }
            let latest = lists[0].clock.withLock { $0 } + 7_200
            #expect(try await lists[0].list.rank(latestTimestamp: latest).height == 3)
            let result = try #require(try await lists[0].list.reappendTail(latestTimestamp: latest))
            #expect(result == AdoptionResult(adoptedBlocks: 0, replacedBlocks: 2, reappendedBlocks: 2, firstHeight: 4))
            #expect(try lists[0].list.status.headTimestamp <= latest)
            #expect(try await lists[0].texts().suffix(2) == ["tomorrow 0", "tomorrow 1"])
            #expect(try await lists[0].list.reappendTail(latestTimestamp: latest) == nil)
        }
    }

    /// The hash of a block does not cover the previous hash and the timestamp of its origin.
    @Test func anOrphanWhoseOriginWentBadIsNotAppendedAgain() async throws {
        try await withLists(4) { lists in
            try await lists[0].appendTexts(1, "a")
            try await lists[1].appendTexts(3, "b")
            try await lists[3].appendTexts(9, "c")
            for (taker, giver) in [(0, 1), (2, 0), (2, 3)] { _ = try await lists[taker].pull(from: lists[giver]) }
            try await lists[2].tidyAll()
            try await lists[2].close()
            let database = RawDatabase(path: lists[2].path)
            let content = try #require(try database.blobs("content", of: "orphans").max { $0.count < $1.count })
            var damaged = content
            damaged[content.count - 9] ^= 1
            try database.replace(content, by: damaged, in: "content", of: "orphans")
            try await lists[2].open()
            let later = lists[2].clock.withLock { $0 + 60 }
            #expect(try await lists[2].list.reappendOrphans(replacedBefore: later) == 3)
            #expect(try await lists[2].texts().suffix(3) == ["b 0", "b 1", "b 2"])
            #expect(try await lists[2].list.validate().isValid)
        }
    }

    /// Whatever is appended after a settled block from the future gets its time.
    @Test func aTailThatCannotGetAnotherTimeStays() async throws {
        try await withLists(1) { lists in
            lists[0].clock.withLock { $0 += 90_000 }
            try await lists[0].appendTexts(3, "tomorrow")
            lists[0].clock.withLock { $0 -= 90_000 }
            try await lists[0].list.settle(upTo: 2, replacements: 0)
            let latest = lists[0].clock.withLock { $0 } + 7_200
            #expect(try await lists[0].list.rank(latestTimestamp: latest).height == 2)
            #expect(try await lists[0].list.reappendTail(latestTimestamp: latest) == nil)
            #expect(try await lists[0].texts() == ["tomorrow 0", "tomorrow 1", "tomorrow 2"])
        }
    }

    /// Many lists, appends to all of them and adoptions in every direction, restarts in between: at the end one list,
    /// with each acknowledged text in it once.
    @Test(arguments: 0..<8) func manyForksEndInOneListWithEachBlockOnce(seed: Int) async throws {
        var random = SeededGenerator(seed: UInt64(seed))
        try await withLists(4) { lists in
            var acknowledged: [Block] = []
            for step in 0..<120 {
                let index = Int.random(in: 0..<lists.count, using: &random)
                switch Int.random(in: 0..<10, using: &random) {
                case 0..<5:
                    // Few different texts, so that equal blocks occur on two nodes.
                    let count = Int.random(in: 1...4, using: &random)
                    let text = "text \(Int.random(in: 0..<5, using: &random))"
                    acknowledged += try await lists[index].list.append(
                        AppendRequest(drafts: Array(repeating: Draft(data: text), count: count)))
                case 5..<8:
                    let other = Int.random(in: 0..<lists.count, using: &random)
                    if other != index { try await lists[index].pullIfBetter(from: lists[other]) }
                case 8: try await lists[index].restart()
                default:
                    try await lists[index].tidyAll()
                    if step % 2 == 0 { _ = try await lists[index].list.reappendOrphans(replacedBefore: .max) }
                }
                if step % 10 == 0 { for list in lists { list.clock.withLock { $0 += 1 } } }
            }
            for _ in 0..<20 {
                for list in lists {
                    for other in lists where other !== list { try await list.pullIfBetter(from: other) }
                    try await list.tidyAll()
                }
                for list in lists { _ = try await list.list.reappendOrphans(replacedBefore: .max) }
                if try Set(lists.map { try $0.list.status.headHash }).count == 1 { break }
            }
            #expect(try Set(lists.map { try $0.list.status.headHash }).count == 1, "seed \(seed)")
            for list in lists { #expect(try await list.list.validate().isValid, "seed \(seed)") }
            var identities: [Hash: Int] = [:]
            for try await slice in try lists[0].list.slices(from: 1) {
                for block in slice.blocks { identities[block.identity, default: 0] += 1 }
            }
            // The same text onto the same head with the same timestamp makes one block.
            let expected = Set(acknowledged.map(\.identity))
            #expect(Set(identities.keys) == expected, "seed \(seed)")
            #expect(identities.values.allSatisfy { $0 == 1 })
        }
    }
}

extension ForkedList {
    /// Appends texts one after the other, each as a request of its own.
    @discardableResult
    func appendTexts(_ count: Int, _ name: String) async throws -> [Block] {
        try await list.append(AppendRequest(drafts: (0..<count).map { Draft(data: "\(name) \($0)") }))
    }
}
