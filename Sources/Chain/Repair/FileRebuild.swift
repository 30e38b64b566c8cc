// Builds a database anew beside one whose structure is damaged: what can be read is copied, and what is missing is filled
// in with a member's blocks.

/// A rebuilding that is under way. Its two connections and how far it is belong to this actor.
actor FileRebuild {
    /// What is to be done next.
    enum Step: Sendable {
        /// To copy on.
        case copy
        /// To fill in the blocks after one; up to before a block of our own that is good, or to the end of the list.
        case gap(after: Head, next: Int?)
        /// All blocks are there.
        case done
    }

    /// What became of a piece of a gap.
    enum Filling: Sendable, Equatable {
        /// There is more to fill.
        case goesOn
        /// Our own blocks follow.
        case closed
        /// Our own block does not follow these: they are another list's.
        case foreign
        /// A block is bad in itself.
        case invalid(ValidationFault)
    }

    /// Bytes that are copied in one transaction.
    private static let copySizeBytesMax = 8 << 20

    private let executor = QueueExecutor(label: "chain.rebuild")
    let path: String
    /// The height after the last block that the damaged file is known to have.
    private var knownEnd: Int?
    /// The height after the last block that the new file is to have: lower, if the last ones are lost everywhere.
    private var end = 0
    private var source: Connection?
    private var target: Connection?
    private var branch = 0
    private var last = Head(.genesis)
    private var checker = BlockChecker(
        height: 1, previous: .init(hash: Block.genesis.hash, timestamp: Block.genesis.timestamp))
    /// What was filled in.
    private(set) var filledHeights: [Range<Int>] = []
    /// The last of it, as it is recorded.
    private var repairs: [Repair] = []
    /// Where the gap begins that is being filled.
    private var gap: (checker: BlockChecker, last: Head, repairs: [Repair])?

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// - Parameters:
    ///   - path: the damaged database.
    ///   - end: the height after its last block; `nil` to look for it.
    init(path: String, end: Int?) {
        self.path = path
        knownEnd = end
    }

    /// Where the new database is made.
    static func newPath(_ path: String) -> String { path + ".rebuilding" }

    /// Where the old one is kept.
    static func keptPath(_ path: String, now: Int64) -> String { "\(path).damaged-\(now)" }

    /// The height of the last block that is there.
    var height: Int { next - 1 }

    private var next: Int { checker.height }

    // MARK: Beginning

    /// Moves what a killed process left in the WAL into the file.
    private func emptyWAL() throws(SQLiteError) {
        let connection = try Connection(path: path, access: .readWrite)
        defer { connection.close() }
        try connection.emptyWAL()
    }

    /// Makes the new database, with the genesis, beside the damaged one.
    func begin() throws(SQLiteError) {
        if knownEnd == nil { try emptyWAL() }
        let source = try Connection(path: path, access: .readOnly)
        self.source = source
        if let knownEnd { end = knownEnd } else { end = try FileRebuild.endHeight(on: source) }
        knownEnd = end
        let target = try Connection(path: FileRebuild.newPath(path), access: .readWrite)
        self.target = target
        branch = try FileRebuild.freeBranch(on: source)
        // The genesis stands in the first branch, where blocks may be that were replaced.
        try target.execute(
            """
            PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
            UPDATE runs SET position = position | \(RunKey.position(branch: branch, height: 0));
            UPDATE segments SET branch = \(branch);
            """)
    }

    /// The height after the last block; where the way to the last run is lost, after the last one that is found.
    private static func endHeight(on source: Connection) throws(SQLiteError) -> Int {
        do throws(SQLiteError) {
            return try RunStatements.endHeight(on: source)
        } catch {
            guard error.isDamage else { throw error }
        }
        // A block takes at least as many bytes.
        let sizeBytes = try source.number("PRAGMA page_count") * source.number("PRAGMA page_size")
        var end = 1
        var height = 0
        while height < sizeBytes / RunLimits.fixedSizeBytes {
            do throws(SQLiteError) {
                guard let first = try RunStatements.firstRun(from: height, on: source) else { break }
                end = first + 1
                height = first + 1
                try RunStatements.withRun(at: first, on: source) { row, _ in
                    end = max(end, row.endHeight)
                    height = end
                }
            } catch {
                guard error.isDamage else { throw error }
                height += RunLimits.blocksMax
            }
        }
        return end
    }

    /// A branch that no run of the damaged file belongs to: blocks that were replaced keep theirs.
    private static func freeBranch(on source: Connection) throws(SQLiteError) -> Int {
        var branch = 0
        do throws(SQLiteError) {
            branch = try PropertyStatements.number(PropertyStatements.lastBranch, on: source)
            branch = max(branch, RunKey.branch(of: try source.number("SELECT max(position) FROM runs")))
        } catch {
            guard error.isDamage else { throw error }
        }
        return branch + 1 < RunKey.branchesMax ? branch + 1 : 1
    }

    /// The list has grown up to this height since.
    func extend(below end: Int) {
        guard end > knownEnd ?? 0 else { return }
        knownEnd = end
        self.end = end
    }

    // MARK: Copying

    /// Copies the next blocks that are good.
    func copy() throws(SQLiteError) -> Step {
        guard let source, let target else { throw RunStatements.damage(next) }
        guard next < end else { return .done }
        let first = next
        var builder = RunBuilder(height: next)
        var origins: [IdentityAt] = []
        var sizeBytes = 0
        do throws(SQLiteError) {
            try RunStatements.forEachRun(from: next, below: end, on: source) { row throws(SQLiteError) in
                if row.view != nil, row.endHeight <= next { return true }
                guard let view = row.view, row.height <= next else { return false }
                let acknowledged = try row.acknowledged()
                for index in (next - row.height)..<view.count where next < end {
                    guard let block = view.block(index), isNext(block) else { return false }
                    builder.append(block, acknowledged: acknowledged.contains(index))
                    if let origin = block.origin {
                        origins.append(IdentityAt(identity: origin.hash, height: next - 1))
                    }
                }
                sizeBytes += row.content.count
                return sizeBytes < FileRebuild.copySizeBytesMax
            }
        } catch {
            guard error.isDamage else { throw error }
        }
        try store(builder.finish(), origins, on: target)
        if next >= end { return .done }
        if next > first { return .copy }
        return .gap(after: last, next: try nextGood(on: source))
    }

    /// Whether a block is good after the last one; then it is the last one.
    private func isNext(_ block: StoredBlock) -> Bool {
        var checker = checker
        guard checker.check(block).fault == nil else { return false }
        last = Head(height: checker.height - 1, hash: block.hash, timestamp: block.timestamp)
        self.checker = checker
        return true
    }

    /// The next block of our own that is good, after what it follows here.
    private func nextGood(on source: Connection) throws(SQLiteError) -> Int? {
        var first = next + 1
        while first < end {
            let stop = min(end, first + PieceCheck.faultsMax)
            let faults = try DamageScan.faults(from: first, below: stop, on: source)
            if let good = (first..<stop).first(where: { faults[$0] == nil }) { return good }
            first = stop
        }
        return nil
    }

    private func store(
        _ runs: [EncodedRun], _ origins: [IdentityAt], on target: Connection
    ) throws(SQLiteError) {
        try target.execute("BEGIN")
        for run in runs { try RunStatements.insert(run, branch: branch, on: target) }
        for origin in origins {
            try OriginStatements.insert(origin.identity, at: origin.height, branch: branch, on: target)
        }
        try target.execute("COMMIT")
    }

    // MARK: Filling

    /// Takes a member's blocks for a gap, the first one right after the last block that is there.
    ///
    /// - Parameters:
    ///   - nextGood: as `Step.gap` said.
    ///   - source: whose blocks they are, for the record.
    func fill(
        _ run: BlockRun, before nextGood: Int?, source name: String, now: Int64
    ) throws(SQLiteError) -> Filling {
        guard let target else { throw RunStatements.damage(next) }
        if gap == nil { gap = (checker, last, repairs) }
        var builder = RunBuilder(height: next)
        var origins: [IdentityAt] = []
        var filling = Filling.goesOn
        try run.forEachBlock { _, block throws(SQLiteError) in
            guard filling == .goesOn else { return }
            if try isClosed() {
                filling = .closed
            } else if next == nextGood {
                filling = .foreign
            } else if !isNext(block) {
                var checker = checker
                filling = checker.check(block).fault.map { .invalid($0) } ?? .foreign
            } else {
                // What was lost before a block of our own was ours, and what was acknowledged of it is not known any more.
                builder.append(block, acknowledged: nextGood != nil)
                if let origin = block.origin {
                    origins.append(IdentityAt(identity: origin.hash, height: next - 1))
                }
                note(next - 1, source: name, now: now)
            }
        }
        try store(builder.finish(), origins, on: target)
        if filling == .goesOn, try isClosed() { filling = .closed }
        return filling
    }

    /// Whether our own next block follows what was filled in, which is vouched for so; or there is none.
    private func isClosed() throws(SQLiteError) -> Bool {
        guard let source, next < end else { return true }
        do throws(SQLiteError) {
            return try RunStatements.withRun(at: next, on: source) { row, view in
                guard let block = view.block(next - row.height) else { return false }
                var checker = checker
                return checker.check(block).fault == nil
            }
        } catch {
            guard error.isDamage else { throw error }
            return false
        }
    }

    private func note(_ height: Int, source: String, now: Int64) {
        repairs.append(Repair(time: now, height: height, fault: "structure: it could not be read", source: source))
        if repairs.count > RepairStatements.repairsMax { repairs.removeFirst() }
    }

    /// The gap is filled.
    ///
    /// - Parameter isEnd: nobody has more, so the list ends here.
    func keepFilled(isEnd: Bool) {
        if isEnd { end = next }
        guard let gap else { return }
        self.gap = nil
        if gap.checker.height < next { filledHeights.append(gap.checker.height..<next) }
    }

    /// Takes out again what was filled in: somebody else has to be asked.
    func dropFilled() throws(SQLiteError) {
        guard let gap, let target else { return }
        self.gap = nil
        let heights = gap.checker.height..<next
        checker = gap.checker
        last = gap.last
        repairs = gap.repairs
        guard !heights.isEmpty else { return }
        try target.execute("BEGIN")
        try RunStatements.delete(heights, branch: branch, on: target)
        try target.execute(
            """
            DELETE FROM origins WHERE position >= \(RunKey.position(branch: branch, height: heights.lowerBound));
            COMMIT
            """)
    }

    // MARK: Ending

    /// Copies everything beside the list, and closes both databases; the new one can take the old one's place then.
    ///
    /// - Returns: the tables of which not all could be read.
    func finish() throws(SQLiteError) -> [String] {
        guard let target, let source else { throw RunStatements.damage(next) }
        var incomplete: [String] = []
        try target.execute("ATTACH DATABASE \(FileRebuild.literal(path)) AS damaged")
        try target.execute("BEGIN")
        for (table, key) in TableCopy.tables where try !TableCopy.copy(table, key: key, on: target) {
            incomplete.append(table)
        }
        if try !copyLeftovers(from: source, to: target) { incomplete.append("replaced blocks") }
        try PropertyStatements.set(PropertyStatements.lastBranch, to: branch, on: target)
        for name in [PropertyStatements.settledHeight, PropertyStatements.finalHeight] {
            let height = try PropertyStatements.number(name, on: target)
            if height > last.height { try PropertyStatements.set(name, to: last.height, on: target) }
        }
        try RepairStatements.insert(repairs, on: target)
        try target.execute("COMMIT")
        try target.execute("DETACH DATABASE damaged")
        try target.emptyWAL()
        close()
        return incomplete
    }

    /// Copies the runs of blocks that were replaced and are not looked at one by one yet.
    private func copyLeftovers(from source: Connection, to target: Connection) throws(SQLiteError) -> Bool {
        // What was never in the list is not kept.
        try target.execute("DELETE FROM leftovers WHERE replaced IS NULL")
        var isWhole = true
        for range in try LeftoverStatements.all(on: target) {
            do throws(SQLiteError) {
                try RunStatements.forEachRun(range.heights, branch: range.branch, on: source) {
                    row throws(SQLiteError) in
                    let run = EncodedRun(
                        height: row.height, blocks: row.blocks, dataSizeBytes: 0, content: [UInt8](row.content),
                        acknowledged: try row.acknowledged())
                    try RunStatements.insert(run, branch: range.branch, on: target)
                    return true
                }
            } catch {
                guard error.isDamage else { throw error }
                isWhole = false
            }
        }
        return isWhole
    }

    /// Closes both databases, and removes the new one.
    ///
    /// - Throws: `OpenError`.
    func discard() throws(OpenError) {
        close()
        try StoreFile.remove(FileRebuild.newPath(path), for: path)
    }

    private func close() {
        source?.close()
        source = nil
        target?.close()
        target = nil
    }

    private static func literal(_ text: String) -> String { "'" + text.replacing("'", with: "''") + "'" }
}
