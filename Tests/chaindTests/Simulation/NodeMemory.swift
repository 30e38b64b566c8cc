// What a simulated node's list has been: what it must not forget as long as its disk is there.

import Chain

@testable import chaind

/// What was seen of the list that a disk holds.
struct NodeMemory {
    /// A block of the list.
    struct Entry {
        let hash: Hash
        let identity: Hash
    }

    /// The list after the last step.
    var entries = [Entry(hash: Block.genesis.hash, identity: Block.genesis.identity)]
    /// Every block that ever was in the list, by its hash, and what it stands for.
    var identities: [Hash: Hash] = [:]
    var settledHeight = 0
    /// Where bits flipped: what stands there may be another block, or none that can be read, until it is repaired.
    var spoiltHeights: Set<Int> = []
    /// The blocks that were such, and those that stand for the same.
    var spoiltHashes: Set<Hash> = []
    /// Changes when the disk is another one, or an earlier one: what was answered with it before is forgotten.
    var era = 0
}

extension Simulation {
    /// Takes note of what a step did to the list of a node, and that settled blocks are what they were.
    func observe(_ node: SimulatedNode) async {
        // After a crash, what is there now was never there.
        guard let process = node.process, !process.crashPoint.isReached else { return }
        let list = process.list
        let status = list.status
        let last = node.memory.entries.count - 1
        if status.height != last || status.headHash != node.memory.entries[last].hash {
            do {
                try await observeChange(of: list, node)
            } catch ReadError.damaged where !node.memory.spoiltHeights.isEmpty {
                // It is looked at again after the repair.
            } catch {
                violate("node \(node.number) cannot be read: \(error)")
            }
        }
        if status.settledHeight < node.memory.settledHeight, !node.mayUnsettle {
            violate("node \(node.number) has settled blocks that are not settled any more")
        }
        node.memory.settledHeight = status.settledHeight
    }

    private func observeChange(of list: BlockList, _ node: SimulatedNode) async throws {
        var common = min(list.status.height, node.memory.entries.count - 1)
        // The lowest block that is another one for sure, or gone; what could not be read the last time is neither.
        var replaced = common < node.memory.entries.count - 1 ? common + 1 : Int.max
        search: while common > 0 {
            let heights = Array(max(0, common - 15)...common)
            let hashes = try await list.storedHashes(at: heights)
            for (height, hash) in zip(heights, hashes).reversed() where !node.memory.spoiltHeights.contains(height) {
                common = height
                if node.memory.entries[height].hash == hash { break search }
                replaced = height
            }
            common = heights[0] - 1
        }
        common = max(0, common)
        if replaced <= node.memory.settledHeight, !node.mayUnsettle {
            violate("node \(node.number): block \(replaced), which was settled, was replaced")
        }
        try await checkReplaced(above: common, in: list, node)
        if isTraced, common + 1 < node.memory.entries.count {
            trace("node \(node.number): blocks \(common + 1)...\(node.memory.entries.count - 1) were replaced")
        }
        node.memory.entries.removeSubrange((common + 1)...)
        for try await slice in list.slices(from: common + 1) {
            for block in slice.blocks {
                node.memory.entries.append(NodeMemory.Entry(hash: block.hash, identity: block.identity))
                node.memory.identities[block.hash] = block.identity
            }
        }
        trace("node \(node.number) has height \(node.memory.entries.count - 1), \(list.status.headHash.hex.prefix(8))")
    }

    /// What was replaced must be known as that from the moment on, or it could be forgotten.
    private func checkReplaced(above common: Int, in list: BlockList, _ node: SimulatedNode) async throws {
        let entries = node.memory.entries
        for height in entries.indices.dropFirst(common + 1) where !node.memory.spoiltHeights.contains(height) {
            do throws(ReadError) {
                let hash = entries[height].hash
                if try await list.orphan(hash) == nil {
                    violate(
                        "node \(node.number) has forgotten block \(height), \(hash.hex.prefix(8)), that was replaced")
                }
            } catch {
                // Until the list has gone through what was replaced, it knows that it does not know.
                guard error == .hashesIncomplete else { throw error }
                return
            }
        }
    }
}
