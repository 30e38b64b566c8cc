// What is known of the list without reading it: shared by the writer, the readers and the validation.

import Synchronization

/// The last block, as the writer knows it.
struct Head: Hashable, Sendable {
    var height: Int
    var hash: Hash
    var timestamp: Int64

    init(height: Int, hash: Hash, timestamp: Int64) {
        self.height = height
        self.hash = hash
        self.timestamp = timestamp
    }

    init(_ block: Block) {
        self.init(height: block.height, hash: block.hash, timestamp: block.timestamp)
    }
}

/// The head, how far the list was validated, and which blocks are known to be damaged. Owned by the list; locked for
/// the length of a copy only.
final class ListState: Sendable {
    /// Damaged heights that are remembered, the lowest ones.
    static let damagedMax = 10_000

    private struct Values {
        var head: Head
        /// The last block, if this process appended it.
        var headBlock: Block?
        var openedEndHeight = 1
        /// Blocks up to this height were checked since the list was opened: they are good, or known to be damaged.
        var checkedHeight: Int?
        var damaged: Set<Int> = []
        /// The last repairs, newest first.
        var repairs: [Repair] = []
        /// When the structure of the whole file was found good.
        var structureCheckedTime = Int64.min / 2
        var structureFault: String?
        var isRebuilding = false
        var settledHeight = 0
        var finalHeight = 0
        /// How often blocks gave way to others.
        var reorganisations = 0
        /// How often blocks were replaced, also by good ones, and from which heights on, for the last times.
        var replacements = 0
        var replacedFrom: [Int] = []

        mutating func noteReplacement(from height: Int) {
            replacements += 1
            replacedFrom.append(height)
            if replacedFrom.count > ListState.replacementsMax { replacedFrom.removeFirst() }
        }
    }

    /// Replacements whose heights are remembered.
    private static let replacementsMax = 10_000

    private let values: Mutex<Values>
    /// Who is told of another head.
    let headWaiters = HeadWaiters()
    /// How often another file took the place of the list's. Locked while that is done and while a file is opened, so that
    /// nobody opens the old one under the name of the new one.
    private let files = Mutex(0)

    /// Begins with the genesis, as every list does, until the writer has read the head.
    init() {
        values = Mutex(
            Values(head: Head(.genesis)))
    }

    var head: Head { values.withLock { $0.head } }

    /// The last block without reading it; `nil` if this process did not append it, or blocks are damaged.
    var headBlock: Block? { values.withLock { $0.damaged.isEmpty ? $0.headBlock : nil } }

    /// The height after the last block that was there when the list was opened.
    var openedEndHeight: Int { values.withLock { $0.openedEndHeight } }

    /// Blocks up to this height were found good since the list was opened; `nil` before the first one was.
    var validatedHeight: Int? {
        values.withLock { values in
            guard let checked = values.checkedHeight else { return nil }
            guard let damaged = values.damaged.min(), damaged <= checked else { return checked }
            return damaged > 0 ? damaged - 1 : nil
        }
    }

    /// The damaged heights, ascending.
    var damagedHeights: [Int] { values.withLock { $0.damaged }.sorted() }

    /// A new head, whose block was made by this process, or checked when it came: it counts as validated where everything
    /// before it was.
    func advance(to head: Head, block: Block? = nil) {
        values.withLock { values in
            if values.checkedHeight == values.head.height { values.checkedHeight = head.height }
            values.head = head
            values.headBlock = block
        }
        headWaiters.wakeAll()
    }

    /// The head and the heights that the database says are settled and final.
    func opened(with head: Head, settledHeight: Int, finalHeight: Int) {
        values.withLock { values in
            values.head = head
            values.openedEndHeight = head.height + 1
            values.settledHeight = settledHeight
            values.finalHeight = finalHeight
        }
    }

    var settledHeight: Int { values.withLock { $0.settledHeight } }

    var finalHeight: Int { values.withLock { $0.finalHeight } }

    func settled(upTo height: Int) { values.withLock { $0.settledHeight = height } }

    func final(upTo height: Int) { values.withLock { $0.finalHeight = height } }

    /// The blocks from a height on were replaced by others, each of which was checked when it came.
    func replaced(from height: Int, with head: Head) {
        values.withLock { values in
            values.damaged = values.damaged.filter { $0 < height }
            let checked = values.checkedHeight ?? -1
            if checked >= height - 1 { values.checkedHeight = head.height }
            values.head = head
            values.headBlock = nil
            values.reorganisations += 1
            values.noteReplacement(from: height)
        }
        headWaiters.wakeAll()
    }

    /// How often blocks gave way to others since the list was opened.
    var reorganisations: Int { values.withLock { $0.reorganisations } }

    /// How often blocks were replaced so far: to be given to `lowestReplaced(since:)` later.
    var replacements: Int { values.withLock { $0.replacements } }

    /// The lowest height that was replaced since; 0 if that is too long ago to be known, `nil` if none was.
    func lowestReplaced(since replacements: Int) -> Int? {
        values.withLock { values in
            let count = values.replacements - replacements
            guard count > 0 else { return nil }
            return count > values.replacedFrom.count ? 0 : values.replacedFrom.suffix(count).min()
        }
    }

    /// Blocks up to `height` were validated; below 0, none.
    func validated(upTo height: Int) {
        guard height >= 0 else { return }
        values.withLock { $0.checkedHeight = max($0.checkedHeight ?? 0, height) }
    }

    /// Every block up to `height` was validated, and `damaged` are those that are not good.
    func validatedAll(upTo height: Int, damaged: [Int]) {
        values.withLock { values in
            values.damaged = values.damaged.filter { $0 > height }.union(damaged.prefix(ListState.damagedMax))
            // What follows was appended by this process.
            values.checkedHeight = values.head.height
        }
    }

    /// A read found a block damaged.
    func damaged(_ height: Int) {
        values.withLock { values in
            guard values.damaged.count < ListState.damagedMax else { return }
            values.damaged.insert(height)
        }
    }

    // MARK: Scrub and repair

    /// The last repairs, newest first.
    var repairs: [Repair] { values.withLock { $0.repairs } }

    /// Blocks were checked again, and `damaged` are those that are not good.
    ///
    /// - Parameter replacements: how often blocks had been replaced before they were read.
    /// - Returns: false if blocks were replaced since, so that nothing is known.
    func scrubbed(_ heights: Range<Int>, damaged: [Int], replacements: Int) -> Bool {
        values.withLock { values in
            guard values.replacements == replacements else { return false }
            values.damaged = values.damaged.filter { !heights.contains($0) }
            values.damaged.formUnion(damaged.prefix(ListState.damagedMax - values.damaged.count))
            return true
        }
    }

    /// Damaged blocks were replaced by good ones. Whoever is reading the list looks at them again.
    func repaired(_ repairs: [Repair]) {
        values.withLock { values in
            if let lowest = repairs.map(\.height).min() { values.noteReplacement(from: lowest) }
            values.damaged.subtract(repairs.map(\.height))
            values.repairs = Array((repairs.reversed() + values.repairs).prefix(ListState.repairsMax))
        }
    }

    /// The repairs that the database has, newest first.
    func opened(withRepairs repairs: [Repair]) {
        values.withLock { $0.repairs = repairs }
    }

    /// When the structure of the whole file was found good last, in whole seconds since the Unix epoch.
    var structureCheckedTime: Int64 { values.withLock { $0.structureCheckedTime } }

    func structureChecked(at time: Int64) {
        values.withLock { values in
            values.structureCheckedTime = time
            values.structureFault = nil
        }
    }

    /// What is said to be wrong with the structure of the file; `nil` if nothing is.
    var structureFault: String? { values.withLock { $0.structureFault } }

    /// The structure of the file is, or seems to be, damaged.
    func structureDamaged(_ fault: String) {
        values.withLock { values in
            values.structureCheckedTime = Int64.min / 2
            values.structureFault = fault
        }
    }

    // MARK: Another file

    /// How often another file took the place of the list's.
    var fileReplacements: Int { files.withLock { $0 } }

    /// Opens the file while nobody replaces it; `body` is given `fileReplacements`.
    func withFile<Answer, Failure: Error>(
        _ body: (Int) throws(Failure) -> sending Answer
    ) throws(Failure) -> sending Answer {
        try files.withLock { files throws(Failure) in try body(files) }
    }

    /// Replaces the file by one whose blocks were all checked, while nobody opens it.
    func replaceFile(_ body: () throws(OpenError) -> Void) throws(OpenError) {
        try files.withLock { files throws(OpenError) in
            try body()
            files += 1
        }
        values.withLock { values in
            values.damaged = []
            values.structureFault = nil
            values.headBlock = nil
            values.noteReplacement(from: 0)
        }
    }

    /// What a rebuilding of the file has to keep.
    var known: FileRebuild.Known {
        values.withLock {
            FileRebuild.Known(head: $0.head, settledHeight: $0.settledHeight, finalHeight: $0.finalHeight)
        }
    }

    /// - Returns: false if the file is being rebuilt already.
    func beginRebuilding() -> Bool {
        values.withLock { values in
            defer { values.isRebuilding = true }
            return !values.isRebuilding
        }
    }

    func endRebuilding() { values.withLock { $0.isRebuilding = false } }

    /// Repairs that are remembered here.
    static let repairsMax = 10
}
