// Damages stored lists in every way, and compares the engine's first fault with a slow reference.

import Chain
import TestSupport
import Testing

@Suite struct ValidationPropertyTests {
    @Test(arguments: [1, 2, 255, 256, 257, 300, 511, 513, 700, 1_000, 1_500, 2_000])
    func listsOfAnyShapeAreValidAndReadBackByTheReference(blocks: Int) async throws {
        try await withRandomList(seed: UInt64(blocks), blocks: blocks) { path, database in
            let report = try await verify(path)
            let runs = try database.runs()
            let read = runs.flatMap(ReferenceList.decode)
            #expect(report.isValid)
            #expect(report.height == read.count - 1)
            #expect(report.blocks == read.count)
            #expect(ReferenceList.firstFault(of: read) == nil)
            #expect(read.count >= blocks)
            // The encoding is the same to the byte.
            #expect(ReferenceList.runs(read, sizes: runs.map { Int($0.blocks) }) == runs)
            #expect(runs.allSatisfy { $0.blocks <= 256 })
        }
    }

    @Test(arguments: 1...6)
    func anyFlippedBitIsFoundAtItsBlock(seed: UInt64) async throws {
        try await withRandomList(seed: seed, blocks: 320) { path, database in
            let runs = try database.runs()
            var random = SeededGenerator(seed: seed)
            for _ in 0..<60 {
                let run = runs[Int.random(in: 0..<runs.count, using: &random)]
                let bit = Int.random(in: 0..<(8 * run.content.count), using: &random)
                var damaged = run
                damaged.content[bit / 8] ^= 1 << UInt8(bit % 8)
                try database.update(damaged)
                let expected = Int(run.position) + block(of: bit / 8, in: run)
                let report = try await verify(path)
                #expect(report.fault?.height == expected, "seed \(seed), run \(run.position), bit \(bit)")
                #expect(report.blocks == expected)
                try database.update(run)
            }
            #expect(try await verify(path).isValid)
        }
    }

    @Test(arguments: 1...30)
    func changedListsAreInvalidAtTheRightHeight(seed: UInt64) async throws {
        try await withRandomList(seed: seed, blocks: 400) { path, database in
            var blocks = try database.runs().flatMap(ReferenceList.decode)
            var random = SeededGenerator(seed: seed &+ 1_000)
            let height = Int.random(in: 0..<(blocks.count - 2), using: &random)
            let other = Int.random(in: 0..<(blocks.count - 2), using: &random)
            switch seed % 6 {
            case 0: blocks.remove(at: height)
            case 1: blocks.swapAt(height, height + 1)
            case 2: blocks.insert(blocks[height], at: height + 1)
            case 3: blocks.insert(blocks[other], at: height)
            case 4: blocks[height].data += Array("!".utf8)
            default: appendAgain(other, at: height + 1, in: &blocks)
            }
            let sizes = (0..<9).map { _ in Int.random(in: 1...256, using: &random) }
            try database.replaceRuns(ReferenceList.runs(blocks, sizes: sizes))
            let report = try await verify(path)
            let expected = ReferenceList.firstFault(of: blocks)
            #expect(report.fault?.height == expected?.height, "seed \(seed)")
            #expect(report.fault?.kind.rawValue == expected?.kind, "seed \(seed)")
            #expect(report.blocks == expected?.height ?? blocks.count)
        }
    }

    @Test func timesThatGoBackAreFound() async throws {
        try await withRandomList(seed: 7, blocks: 300) { path, database in
            var blocks = try database.runs().flatMap(ReferenceList.decode)
            blocks[200].timestamp = blocks[199].timestamp - 1
            blocks[200].origin = nil
            rehash(&blocks, from: 200)
            try database.replaceRuns(ReferenceList.runs(blocks, sizes: [200]))
            let fault = try #require(try await verify(path).fault)
            #expect(fault.height == 200)
            #expect(fault.kind == .time)
            #expect(fault.expected == "\(blocks[199].timestamp) or later")
            #expect(fault.found == "\(blocks[200].timestamp)")
        }
    }

    @Test func textThatIsNoUTF8IsFoundThoughItsHashIsRight() async throws {
        try await withRandomList(seed: 8, blocks: 300) { path, database in
            var blocks = try database.runs().flatMap(ReferenceList.decode)
            blocks[100].data = [0xFF]
            blocks[100].origin = nil
            rehash(&blocks, from: 100)
            try database.replaceRuns(ReferenceList.runs(blocks, sizes: [64]))
            let fault = try #require(try await verify(path).fault)
            #expect(fault.height == 100)
            #expect(fault.kind == .structure)
        }
    }

    @Test func anotherGenesisIsFound() async throws {
        try await withRandomList(seed: 9, blocks: 10) { path, database in
            var blocks = try database.runs().flatMap(ReferenceList.decode)
            blocks[0].data = Array("genesis block".utf8)
            rehash(&blocks, from: 0)
            try database.replaceRuns(ReferenceList.runs(blocks, sizes: []))
            let fault = try #require(try await verify(path).fault)
            #expect(fault.height == 0)
            #expect(fault.kind == .genesis)
            #expect(fault.expected == Block.genesis.hash.hex)
        }
    }

    @Test func misplacedRunsAreFound() async throws {
        try await withRandomList(seed: 10, blocks: 9_000) { path, database in
            // Without origins, which a byte too many would move.
            var blocks = try database.runs().flatMap(ReferenceList.decode)
            for index in blocks.indices { blocks[index].origin = nil }
            rehash(&blocks, from: 0)
            let runs = ReferenceList.runs(blocks, sizes: [200, 200, 200])
            let last = runs.count - 1
            let changes: [(height: Int, change: (inout [RawRun]) -> Void)] = [
                (200, { $0.remove(at: 1) }),
                (0, { $0.remove(at: 0) }),
                (0, { $0.removeAll() }),
                (200, { $0[1].position += 1 }),
                (200, { $0[1].blocks += 1 }),
                (200, { $0[1].blocks = 100_000 }),
                (200, { $0[1].blocks = -1 }),
                (200, { $0[1].content = [] }),
                (399, { $0[1].content.append(0) }),
                (300, { $0.append(.init(position: 300, blocks: 1, content: runs[0].content)) }),
                (Int(runs[last - 1].position), { $0.remove(at: last - 1) }),
                (Int(runs[last].position), { $0[last].position = 1 << 39 }),
            ]
            for (height, change) in changes {
                var changed = runs
                change(&changed)
                try database.replaceRuns(changed)
                let fault = try #require(try await verify(path).fault)
                #expect(fault.height == height)
                #expect(fault.kind == .structure)
            }
        }
    }

    // MARK: What the tests share

    private func verify(_ path: String) async throws -> ValidationReport {
        try await BlockList.verify(path: path) { _ in }
    }

    /// Calls `body` with a closed database that holds a random list.
    private func withRandomList(
        seed: UInt64, blocks: Int, _ body: (String, RawDatabase) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.path("chain.db")
            let list = try await BlockList.open(path: path) { 1_700_000_000 }
            var random = RandomList(seed: seed)
            try await random.fill(list, blocks: blocks)
            try await list.close()
            try await body(path, RawDatabase(path: path))
        }
    }

    /// The block within its run that a byte belongs to.
    private func block(of byte: Int, in run: RawRun) -> Int {
        let count = Int(run.blocks)
        if byte < 8 * count { return byte / 8 }
        if byte < 40 * count { return (byte - 8 * count) / 32 }
        if byte < 44 * count { return (byte - 40 * count) / 4 }
        let blocks = ReferenceList.decode(run)
        var end = 44 * count
        for (index, block) in blocks.enumerated() {
            end += block.data.count
            if byte < end { return index }
        }
        // The origins lie in reverse.
        let withOrigin = blocks.indices.filter { blocks[$0].origin != nil }
        return withOrigin[(run.content.count - 1 - byte) / 80]
    }

    /// Puts a block of the list into it again under its identity, and makes all hashes after it right.
    private func appendAgain(_ height: Int, at place: Int, in blocks: inout [ReferenceBlock]) {
        var again = blocks[height]
        again.timestamp = blocks[place - 1].timestamp
        if again.origin == nil {
            again.origin = .init(
                hash: again.hash, previousHash: height == 0 ? Hash.zero.bytes : blocks[height - 1].hash,
                timestamp: blocks[height].timestamp, height: UInt64(height))
        }
        blocks.insert(again, at: place)
        rehash(&blocks, from: place)
    }

    private func rehash(_ blocks: inout [ReferenceBlock], from height: Int) {
        for index in height..<blocks.count {
            blocks[index].hash = ReferenceList.hash(
                blocks[index], after: index == 0 ? Hash.zero.bytes : blocks[index - 1].hash)
        }
    }
}
