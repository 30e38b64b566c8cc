// Builds a new file beside one whose structure is damaged: the good blocks that can be read are copied, what is missing
// between them comes from a member. A new file that lacks a block never takes the old one's place.

import CSystemLibs

/// A rebuilding that is under way. Its two connections and how far it is belong to this actor.
actor FileRebuild {
    /// What the list of the damaged file is known to be.
    struct Known: Sendable {
        /// The last block; its hash is zero where it cannot be read.
        let head: Head
        let settledHeight: Int
        let finalHeight: Int
    }

    /// What copying came to.
    enum Step: Sendable {
        /// There is more to copy.
        case copied
        /// What follows this block cannot be read.
        case gap(after: Head)
        /// All blocks are there.
        case done
    }

    /// Bytes that are copied in one transaction.
    private static let copySizeBytesMax = 8 << 20

    private let executor = ThreadExecutor()
    let path: String
    /// The height after the last block that the new file is to have.
    var end = 0
    /// Whether the way to the last block is lost, so that there may have been more.
    private(set) var isEndLost = false
    /// The hash of the last block; zero where it is not known.
    private(set) var endHash = Hash.zero
    private var known: Known?
    private var connections: (source: Connection, target: Connection)?
    /// The branch that the list has in the new file. Blocks that were replaced keep theirs.
    private var branch = 0
    /// The last block that the new file has.
    var last = Head(.genesis)
    var checker = BlockChecker(
        height: 1, previous: .init(hash: Block.genesis.hash, timestamp: Block.genesis.timestamp))
    /// The gap that is being filled.
    var gap: RebuildGap?
    /// What was filled in.
    var filledHeights: [Range<Int>] = []
    var repairs: [Repair] = []

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// - Parameters:
    ///   - path: the damaged database.
    ///   - known: `nil` to look for the end of the list in the file.
    init(path: String, known: Known?) {
        self.path = path
        self.known = known
    }

    /// Where the new database is made.
    static func newPath(_ path: String) -> String { path + ".rebuilding" }

    /// The height of the next block.
    var next: Int { checker.height }

    func opened() throws(SQLiteError) -> (source: Connection, target: Connection) {
        guard let connections else { throw SQLiteError(SQLITE_MISUSE, "rebuilding a file that is not open") }
        return connections
    }

    // MARK: Beginning

    /// Makes the new database, with the genesis, beside the damaged one.
    func begin() throws(OpenError) {
        let newPath = FileRebuild.newPath(path)
        try StoreFile.remove(newPath, for: path)
        try StoreFile.create(path: newPath)
        do throws(SQLiteError) {
            if known == nil { try StoreFile.emptyWAL(ofDamaged: path) }
            let source = try Connection(path: path, access: .damaged(writable: false))
            let target = try Connection(path: newPath, access: .readWrite)
            connections = (source, target)
            try target.execute("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000")
            if try !SegmentStatements.areReadable(on: source) { try SegmentStatements.suppose(on: source) }
            if let known {
                extend(to: known)
            } else {
                (end, isEndLost) = try RunStatements.endHeight(ofDamaged: source)
            }
            let others = Set(try LeftoverStatements.readable(on: source).map(\.branch))
            branch = (0..<RunKey.branchesMax).first { !others.contains($0) } ?? 0
            try target.execute(
                """
                UPDATE runs SET position = position | \(RunKey.position(branch: branch, height: 0));
                UPDATE segments SET branch = \(branch);
                """)
        } catch {
            throw OpenError(path: path, reason: .database(error))
        }
    }

    /// The list goes up to here by now.
    func extend(to known: Known) {
        self.known = known
        end = known.head.height + 1
        endHash = known.head.hash
    }

    // MARK: Copying

    /// Copies the next blocks that are good.
    func copy() throws(SQLiteError) -> Step {
        guard next < end else { return .done }
        let source = try opened().source
        let first = next
        var builder = RunBuilder(height: next)
        var sizeBytes = 0
        do throws(SQLiteError) {
            try RunStatements.forEachRun(from: next, below: end, on: source) { row throws(SQLiteError) in
                guard let view = row.view, row.height <= next else { return false }
                let acknowledged = try row.acknowledged()
                for index in max(0, next - row.height)..<max(view.count, next - row.height) where next < end {
                    guard let block = view.block(index), isNext(block) else { return false }
                    builder.append(block, acknowledged: acknowledged.contains(index))
                }
                sizeBytes += row.content.count
                return sizeBytes < FileRebuild.copySizeBytesMax
            }
        } catch {
            guard error.isDamage else { throw error }
        }
        try store(builder.finish())
        if next >= end { return .done }
        return next > first ? .copied : .gap(after: last)
    }

    /// Whether a block is good after the last one; then it is the last one.
    func isNext(_ block: StoredBlock) -> Bool {
        var checker = checker
        guard checker.check(block).fault == nil else { return false }
        last = Head(height: checker.height - 1, hash: block.hash, timestamp: block.timestamp)
        self.checker = checker
        return true
    }

    func store(_ runs: [EncodedRun]) throws(SQLiteError) {
        let target = try opened().target
        try target.execute("BEGIN")
        for run in runs {
            try RunStatements.insert(run, branch: branch, on: target)
            for origin in run.origins {
                try OriginStatements.insert(origin.identity, at: origin.height, branch: branch, on: target)
            }
        }
        try target.execute("COMMIT")
    }

    /// Takes out again the blocks from a height on.
    func remove(from height: Int) throws(SQLiteError) {
        let target = try opened().target
        let position = RunKey.position(branch: branch, height: height)
        try target.execute(
            """
            BEGIN; DELETE FROM runs WHERE position >= \(position); DELETE FROM origins WHERE position >= \(position); COMMIT
            """)
    }

    // MARK: Ending

    /// Copies everything beside the list, checks the new file whole and closes both: it can take the old one's place then.
    ///
    /// - Parameters:
    ///   - keptPath: where the old one will be kept, for the record.
    /// - Returns: the tables of which not all could be read.
    func finish(keptPath: String, now: Int64) throws(SQLiteError) -> [String] {
        let (source, target) = try opened()
        var incomplete = isEndLost ? ["the end of the list, beyond the member's"] : []
        try target.execute("BEGIN")
        for table in TableCopy.tables {
            let extent = try table.copy(from: source, to: target)
            if case .all = extent { continue }
            incomplete.append(table.name)
            if table.name == "idempotency" { try LostKeys(extent, now: now).keep(on: target) }
            if table.name == "appends" {
                try PropertyStatements.set(PropertyStatements.lostTagsTime, to: Int(now), on: target)
            }
        }
        // What was only received is fetched again.
        try target.execute("DELETE FROM leftovers WHERE replaced IS NULL")
        if try !LeftoverStatements.copyRuns(from: source, to: target) { incomplete.append("replaced blocks") }
        try keepHeights(on: target)
        let name = keptPath.split(separator: "/").last ?? ""
        let fault = "structure of the file: rebuilt, the old one is kept as \(name)"
        let note =
            incomplete.isEmpty
            ? "what could be read" : "what could be read; lost in part: \(incomplete.joined(separator: ", "))"
        try RepairStatements.insert(repairs + [Repair(time: now, height: 0, fault: fault, source: note)], on: target)
        try target.execute("COMMIT")
        try checkWhole(target)
        try target.emptyWAL()
        close()
        return incomplete
    }

    /// What was settled or final stays so, where it is known, as far as the list goes.
    private func keepHeights(on target: Connection) throws(SQLiteError) {
        for (name, height) in [
            (PropertyStatements.settledHeight, known?.settledHeight ?? 0),
            (PropertyStatements.finalHeight, known?.finalHeight ?? 0),
        ] {
            let kept = max(height, try PropertyStatements.number(name, on: target))
            if kept > 0 { try PropertyStatements.set(name, to: min(kept, last.height), on: target) }
        }
    }

    private func checkWhole(_ target: Connection) throws(SQLiteError) {
        var height = 0
        while height < end {
            let report = try PieceCheck.run(from: height, below: end, keepsPrefixes: false, on: target)
            guard report.faults.isEmpty, report.end > height else { throw RunStatements.damage(height) }
            height = report.end
        }
        if let fault = try target.structureFault() {
            throw SQLiteError(SQLITE_CORRUPT, "checking the new file: \(fault)")
        }
    }

    /// Closes both databases, and removes the new one.
    func discard() throws(OpenError) {
        close()
        try StoreFile.remove(FileRebuild.newPath(path), for: path)
    }

    private func close() {
        connections?.source.close()
        connections?.target.close()
        connections = nil
    }
}
