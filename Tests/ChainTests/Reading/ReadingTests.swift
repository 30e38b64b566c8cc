// Reads by height, hash, time and range, while the list grows and when it is damaged.

import Chain
import TestSupport
import Testing

@Suite struct ReadingTests {
    private func withList(
        seed: UInt64 = 3, blocks: Int, options: BlockListOptions = .init(),
        _ body: (BlockList, String) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.path("chain.db")
            let list = try await BlockList.open(path: path, options: options) { 1_700_000_000 }
            var random = RandomList(seed: seed)
            try await random.fill(list, blocks: blocks)
            try await body(list, path)
            try await list.close()
        }
    }

    private func all(_ list: BlockList) async throws -> [Block] {
        var blocks: [Block] = []
        for try await slice in list.slices(from: 0) { blocks += slice.blocks }
        return blocks
    }

    @Test func rangesOfAnyLengthAreTheSameBlocks() async throws {
        try await withList(blocks: 900) { list, _ in
            let blocks = try await all(list)
            #expect(blocks.map(\.height) == Array(0...list.status.height))
            for (from, limit) in [
                (0, 1), (0, 256), (255, 2), (256, 300), (5, 0), (blocks.count - 1, 7), (300, Int.max),
            ] {
                var read: [Block] = []
                for try await slice in list.slices(from: from, limit: limit) {
                    #expect(slice.firstHeight == from + read.count)
                    #expect(slice.previousHash == slice.blocks.first?.previousHash)
                    #expect(slice.lastHash == slice.blocks.last?.hash)
                    read += slice.blocks
                }
                #expect(read == Array(blocks[from...].prefix(limit)))
            }
            for block in blocks { #expect(try await list.block(at: block.height) == block) }
            for beyond in [-1, blocks.count, Int.max, Int.min] {
                #expect(try await list.block(at: beyond) == nil)
                for try await slice in list.slices(from: beyond, limit: 1) { Issue.record("\(slice.firstHeight)") }
            }
        }
    }

    @Test func timesAreFoundByTheFirstBlockThatIsNotOlder() async throws {
        try await withList(blocks: 600) { list, _ in
            let blocks = try await all(list)
            var times = Set(blocks.map(\.timestamp))
            times.formUnion(times.map { $0 + 1 })
            for time in times.sorted().prefix(200) + [0, Int64.min, Int64.max] {
                #expect(
                    try await list.firstHeight(notBefore: time) == blocks.first { $0.timestamp >= time }?.height)
            }
        }
    }

    @Test func hashesAreFoundOnceTheListWasReadAndBeyondTheTable() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.path("chain.db")
            var options = BlockListOptions()
            options.hashesMax = 1_000
            var list = try await BlockList.open(path: path, options: options) { 1_700_000_000 }
            var random = RandomList(seed: 4)
            try await random.fill(list, blocks: 3_000)
            let blocks = try await all(list)
            let unknown = try #require(Hash(hex: String(repeating: "5a", count: 32)))
            for block in blocks where block.height % 9 == 0 {
                #expect(try await list.block(hash: block.hash) == block)
            }
            try await list.close()

            list = try await BlockList.open(path: path, options: options) { 1_700_000_000 }
            await #expect(throws: ReadError.hashesIncomplete) { try await list.block(hash: unknown) }
            try await list.validateInBackground()
            #expect(try await list.block(hash: unknown) == nil)
            #expect(list.status.validatedHeight == list.status.height)
            for block in blocks where block.height % 9 == 0 {
                #expect(try await list.block(hash: block.hash) == block)
            }
            try await random.fill(list, blocks: 5_000)
            for block in try await all(list) where block.height % 9 == 0 {
                #expect(try await list.block(hash: block.hash) == block)
            }
            try await list.close()
        }
    }

    /// Small runs are merged behind the readers' backs; what they read goes on from the last hash all the same.
    @Test func rangesAreWholeWhileTheListGrows() async throws {
        try await withList(blocks: 300) { list, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for number in 0..<1_500 {
                        _ = try await list.append(AppendRequest(drafts: [Draft(data: "\(number)")]))
                    }
                }
                for _ in 0..<3 {
                    group.addTask {
                        for _ in 0..<30 {
                            let target = list.status.height
                            var last = Block.genesis.previousHash
                            var height = 0
                            for try await slice in list.slices(from: 0) {
                                slice.forEachBlock { block in
                                    #expect(block.previousHash == last)
                                    #expect(block.height == height)
                                    last = block.hash
                                    height += 1
                                }
                            }
                            #expect(height > target)
                        }
                    }
                }
                group.addTask {
                    for _ in 0..<20 {
                        let report = try await list.validate()
                        #expect(report.isValid)
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func aDamagedBlockIsNamedAndTheOthersAreServed() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.path("chain.db")
            var list = try await BlockList.open(path: path) { 1_700_000_000 }
            _ = try await list.append(AppendRequest(drafts: (1...600).map { Draft(data: "text \($0)") }))
            let blocks = try await all(list)
            try await list.close()

            // A hash, and a text: two ways to go bad.
            let database = RawDatabase(path: path)
            let runs = try database.runs()
            var damaged = runs
            for (height, isHash) in [(100, true), (300, false), (400, true)] {
                let index = try #require(runs.firstIndex { $0.position <= height && height < $0.position + $0.blocks })
                let count = Int(runs[index].blocks)
                let place = height - Int(runs[index].position)
                let byte =
                    isHash
                    ? 8 * count + 32 * place
                    : 44 * count + ReferenceList.decode(runs[index])[..<place].reduce(0) { $0 + $1.data.count }
                damaged[index].content[byte] ^= 1
                try database.update(damaged[index])
            }

            list = try await BlockList.open(path: path) { 1_700_000_000 }
            for block in blocks {
                if [100, 300, 400].contains(block.height) {
                    await #expect(throws: ReadError.damaged(height: block.height)) {
                        try await list.block(at: block.height)
                    }
                } else {
                    #expect(try await list.block(at: block.height) == block)
                }
            }
            try await list.validateInBackground()
            #expect(list.status.damagedHeights == [100, 300, 400])
            #expect(list.status.validatedHeight == 99)
            await #expect(throws: ReadError.damaged(height: 100)) { try await list.block(hash: blocks[100].hash) }
            #expect(try await list.block(hash: blocks[101].hash) == blocks[101])

            var read: [Block] = []
            await #expect(throws: ReadError.damaged(height: 100)) {
                for try await slice in list.slices(from: 0) { read += slice.blocks }
            }
            #expect(read == Array(blocks[..<100]))
            read = []
            for try await slice in list.slices(from: 101, limit: 9) { read += slice.blocks }
            #expect(read == Array(blocks[101..<110]))

            let fault = try #require(try await list.validate().fault)
            #expect(fault.height == 100)
            #expect(fault.kind == .hash)
            #expect(fault.expected == blocks[100].hash.hex)
            #expect(fault.found != fault.expected)

            #expect(try await list.append(AppendRequest(drafts: [Draft(data: "goes on")]))[0].height == 601)
            try await list.close()
            // Once it is mended, nothing is damaged any more.
            for run in runs { try database.update(run) }
            list = try await BlockList.open(path: path) { 1_700_000_000 }
            try await list.validateInBackground()
            #expect(list.status.damagedHeights == [])
            #expect(list.status.validatedHeight == 601)
            try await list.close()
        }
    }

    @Test func nothingFollowsADamagedHead() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.path("chain.db")
            var list = try await BlockList.open(path: path) { 1_700_000_000 }
            for number in 1...5 { _ = try await list.append(AppendRequest(drafts: [Draft(data: "text \(number)")])) }
            let blocks = try await all(list)
            try await list.close()
            let database = RawDatabase(path: path)
            var run = try #require(try database.runs().last)
            run.content[run.content.count - 1] ^= 1
            try database.update(run)

            list = try await BlockList.open(path: path) { 1_700_000_000 }
            await #expect(throws: AppendError.damagedHead(height: 5)) {
                try await list.append(AppendRequest(drafts: [Draft(data: "on top")]))
            }
            #expect(list.status.height == 5)
            #expect(list.status.damagedHeights == [5])
            #expect(try await list.block(at: 4) == blocks[4])
            await #expect(throws: ReadError.damaged(height: 5)) { try await list.block(at: 5) }
            try await list.close()
            #expect(try database.runs().last == run)
        }
    }
}
