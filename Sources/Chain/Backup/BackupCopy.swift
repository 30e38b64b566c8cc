// Copies a database that a node may have open and go on writing. The list comes piece by piece, each in a short read
// transaction: a long one would let the WAL grow and hold up a node that stops. What stands beside the list comes in the
// transaction of the last piece, so that the two agree.

import CSystemLibs

/// A copy that is under way. Its two connections and how far it is belong to this actor. It does not check the blocks: the
/// copy is validated when it is done, by all cores.
actor BackupCopy {
    /// What a step came to.
    enum Step: Sendable {
        /// There may be more to copy; how many blocks were copied, and how many the list has.
        case copied(blocks: Int, blocksTotal: Int)
        /// The node goes through blocks that were replaced, which takes it a moment.
        case waiting
        /// Everything was copied.
        case done
    }

    /// How often blocks may be replaced while they are copied.
    private static let reorganisationsMax = 1_000
    /// Pieces that may follow the head at which the copy began: only a disk that takes less than clients append needs more.
    private static let furtherPiecesMax = 10_000

    private let executor = ThreadExecutor()
    private let sourcePath: String
    private let targetPath: String
    private let pieceSizeBytesMax: Int
    private var connections: (source: Connection, target: Connection)?
    /// The branch that the list has in the copy.
    private var branch = 0
    /// The height after the last block that was copied.
    private var next = 0
    private var firstEnd: Int?
    private var furtherPieces = 0
    private var reorganisations = 0

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// - Parameters:
    ///   - source: the database, whoever has it open.
    ///   - target: the copy, a name that nobody else uses.
    ///   - pieceSizeBytesMax: bytes of runs that are copied in one transaction.
    init(source: String, target: String, pieceSizeBytesMax: Int = 8 << 20) {
        sourcePath = source
        targetPath = target
        self.pieceSizeBytesMax = pieceSizeBytesMax
    }

    // MARK: Steps

    /// Opens the database and makes an empty copy.
    func begin() throws(BackupError) {
        let source = try file { () throws(OpenError) in try StoreFile.openShared(path: sourcePath) }
        let replaced = try read { () throws(SQLiteError) in try replacedBranches(source) }
        branch = (0..<RunKey.branchesMax).first { !replaced.contains($0) } ?? 0
        try file { () throws(OpenError) in try StoreFile.create(path: targetPath) }
        let target = try write { () throws(SQLiteError) in
            let target = try Connection(path: targetPath, access: .readWrite)
            // The file is worth nothing before it is whole, and is synced then.
            try target.execute(
                """
                PRAGMA journal_mode = OFF;
                PRAGMA synchronous = OFF;
                DELETE FROM runs;
                UPDATE segments SET branch = \(branch);
                """)
            return target
        }
        connections = (source, target)
    }

    /// Copies the next piece of the list, and with the last one everything else.
    ///
    /// - Parameter records: not to be copied.
    func step(leavingOut records: [String]) throws(BackupError) -> Step {
        let (source, target) = try opened()
        try read { () throws(SQLiteError) in try source.execute("BEGIN") }
        try goBackToCommonBlock(source, target)
        let (runs, end) = try readPiece(source)
        try write { () throws(SQLiteError) in try store(runs, in: target) }
        var step = Step.copied(blocks: next, blocksTotal: max(next, end))
        if next == end {
            let isMovedAway = try read { () throws(SQLiteError) in try replacedBranches(source).contains(branch) }
            if isMovedAway {
                step = .waiting
            } else {
                try copyTables(leavingOut: records, from: source, to: target)
                step = .done
            }
        } else if next > firstEnd ?? end {
            furtherPieces += 1
            guard furtherPieces < BackupCopy.furtherPiecesMax else { throw .outrun }
        }
        firstEnd = firstEnd ?? end
        try read { () throws(SQLiteError) in try source.execute("COMMIT") }
        return step
    }

    /// Closes both databases. The copy is what nodes open, if all steps were made.
    func end() throws(BackupError) {
        guard let (source, target) = connections else { return }
        source.close()
        try write { () throws(SQLiteError) in try target.execute("PRAGMA synchronous = FULL; PRAGMA journal_mode = WAL")
        }
        target.close()
        connections = nil
    }

    /// Closes both databases, however far it has come.
    func close() {
        connections?.source.close()
        connections?.target.close()
        connections = nil
    }

    // MARK: The list

    /// Goes back to the last block that the list still has, if blocks were replaced meanwhile.
    private func goBackToCommonBlock(_ source: Connection, _ target: Connection) throws(BackupError) {
        func isCommon(_ height: Int) throws(BackupError) -> Bool {
            let hash = try read { () throws(SQLiteError) in try Lineage.list.storedHash(at: height, on: source) }
            return try write { () throws(SQLiteError) in try Lineage.list.storedHash(at: height, on: target) == hash }
        }
        guard next > 0, try !isCommon(next - 1) else { return }
        reorganisations += 1
        guard reorganisations < BackupCopy.reorganisationsMax else { throw .listChanged }
        var (low, high) = (0, next - 1)
        while low < high {
            let middle = low + (high - low) / 2
            if try isCommon(middle) { low = middle + 1 } else { high = middle }
        }
        try write { () throws(SQLiteError) in try cut(from: low, in: target) }
    }

    /// The runs from the next block on, some at a time, and the height after the last block of the list.
    private func readPiece(_ source: Connection) throws(BackupError) -> (runs: [EncodedRun], end: Int) {
        var runs: [EncodedRun] = []
        var sizeBytes = 0
        let first = next
        let end = try read { () throws(SQLiteError) in
            let end = try RunStatements.endHeight(on: source)
            do throws(SQLiteError) {
                try RunStatements.forEachRun(from: first, below: end, on: source) { row throws(SQLiteError) in
                    let expected = runs.last.map { $0.height + $0.blocks } ?? first
                    guard let view = row.view, row.height <= expected, expected < row.endHeight else { return false }
                    runs.append(
                        EncodedRun(
                            height: row.height, blocks: row.blocks, dataSizeBytes: view.dataSizeBytes,
                            content: [UInt8](row.content), acknowledged: try row.acknowledged()))
                    sizeBytes += row.content.count
                    return sizeBytes < pieceSizeBytesMax
                }
            } catch {
                // What comes before a page that cannot be read is copied first.
                guard error.isDamage, !runs.isEmpty else { throw error }
            }
            return end
        }
        guard !runs.isEmpty || next == end else { throw .damaged(height: next) }
        return (runs, end)
    }

    private func store(_ runs: [EncodedRun], in target: Connection) throws(SQLiteError) {
        guard let first = runs.first, let last = runs.last else { return }
        try target.execute("BEGIN")
        // Small runs were merged meanwhile: the large one takes their place. If it begins within another, that one is read
        // again too.
        if first.height < next { try cut(from: first.height, in: target) }
        if first.height == next {
            for run in runs {
                try RunStatements.insert(run, branch: branch, on: target)
                for origin in run.origins {
                    try OriginStatements.insert(origin.identity, at: origin.height, branch: branch, on: target)
                }
            }
            next = last.height + last.blocks
        }
        try target.execute("COMMIT")
    }

    /// Takes the run that holds the block at a height, and those after it, out of the copy.
    private func cut(from height: Int, in target: Connection) throws(SQLiteError) {
        let first = try target.number(
            "SELECT max(position) FROM runs WHERE position <= \(RunKey.position(branch: branch, height: height))")
        try target.execute(
            "DELETE FROM runs WHERE position >= \(first); DELETE FROM origins WHERE position >= \(first)")
        next = RunKey.height(of: first)
    }

    // MARK: Everything else

    /// The branches of blocks that were replaced and are not gone through one by one yet.
    private func replacedBranches(_ source: Connection) throws(SQLiteError) -> Set<Int> {
        Set(try LeftoverStatements.readable(on: source).lazy.filter { $0.replaced != nil }.map(\.branch))
    }

    private func copyTables(
        leavingOut records: [String], from source: Connection, to target: Connection
    ) throws(BackupError) {
        let damaged = try write { () throws(SQLiteError) -> String? in
            try target.execute("BEGIN")
            for table in TableCopy.tables {
                guard case .all = try table.copy(from: source, to: target) else { return table.name }
            }
            // What was only being received is fetched again.
            try target.execute("DELETE FROM leftovers WHERE replaced IS NULL")
            guard try LeftoverStatements.copyRuns(from: source, to: target) else { return "runs" }
            for record in records { try PropertyStatements.delete(PropertyStatements.record(record), on: target) }
            try target.execute("COMMIT")
            return nil
        }
        if let damaged { throw .damagedTable(damaged) }
    }

    // MARK: Errors

    private func opened() throws(BackupError) -> (source: Connection, target: Connection) {
        guard let connections else {
            let error = SQLiteError(SQLITE_MISUSE, "copying a file that is not open")
            throw .file(OpenError(path: sourcePath, reason: .database(error)))
        }
        return connections
    }

    /// Calls `body`, which reads the list.
    private func read<Answer>(_ body: () throws(SQLiteError) -> Answer) throws(BackupError) -> Answer {
        do throws(SQLiteError) {
            return try body()
        } catch {
            guard error.isDamage else { throw .file(OpenError(path: sourcePath, reason: .database(error))) }
            throw .damaged(height: next)
        }
    }

    /// Calls `body`, which works on the copy.
    private func write<Answer>(_ body: () throws(SQLiteError) -> Answer) throws(BackupError) -> Answer {
        do throws(SQLiteError) {
            return try body()
        } catch {
            throw .file(OpenError(path: targetPath, reason: .database(error)))
        }
    }

    private func file<Answer>(_ body: () throws(OpenError) -> Answer) throws(BackupError) -> Answer {
        do throws(OpenError) {
            return try body()
        } catch {
            throw .file(error)
        }
    }
}
