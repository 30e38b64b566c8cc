// Where a block of a hash may stand: prefixes of hashes in memory, since an index of random keys on disk would cost
// ten times the append throughput.

import CLanes
import Synchronization

/// Heights by hash prefix, up to a limit; beyond it the oldest blocks are left out. Owned by the list.
final class HashTable: Sendable {
    private struct Storage {
        var shards = [Shard](repeating: Shard(), count: HashTable.shardCount)
        var count = 0
        var lowestHeight = 0
        var isComplete = false
    }

    /// Shards grow one at a time, so growing never needs twice the memory.
    private static let shardCount = 256

    /// So many slots are fetched into the processor's cache at once; one after the other, each would wait for the memory.
    private static let aheadMax = 64

    private let storage = Mutex(Storage())
    private let hashesMax: Int

    /// - Parameter hashesMax: hashes to keep, at most.
    init(hashesMax: Int) {
        self.hashesMax = hashesMax
    }

    /// Blocks below this height are not in the table.
    var lowestHeight: Int { storage.withLock { $0.lowestHeight } }

    /// Whether every block from the lowest height on is in the table.
    var isComplete: Bool { storage.withLock { $0.isComplete } }

    /// Leaves out the oldest blocks of a list that is too long for the table.
    func begin(endHeight: Int) {
        storage.withLock { $0.lowestHeight = max(0, endHeight - hashesMax) }
    }

    /// Says that every block from the lowest height on has been inserted.
    func markComplete() { storage.withLock { $0.isComplete = true } }

    /// Adds consecutive blocks by the prefixes of their hashes.
    func insert(_ prefixes: [UInt64], from height: Int) {
        storage.withLock { storage in
            for start in stride(from: 0, to: prefixes.count, by: HashTable.aheadMax) {
                let indices = start..<min(start + HashTable.aheadMax, prefixes.count)
                for index in indices {
                    storage.shards[HashTable.shard(of: prefixes[index])].fetch(HashTable.tag(of: prefixes[index]))
                }
                for index in indices where height + index >= storage.lowestHeight {
                    let isNew = storage.shards[HashTable.shard(of: prefixes[index])].insert(
                        HashTable.tag(of: prefixes[index]), height + index)
                    if isNew { storage.count += 1 }
                }
            }
            guard storage.count > hashesMax else { return }
            // A quarter at a time, so that what it costs a block stays the same.
            storage.lowestHeight = max(storage.lowestHeight, height + prefixes.count - hashesMax / 4 * 3)
            storage.count = 0
            for index in storage.shards.indices {
                storage.shards[index].removeHeights(below: storage.lowestHeight)
                storage.count += storage.shards[index].count
            }
        }
    }

    /// Takes out a block that is not part of the list any more.
    func remove(_ prefix: UInt64, at height: Int) {
        storage.withLock { storage in
            let isGone = storage.shards[HashTable.shard(of: prefix)].remove(HashTable.tag(of: prefix), height)
            if isGone { storage.count -= 1 }
        }
    }

    /// The heights at which a hash of this prefix may stand. Few are there by chance, so each is to be read.
    func candidates(prefix: UInt64) -> [Int] {
        storage.withLock { $0.shards[HashTable.shard(of: prefix)].heights(HashTable.tag(of: prefix)) }
    }

    private static func shard(of prefix: UInt64) -> Int { Int(prefix >> 56) }

    private static func tag(of prefix: UInt64) -> UInt64 { prefix >> 32 & 0xFF_FFFF }
}

/// Part of the table: open addressing with linear probing. A slot is a tag of 24 bits and a height of 40; 0 is empty.
private struct Shard {
    private var slots: [UInt64] = []
    private(set) var count = 0

    /// Has the processor fetch the slot of a tag into its cache.
    func fetch(_ tag: UInt64) {
        slots.withUnsafeBufferPointer { slots in
            if let base = slots.baseAddress { clanes_prefetch(base + home(tag)) }
        }
    }

    /// - Returns: false if it is there already.
    mutating func insert(_ tag: UInt64, _ height: Int) -> Bool {
        if (count + 1) * 5 > slots.count * 4 { rebuild(slotCount: max(64, slots.count * 3 / 2), from: 0) }
        guard place(tag << 40 | UInt64(height + 1)) else { return false }
        count += 1
        return true
    }

    /// - Returns: false if it is not there.
    mutating func remove(_ tag: UInt64, _ height: Int) -> Bool {
        guard !slots.isEmpty else { return false }
        let slot = tag << 40 | UInt64(height + 1)
        var index = home(tag)
        while slots[index] != slot {
            if slots[index] == 0 { return false }
            index = next(index)
        }
        slots[index] = 0
        count -= 1
        // Those that follow without a gap may stand here only because this one did.
        index = next(index)
        while slots[index] != 0 {
            let moved = slots[index]
            slots[index] = 0
            _ = place(moved)
            index = next(index)
        }
        return true
    }

    func heights(_ tag: UInt64) -> [Int] {
        guard !slots.isEmpty else { return [] }
        var heights: [Int] = []
        var index = home(tag)
        while slots[index] != 0 {
            if slots[index] >> 40 == tag { heights.append(Int(slots[index] & 0xFF_FFFF_FFFF) - 1) }
            index = next(index)
        }
        return heights
    }

    mutating func removeHeights(below lowest: Int) {
        rebuild(slotCount: slots.count, from: lowest)
    }

    private func home(_ tag: UInt64) -> Int { Int((tag * UInt64(slots.count)) >> 24) }

    private func next(_ index: Int) -> Int { index + 1 == slots.count ? 0 : index + 1 }

    /// - Returns: false if it is there already.
    private mutating func place(_ slot: UInt64) -> Bool {
        var index = home(slot >> 40)
        while slots[index] != 0 {
            if slots[index] == slot { return false }
            index = next(index)
        }
        slots[index] = slot
        return true
    }

    private mutating func rebuild(slotCount: Int, from lowest: Int) {
        let old = slots
        slots = [UInt64](repeating: 0, count: slotCount)
        count = 0
        for slot in old where slot != 0 && Int(slot & 0xFF_FFFF_FFFF) - 1 >= lowest {
            _ = place(slot)
            count += 1
        }
    }
}
