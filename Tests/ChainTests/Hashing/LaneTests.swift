// Lanes against OpenSSL: every length, every lane, every number of messages; and what becomes of a lane that is broken.

import Glibc
import TestSupport
import Testing

@testable import Chain

@Suite struct LaneTests {
    private static let lanes = HashLanes.all.filter { $0.width > 1 }

    /// Consecutive blocks with texts of these sizes, as the content of a run, and the hash before them.
    private static func run(_ sizes: [Int], seed: UInt64) -> (content: [UInt8], before: Hash) {
        var random = SeededGenerator(seed: seed)
        let before = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        var blocks: [ReferenceBlock] = []
        for size in sizes {
            var block = ReferenceBlock(
                timestamp: UInt64.random(in: 0..<1 << 62, using: &random), hash: [],
                data: (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ blocks.count) }, origin: nil)
            block.hash = ReferenceList.hash(block, after: blocks.last?.hash ?? before)
            blocks.append(block)
        }
        return (ReferenceList.encode(blocks), Hash(bytes: before) ?? .zero)
    }

    /// The places of the run's blocks that lanes confirm, with the content before a page that cannot be read and at any
    /// alignment: a read beyond it ends the process.
    private static func confirmed(_ content: [UInt8], count: Int, after before: Hash, by lanes: HashLanes) -> [Int] {
        let pageSizeBytes = Int(sysconf(Int32(_SC_PAGESIZE)))
        let sizeBytes = (content.count + pageSizeBytes - 1) / pageSizeBytes * pageSizeBytes
        let memory = mmap(
            nil, sizeBytes + pageSizeBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let memory, memory != MAP_FAILED, mprotect(memory + sizeBytes, pageSizeBytes, PROT_NONE) == 0 else {
            Issue.record("no memory")
            return []
        }
        defer { munmap(memory, sizeBytes + pageSizeBytes) }
        let start = memory + sizeBytes - content.count
        content.withUnsafeBytes {
            if let base = $0.baseAddress { start.copyMemory(from: base, byteCount: content.count) }
        }
        guard let view = RunView(UnsafeRawBufferPointer(start: start, count: content.count), count: count) else {
            return []
        }
        let confirmed = view.confirmed(0..<count, after: before, by: lanes)
        return (0..<count).filter { confirmed[$0] }
    }

    @Test func theProcessorHasAWay() {
        #expect(HashLanes.all.last?.width == 1)
        #expect(HashLanes.best.name == HashLanes.all[0].name)
        for lanes in HashLanes.all { #expect(HashLanes(name: lanes.name)?.width == lanes.width) }
        #expect(HashLanes(name: "abacus") == nil)
    }

    /// FIPS 180-2, appendix B, and the messages of 0 and 1,000,000 bytes of NIST's CAVP.
    @Test func vectorsOfNIST() {
        let vectors: [([UInt8], String)] = [
            ([], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (Array("abc".utf8), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8),
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
            (
                [UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000),
                "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
            ),
        ]
        for lanes in LaneTests.lanes {
            for lane in 0..<lanes.width {
                for (message, digest) in vectors {
                    var padded = message + [0x80]
                    while padded.count % 64 != 56 { padded.append(0) }
                    padded += (0..<8).map { UInt8(truncatingIfNeeded: (message.count * 8) >> (56 - 8 * $0)) }
                    #expect(LaneTests.digest(padded, in: lane, of: lanes) == digest, "\(lanes.name), lane \(lane)")
                }
            }
        }
    }

    /// The digest of padded blocks in one lane; the other lanes have none.
    private static func digest(_ padded: [UInt8], in lane: Int, of lanes: HashLanes) -> String {
        let initial: [UInt32] = [
            0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
        ]
        var states = initial.flatMap { [UInt32](repeating: $0, count: lanes.width) }
        var blocks = [UInt32](repeating: 0, count: lanes.width)
        blocks[lane] = UInt32(padded.count / 64)
        padded.withUnsafeBufferPointer { bytes in
            lanes.compress(&states, [UnsafePointer<UInt8>?](repeating: bytes.baseAddress, count: lanes.width), blocks)
        }
        for other in 0..<lanes.width where other != lane {
            #expect((0..<8).allSatisfy { states[$0 * lanes.width + other] == initial[$0] })
        }
        return (0..<8).map { word in
            let digits = String(states[word * lanes.width + lane], radix: 16)
            return String(repeating: "0", count: 8 - digits.count) + digits
        }.joined()
    }

    @Test func everyLength() {
        for lanes in LaneTests.lanes {
            for first in stride(from: 0, through: 4_096, by: 64) {
                let sizes = (first..<first + 64).shuffled(by: UInt64(first))
                let (content, before) = LaneTests.run(sizes, seed: UInt64(first))
                let confirmed = LaneTests.confirmed(content, count: 64, after: before, by: lanes)
                #expect(confirmed == Array(0..<64), "\(lanes.name), \(first) bytes and more")
            }
        }
    }

    @Test func largeTexts() {
        for lanes in LaneTests.lanes {
            let sizes = [1 << 20, 65_536, 1 << 20, 100_003, 777_777, 65_535, 300_000, 500_001]
            let (content, before) = LaneTests.run(sizes, seed: 3)
            #expect(LaneTests.confirmed(content, count: 8, after: before, by: lanes) == Array(0..<8), "\(lanes.name)")
        }
    }

    @Test func everyNumberOfMessages() {
        for lanes in LaneTests.lanes {
            for count in 1...200 {
                let sizes = (0..<count).map { $0 * 13 % 90 }
                let (content, before) = LaneTests.run(sizes, seed: UInt64(count))
                var rest = count % lanes.width < lanes.messagesMin ? count % lanes.width : 0
                for other in lanes.others where rest > 0 {
                    rest = rest % other.width < other.messagesMin ? rest % other.width : 0
                }
                let confirmed = LaneTests.confirmed(content, count: count, after: before, by: lanes)
                #expect(confirmed.count == count - rest, "\(lanes.name), \(count) messages")
            }
        }
    }

    /// A bit of a text, of a time or of a hash differs, in each lane and with texts of each kind.
    @Test(arguments: [0, 20, 64, 140, 150, 700])
    func oneBitDiffers(sizeBytes: Int) {
        for lanes in LaneTests.lanes {
            let count = lanes.width
            let (content, before) = LaneTests.run([Int](repeating: sizeBytes, count: count), seed: 5)
            var random = SeededGenerator(seed: UInt64(sizeBytes))
            for index in 0..<count {
                let time = 8 * index + Int.random(in: 1..<8, using: &random)
                let hash = 8 * count + 32 * index + Int.random(in: 0..<32, using: &random)
                let texts = 44 * count + sizeBytes * index
                var places = [(time, [index]), (hash, [index, index + 1])]
                // The first and the last bytes of each part that is hashed on its own.
                for byte in [0, 23, 24, sizeBytes / 2, sizeBytes - 1] where 0..<sizeBytes ~= byte {
                    places.append((texts + byte, [index]))
                }
                for (place, bad) in places {
                    var damaged = content
                    damaged[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                    let confirmed = LaneTests.confirmed(damaged, count: count, after: before, by: lanes)
                    #expect(confirmed == (0..<count).filter { !bad.contains($0) }, "\(lanes.name), byte \(place)")
                }
            }
            let wrong = LaneTests.confirmed(content, count: count, after: .zero, by: lanes)
            #expect(wrong == Array(1..<count), "\(lanes.name): another hash before")
        }
    }

    @Test func originsAndEndsThatDoNotAscendAreLeftToOthers() {
        let lanes = HashLanes.best
        let (content, before) = LaneTests.run([Int](repeating: 30, count: 64), seed: 9)
        var damaged = content
        damaged[8 * 5] |= 0x80
        for byte in 0..<4 { damaged[40 * 64 + 4 * 20 + byte] = 0xFF }
        let confirmed = LaneTests.confirmed(damaged, count: 64, after: before, by: lanes)
        #expect(confirmed == (0..<64).filter { ![5, 20, 21].contains($0) })
    }

    /// What a broken lane does not confirm is hashed by OpenSSL: the list is valid, and a fault is where it is.
    @Test func aBrokenLaneIsNeverWrong() async throws {
        let best = HashLanes.best
        let broken = HashLanes(name: "broken", width: best.width, messagesMin: best.messagesMin) {
            states, messages, blocks in
            best.compress(states, messages, blocks)
            states[best.width * 3 + best.width / 2] ^= 1
        }
        try await withTemporaryDirectory { directory async throws in
            var options = BlockListOptions()
            options.lanes = broken
            let path = directory.path("chain.db")
            let list = try await BlockList.open(path: path, options: options) { 1_700_000_000 }
            var random = RandomList(seed: 11)
            try await random.fill(list, blocks: 1_000)
            #expect(try await list.validate().isValid)
            var blocks: [Block] = []
            for try await slice in list.slices(from: 0) { blocks += slice.blocks }
            #expect(blocks.count == list.status.height + 1)
            try await list.close()

            for height in [1, 77, 500, 999] {
                let runs = try RawDatabase(path: path).runs()
                let run = try #require(runs.last { $0.position <= height })
                var blocks = ReferenceList.decode(run)
                blocks[height - Int(run.position)].timestamp ^= 1
                try RawDatabase(path: path).update(
                    RawRun(position: run.position, blocks: run.blocks, content: ReferenceList.encode(blocks)))
                for lanes in [broken, best, .none] {
                    let fault = try await BlockList.verify(path: path, lanes: lanes) { _ in }.fault
                    #expect(fault?.height == height && fault?.kind == .hash, "\(lanes.name)")
                }
                try RawDatabase(path: path).replaceRuns(runs)
            }
        }
    }
}

extension Range<Int> {
    fileprivate func shuffled(by seed: UInt64) -> [Int] {
        var random = SeededGenerator(seed: seed)
        return shuffled(using: &random)
    }
}
