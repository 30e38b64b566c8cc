// Bits that flip on the disks of simulated nodes, while a node runs and while it is down.

import TestSupport

@testable import Chain
@testable import chaind

extension Simulation {
    /// A bit flips in a row of a node's database.
    func flipBit(on node: SimulatedNode) {
        guard node.files.exists else { return }
        let database = RawDatabase(path: node.files.path)
        do {
            switch number(0...9) {
            case 0: try flipBit(inOrphansOf: node, database)
            case 1: try flipBit(inKeysOf: node, database)
            case 2: try flipBit(inOriginsOf: node, database)
            default: try flipBit(inRunsOf: node, database)
            }
        } catch {
            violate("no bit of node \(node.number) can be flipped: \(error)")
        }
    }

    /// Of blocks that every node has, so that they can be repaired; one copy is left whole, also if a node is lost. Or of some
    /// that nobody else has, so that one is lost. Not of a head that others may lose, as an operator would have to accept it. Not
    /// twice on one node next to each other: of a block whose parts and hash are both wrong, nobody can tell whether the next
    /// one is right.
    private func flipBit(inRunsOf node: SimulatedNode, _ database: RawDatabase) throws {
        let others = nodes.filter { $0 !== node && !$0.isLost && $0.files.exists }
        let wholeCopies = nodes.contains(where: \.isLost) ? 1 : 2
        let runs = try database.runs().filter { run in
            let heights = run.heights
            guard node.memory.spoiltHeights.isDisjoint(with: heights.lowerBound - 1...heights.upperBound) else {
                return false
            }
            let hasHead = heights.upperBound == node.memory.entries.count
            let isEverywhere =
                !(hasHead && plan.losesDisks)
                && others.allSatisfy { $0.memory.has(run.hashes, from: heights.lowerBound) }
                && others.count { $0.memory.spoiltHeights.isDisjoint(with: heights) } >= wholeCopies
            let isOnlyHere =
                !hasHead && nodes.allSatisfy { $0 === node || !$0.memory.hasAny(of: run.hashes) }
            return isEverywhere || isOnlyHere
        }
        guard let run = pick(runs) else { return }
        var spoilt = run
        spoilt.content = flipped(run.content)
        let changed = zip(run.storedBlocks, spoilt.storedBlocks).filter { $0 != $1 }.map(\.0?.hash)
        node.memory.spoil(changed, at: run.heights)
        trace("node \(node.number): a bit flipped in blocks \(run.heights)")
        try database.update(spoilt)
    }

    private func flipBit(inOrphansOf node: SimulatedNode, _ database: RawDatabase) throws {
        guard let content = try flipBlob("content", of: "orphans", database) else { return }
        node.memory.spoil([Hash(bytes: content[8..<8 + Hash.sizeBytes])], at: 0..<0)
        trace("node \(node.number): a bit flipped in an orphan")
    }

    /// Of the index, which can be made anew.
    private func flipBit(inOriginsOf node: SimulatedNode, _ database: RawDatabase) throws {
        guard try flipBlob("identity", of: "origins", database) != nil else { return }
        trace("node \(node.number): a bit flipped in the index of identities")
    }

    private func flipBit(inKeysOf node: SimulatedNode, _ database: RawDatabase) throws {
        guard try flipBlob("identities", of: "idempotency", database) != nil else { return }
        // Which one it was does not matter: no key of this disk is sent again.
        node.memory.era += 1
        trace("node \(node.number): a bit flipped in an idempotency key")
    }

    /// - Returns: the BLOB as it was; `nil` if there is none.
    private func flipBlob(_ column: String, of table: String, _ database: RawDatabase) throws -> [UInt8]? {
        guard let blob = pick(try database.blobs(column, of: table)) else { return nil }
        try database.replace(blob, by: flipped(blob), in: column, of: table)
        return blob
    }

    private func flipped(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        bytes[number(0...bytes.count - 1)] ^= UInt8(1 << number(0...7))
        return bytes
    }
}

extension RawRun {
    fileprivate var heights: Range<Int> {
        let first = Int(position % (1 << 40))
        return first..<first + Int(blocks)
    }

    fileprivate var hashes: [Hash?] {
        (0..<Int(blocks)).map { index in
            let start = 8 * Int(blocks) + Hash.sizeBytes * index
            return Hash(bytes: content[start..<start + Hash.sizeBytes])
        }
    }

    /// What can be read of the blocks; without what they follow, and `nil` where the run as a whole cannot be read.
    fileprivate var storedBlocks: [Block?] {
        var stored = [Block?](repeating: nil, count: Int(blocks))
        content.withUnsafeBytes { bytes in
            RunView(bytes, count: stored.count)?.forEachBlock { index, block in
                stored[index] = Block(block, height: index, previousHash: .zero)
            }
        }
        return stored
    }
}

extension NodeMemory {
    fileprivate func has(_ hashes: [Hash?], from first: Int) -> Bool {
        first + hashes.count <= entries.count && zip(entries[first...], hashes).allSatisfy { $0.hash == $1 }
    }

    fileprivate func hasAny(of hashes: [Hash?]) -> Bool {
        entries.contains { hashes.contains($0.hash) }
    }

    /// Blocks are not on the disk any more as they were: nobody can ask for them here.
    fileprivate mutating func spoil(_ hashes: [Hash?], at heights: Range<Int>) {
        spoiltHeights.formUnion(heights)
        let spoilt = Set(hashes.compactMap { $0.flatMap { identities[$0] } })
        spoiltHashes.formUnion(identities.filter { spoilt.contains($0.value) }.keys)
        identities = identities.filter { !spoilt.contains($0.value) }
    }
}

// MARK: What is damaged in the end

/// What a whole pass of the scrub found.
struct ScrubFindings {
    var heights: [Int] = []
    var orphans: [Hash] = []

    /// Goes once through everything that a list has at rest.
    init(of list: BlockList) async throws {
        var place = ScrubPlace.start
        repeat {
            let step = try await list.scrub(from: place)
            heights += step.damagedHeights
            orphans += step.damagedOrphans
            place = step.next
        } while place != .start
    }
}
