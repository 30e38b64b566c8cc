// The rules for the head, which no block vouches for.

import TestSupport
import Testing

@testable import Chain

struct RepairHeadTests {
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
}
