// Damage to one block of a list, and its repair from another list.

import TestSupport
import Testing

@testable import Chain

/// Runs a body with two lists of the same blocks, "text 1" and so on, that the first one acknowledged.
func withEqualLists(_ blocks: Int = 700, _ body: ([ForkedList]) async throws -> Void) async throws {
    try await withLists(2) { lists in
        try await lists[0].append(blocks)
        _ = try await lists[1].pull(from: lists[0])
        try await body(lists)
    }
}

extension ForkedList {
    /// Flips a bit of the block's text in the file.
    func flipText(at height: Int) async throws {
        try await change(at: height) { run, index in
            run.content[44 * Int(run.blocks) + (index == 0 ? 0 : run.dataEnd(index - 1))] ^= 1
        }
    }

    /// Flips a bit of the block's stored hash in the file.
    func flipHash(at height: Int) async throws {
        try await change(at: height) { run, index in run.content[8 * Int(run.blocks) + 32 * index + 9] ^= 16 }
    }

    /// Changes where the block's text ends, to far beyond its run.
    func flipEndOfText(at height: Int) async throws {
        try await change(at: height) { run, index in run.content[40 * Int(run.blocks) + 4 * index] ^= 128 }
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
    func repair(at height: Int, from other: ForkedList) async throws -> [Repair] {
        let range = try #require(try await list.damagedRange(at: height))
        let runs = try await other.runs(from: range.before.height + 1)
        return try await list.repair(with: runs, source: "http://member:1")
    }

    func damagedOrphans() async throws -> [Hash] {
        try await scrubSteps().flatMap(\.damagedOrphans)
    }

    func restartEmpty() async throws {
        try await close()
        try RawDatabase(path: path).execute("DELETE FROM runs WHERE position > 0")
        try await open()
    }
}
