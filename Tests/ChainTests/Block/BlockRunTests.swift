// Runs on their way between nodes: what is whole, and how slices become runs.

import Chain
import TestSupport
import Testing

@Suite struct BlockRunTests {
    /// The run of one block, `hello`, as docs/format.md shows it.
    private static let hello: [UInt8] =
        [0, 0, 0, 0, 0x65, 0x53, 0xf1, 0]
        + ReferenceList.bytes(hex: "7e22ec18ff06c108481501ef01785f8d6247bfc3ac4ccbe8887246cd250a21d5")
        + [0, 0, 0, 5] + Array("hello".utf8)

    @Test func theExampleOfTheFormatIsARun() throws {
        let run = try #require(BlockRun(firstHeight: 1, count: 1, content: BlockRunTests.hello))
        #expect(run.endHeight == 2)
        #expect(run.lastHash.hex == "7e22ec18ff06c108481501ef01785f8d6247bfc3ac4ccbe8887246cd250a21d5")
    }

    @Test func columnsThatAreNotWholeAreNoRun() {
        let hello = BlockRunTests.hello
        #expect(BlockRun(firstHeight: 1, count: 1, content: Array(hello.dropLast())) == nil)
        #expect(BlockRun(firstHeight: 1, count: 1, content: hello + [0]) == nil)
        #expect(BlockRun(firstHeight: 1, count: 0, content: []) == nil)
        #expect(BlockRun(firstHeight: 1, count: 0, content: hello) == nil)
        #expect(BlockRun(firstHeight: 1, count: -1, content: hello) == nil)
        #expect(BlockRun(firstHeight: 1, count: 2, content: hello) == nil)
        #expect(BlockRun(firstHeight: 1, count: 257, content: [UInt8](repeating: 0, count: 257 * 44)) == nil)
        var withoutOrigin = hello
        withoutOrigin[0] = 0x80
        #expect(BlockRun(firstHeight: 1, count: 1, content: withoutOrigin) == nil)
    }

    /// The last end alone says how long the data is; those before it could point anywhere.
    @Test func endsThatDoNotAscendAreNoRun() {
        let block = ReferenceBlock(timestamp: 1, hash: [UInt8](repeating: 1, count: 32), data: [65, 66], origin: nil)
        var content = ReferenceList.encode([block, block, block])
        #expect(BlockRun(firstHeight: 1, count: 3, content: content) != nil)
        let secondEnd = 3 * 40 + 7
        content[secondEnd] = 7
        #expect(BlockRun(firstHeight: 1, count: 3, content: content) == nil)
        content[secondEnd] = 1
        #expect(BlockRun(firstHeight: 1, count: 3, content: content) == nil)
    }

    @Test(arguments: [1, 7, 200])
    func slicesBecomeRunsWhereverTheyBegin(limit: Int) async throws {
        try await withTemporaryDirectory { directory async throws in
            let list = try await BlockList.open(path: directory.path("chain.db")) { 1_700_000_000 }
            var random = RandomList(seed: 7)
            try await random.fill(list, blocks: 600)
            var height = 0
            while true {
                var slices = list.slices(from: height, limit: limit).makeAsyncIterator()
                guard let slice = try await slices.next() else { break }
                let run = BlockRun(slice)
                #expect(run.firstHeight == height && run.count == slice.count && run.endHeight == slice.endHeight)
                #expect(run.lastHash == slice.lastHash)
                let raw = RawRun(position: Int64(height), blocks: Int64(run.count), content: run.content)
                let found = ReferenceList.decode(raw)
                #expect(found.map(\.hash) == slice.blocks.map(\.hash.bytes))
                #expect(found.map(\.data) == slice.blocks.map { Array($0.data.utf8) })
                #expect(found.map { $0.origin?.hash } == slice.blocks.map { $0.origin?.hash.bytes })
                height = run.endHeight
            }
            #expect(height == list.status.height + 1)
            try await list.close()
        }
    }
}
