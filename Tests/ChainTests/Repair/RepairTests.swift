// Damage in every column of a run and in whole runs: found at its height, and put right with a member's blocks.

import TestSupport
import Testing

@testable import Chain

struct RepairTests {
    /// Runs a body with a list of some large runs and some small ones at its end.
    private func withDamagedList(
        seed: UInt64 = 1, blocks: Int = 1_100, _ body: (DamagedList) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            let list = try await DamagedList.make(in: directory, seed: seed, blocks: blocks)
            do {
                try await list.damaged.open()
                try await body(list)
                try await list.close()
            } catch {
                try await list.close()
                throw error
            }
        }
    }

    @Test(arguments: ["timestamps", "hashes", "ends", "data"])
    func aFlippedBitHealsWhereverItStands(column: String) async throws {
        try await withDamagedList { list in
            let large = try #require(list.runs.first { $0.blocks > 100 })
            let last = try #require(list.runs.last)
            for run in [large, last] {
                let places = column == "data" ? run.withText : Array(0..<Int(run.blocks))
                for index in Set([places[0], places[places.count / 2], places[places.count - 1]]) {
                    let height = Int(run.position) + index
                    let comment: Comment = "\(column) of block \(height)"
                    try await list.damage {
                        try $0.update(run.flipped(column, at: index, byte: column == "ends" ? 3 : 0))
                    }
                    let found = try await list.scrub()
                    if column == "hashes" || column == "data" {
                        #expect(found == [height], comment)
                    } else {
                        #expect(found.first == height, comment)
                    }
                    let repairs = try await list.repair()
                    #expect(Set(repairs.map(\.height)) == Set(found), comment)
                    #expect(repairs.allSatisfy { $0.fault != "" && $0.source != "" })
                    #expect(try list.damaged.list.status.repairs.first == repairs.last, comment)
                    try await list.expectGood(comment)
                }
            }
        }
    }

    @Test func everyBitOfATimestampAndAnEndHeals() async throws {
        try await withDamagedList(blocks: 300) { list in
            let run = try #require(list.runs.first { $0.blocks > 20 })
            for (column, bytes) in [("timestamps", 8), ("ends", 4)] {
                for byte in 0..<bytes {
                    for bit: UInt8 in [0x80, 0x01] {
                        try await list.damage { try $0.update(run.flipped(column, at: 7, byte: byte, bit: bit)) }
                        #expect(try await list.scrub().first == Int(run.position) + 7)
                        try await list.repair()
                        try await list.expectGood("\(column) byte \(byte) bit \(bit)")
                    }
                }
            }
        }
    }

    @Test func damagedOriginsHeal() async throws {
        try await withDamagedList { list in
            let run = try #require(list.runs.first { $0.withOrigin.count > 2 })
            for (place, index) in run.withOrigin.enumerated() where place < 3 {
                for byte in [0, 40, 70, 79] {
                    var flipped = run
                    flipped.content[run.content.count - 80 * (place + 1) + byte] ^= 4
                    try await list.damage { try $0.update(flipped) }
                    #expect(try await list.scrub() == [Int(run.position) + index])
                    try await list.repair()
                    try await list.expectGood("origin \(place) byte \(byte)")
                }
            }
        }
    }

    @Test func severalBlocksInARowHealAcrossRunsToo() async throws {
        try await withDamagedList { list in
            let place = try #require(list.runs.indices.dropFirst().first { list.runs[$0].blocks > 50 })
            let before = list.runs[place - 1]
            let after = list.runs[place]
            try await list.damage { database in
                var left = before
                for index in max(0, Int(before.blocks) - 3)..<Int(before.blocks) {
                    left = left.flipped("hashes", at: index)
                }
                try database.update(left)
                try database.update(
                    after.flipped("hashes", at: 0).flipped("timestamps", at: 1, byte: 7).flipped("hashes", at: 2))
            }
            let found = try await list.scrub()
            #expect(found.count >= 4)
            try await list.repair()
            try await list.expectGood()
        }
    }

    @Test func aStoredHashHealsWithoutAnyMember() async throws {
        try await withDamagedList { list in
            let run = try #require(list.runs.first { $0.blocks > 100 })
            // The last one of a run: the next block is in another.
            for index in [0, 50, Int(run.blocks) - 1] {
                let height = Int(run.position) + index
                try await list.damage { try $0.update(run.flipped("hashes", at: index, byte: 31)) }
                #expect(try await list.scrub() == [height])
                let repairs = try await list.damaged.list.repairHashes(at: height..<height + 1)
                #expect(repairs.map(\.height) == [height])
                try await list.expectGood()
            }
            // Its text cannot be made out from itself.
            let height = Int(run.position) + run.withText[10]
            try await list.damage { try $0.update(run.flipped("data", at: run.withText[10])) }
            #expect(try await list.scrub() == [height])
            await #expect(throws: RepairError.unconfirmed) {
                try await list.damaged.list.repairHashes(at: height..<height + 1)
            }
            #expect(try await list.scrub() == [height])
        }
    }

    @Test func runsThatAreLostHeal() async throws {
        try await withDamagedList { list in
            let last = list.runs.count - 1
            for lost in [[3], [1], [2, 3, 4], [0], [0, 1], [last - 1], [2, 5]] {
                try await list.damage { database in
                    for index in lost {
                        try database.execute("DELETE FROM runs WHERE position = \(list.runs[index].position)")
                    }
                }
                let found = try await list.scrub()
                for index in lost {
                    let run = list.runs[index]
                    #expect((Int(run.position)..<Int(run.position + run.blocks)).allSatisfy(found.contains))
                }
                try await list.repair()
                try await list.expectGood("runs \(lost)")
            }
        }
    }

    @Test func rowsWhoseColumnsAreBrokenHeal() async throws {
        try await withDamagedList { list in
            let run = try #require(list.runs.first { $0.blocks > 100 })
            let broken = [
                RawRun(position: run.position, blocks: run.blocks, content: []),
                RawRun(position: run.position, blocks: run.blocks, content: Array(run.content.prefix(900))),
                RawRun(position: run.position, blocks: run.blocks - 1, content: run.content),
                RawRun(position: run.position, blocks: run.blocks + 1, content: run.content),
                RawRun(position: run.position, blocks: 0, content: run.content),
                RawRun(position: run.position, blocks: -3, content: run.content),
                RawRun(position: run.position, blocks: 1 << 40, content: run.content),
                RawRun(position: run.position, blocks: run.blocks, content: run.content + [0]),
                RawRun(position: run.position, blocks: run.blocks, content: Array(run.content.dropLast())),
            ]
            for (index, run) in broken.enumerated() {
                try await list.damage { try $0.update(run) }
                #expect(try await !list.scrub().isEmpty)
                try await list.repair()
                try await list.expectGood("row \(index)")
            }
        }
    }

    @Test func randomDamageHeals() async throws {
        for seed in 1...(UInt64(30)) {
            try await withDamagedList(seed: seed, blocks: 400) { list in
                var random = SeededGenerator(seed: seed)
                try await list.damage { database in
                    for _ in 0..<Int.random(in: 1...6, using: &random) {
                        // Not the last one: nobody could tell that it is missing.
                        let index = Int.random(in: 0..<list.runs.count - 1, using: &random)
                        var run = list.runs[index]
                        switch Int.random(in: 0..<4, using: &random) {
                        case 0: try database.execute("DELETE FROM runs WHERE position = \(run.position)")
                        case 1:
                            for _ in 0..<Int.random(in: 1...200, using: &random) {
                                run.content[Int.random(in: 0..<run.content.count, using: &random)] = 7
                            }
                            try database.update(run)
                        default:
                            let place = Int.random(in: 0..<run.content.count, using: &random)
                            run.content[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                            try database.update(run)
                        }
                    }
                }
                #expect(try await !list.scrub().isEmpty, "seed \(seed)")
                try await list.repair()
                try await list.expectGood("seed \(seed)")
            }
        }
    }
}
