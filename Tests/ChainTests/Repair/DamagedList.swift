// A list on which a test does damage, and a member that has the same blocks.

import Foundation
import TestSupport
import Testing

@testable import Chain

/// Two nodes' databases with one list; the first one's file is damaged, and put right with the other's blocks.
struct DamagedList {
    let damaged: ForkedList
    let member: ForkedList
    /// The runs of the damaged file as they were.
    let runs: [RawRun]

    /// Fills a list with random blocks, some of them appended again, and lets the member take them.
    static func make(in directory: TemporaryDirectory, seed: UInt64, blocks: Int) async throws -> DamagedList {
        let damaged = ForkedList(path: directory.path("damaged-\(seed).db"))
        let member = ForkedList(path: directory.path("member-\(seed).db"))
        try await damaged.open()
        var random = RandomList(seed: seed)
        try await random.fill(damaged.list, blocks: blocks)
        try await member.open()
        _ = try await member.pull(from: damaged)
        try await damaged.close()
        return DamagedList(
            damaged: damaged, member: member, runs: try RawDatabase(path: damaged.path).runs())
    }

    func close() async throws {
        try await damaged.close()
        try await member.close()
    }

    /// Closes the list, lets `body` change its file, and opens it again.
    func damage(_ body: (RawDatabase) throws -> Void) async throws {
        try await damaged.close()
        try body(RawDatabase(path: damaged.path))
        try await damaged.open()
    }

    /// Puts back what was there before any damage.
    func restore() async throws {
        try await damage { try $0.replaceRuns(runs) }
    }

    /// The damaged heights as a pass of the scrub finds them.
    func scrub() async throws -> [Int] {
        try await damaged.scrub()
    }

    /// Repairs as a node does: what the file itself can tell first, then with the member's blocks.
    @discardableResult
    func repair() async throws -> [Repair] {
        var repairs: [Repair] = []
        var attempts = 0
        while let height = try damaged.list.status.damagedHeights.first {
            attempts += 1
            guard attempts < 1_000 else {
                Issue.record("block \(height) is damaged for ever")
                return repairs
            }
            guard let range = try await damaged.list.damagedRange(at: height) else { continue }
            do throws(RepairError) {
                repairs += try await damaged.openList().repairHashes(at: range.heights)
            } catch {
                let found = try await damaged.list.repair(with: candidates(for: range), source: "http://member:1")
                #expect(!found.isEmpty)
                repairs += found
            }
        }
        return repairs
    }

    /// The member's blocks for a range.
    func candidates(for range: DamagedRange) async throws -> [BlockRun] {
        let hash = try #require(try await member.list.block(at: range.before.height)?.hash)
        #expect(hash == range.before.hash)
        return try await member.runs(from: range.before.height + 1).compactMap {
            $0.part(range.before.height + 1..<range.heights.upperBound)
        }
    }

    /// Whether the list is what the member has, in the file too.
    func expectGood(_ comment: Comment? = nil) async throws {
        #expect(try damaged.list.status.damagedHeights == [], comment)
        #expect(try await scrub() == [], comment)
        #expect(try await damaged.list.validate().isValid, comment)
        #expect(try damaged.list.status.headHash == member.list.status.headHash, comment)
        #expect(try await damaged.list.structureFault() == nil, comment)
        let ours = try RawDatabase(path: damaged.path).runs().flatMap(ReferenceList.decode)
        #expect(ours == runs.flatMap(ReferenceList.decode), comment)
    }
}

extension ForkedList {
    /// Appends texts that name their heights, some at a time, until the list is so high.
    @discardableResult
    func append(_ height: Int, name: String = "text") async throws -> [Block] {
        var blocks: [Block] = []
        while try list.status.height < height {
            let first = try list.status.height + 1
            let end = min(height, first + 49)
            blocks += try await list.append(
                AppendRequest(drafts: (first...end).map { Draft(data: "\(name) \($0),") }))
        }
        return blocks
    }

    /// The list, for calls whose errors are typed.
    func openList() throws(RepairError) -> BlockList {
        do {
            return try list
        } catch {
            throw .closed
        }
    }

    /// A pass of the scrub.
    func scrubSteps() async throws -> [ScrubStep] {
        var place = ScrubPlace.start
        var steps: [ScrubStep] = []
        repeat {
            let step = try await list.scrub(from: place)
            steps.append(step)
            place = step.next
        } while place != .start
        return steps
    }

    /// The damaged heights as a pass of the scrub finds them.
    func scrub() async throws -> [Int] {
        let heights = try await scrubSteps().flatMap(\.damagedHeights)
        let status = try list.status
        guard status.damagedHeights == Array(heights.prefix(100)) else {
            throw TestSupportError("\(status.damagedHeights) is not what a scrub found")
        }
        return heights
    }
}

extension BlockList {
    func structureFault() async throws -> String? { try await scrubReader.structureFault() }
}

extension RawRun {
    /// Where each column begins, and where the content ends.
    var columns: [String: Int] {
        let count = Int(blocks)
        return ["timestamps": 0, "hashes": 8 * count, "ends": 40 * count, "data": 44 * count]
    }

    /// The run with a bit of a block's part changed.
    func flipped(_ column: String, at index: Int, byte: Int = 0, bit: UInt8 = 1) -> RawRun {
        let widths = ["timestamps": 8, "hashes": 32, "ends": 4]
        var run = self
        if column == "data" {
            let start = index == 0 ? 0 : dataEnd(index - 1)
            run.content[44 * Int(blocks) + start + byte] ^= bit
        } else {
            run.content[(columns[column] ?? 0) + (widths[column] ?? 0) * index + byte] ^= bit
        }
        return run
    }

    func dataEnd(_ index: Int) -> Int {
        content[(40 * Int(blocks) + 4 * index)..<(40 * Int(blocks) + 4 * index + 4)].reduce(0) { $0 << 8 | Int($1) }
    }

    /// The blocks that have an origin, by their places.
    var withOrigin: [Int] { (0..<Int(blocks)).filter { content[8 * $0] & 0x80 != 0 } }

    /// The blocks that have a text, by their places.
    var withText: [Int] { (0..<Int(blocks)).filter { dataEnd($0) > ($0 == 0 ? 0 : dataEnd($0 - 1)) } }
}
