// What becomes of blocks that were replaced: each is remembered, and kept until what it stands for is in the list.

extension StoreWriter {
    /// Runs that one transaction of `tidy` goes through.
    private static let tidyRunsMax = 8

    /// Goes on with the leftovers of adoptions and of dropped branches, in one small transaction.
    func tidy() throws(WriteError) -> TidyResult {
        try write { connection throws(SQLiteError) -> Ending<TidyResult> in
            guard let range = try LeftoverStatements.first(on: connection) else { return .rollBack(.done) }
            try LeftoverStatements.delete(range, on: connection)
            let rest: LeftoverRange?
            do throws(SQLiteError) {
                rest =
                    try range.replaced == nil
                    ? forgetPart(of: range, on: connection) : keepPart(of: range, on: connection)
            } catch {
                guard error.isDamage else { throw error }
                // What cannot be read is left where it is; it must not be in the way of the others.
                return .commit(.unreadable(branch: range.branch, heights: range.heights))
            }
            if let rest, !rest.heights.isEmpty { try LeftoverStatements.insert(rest, on: connection) }
            return .commit(.unfinished)
        }
    }

    /// Goes on with blocks that were replaced, if there are any left.
    ///
    /// - Returns: false if not.
    func tidyReplaced() throws(WriteError) -> Bool {
        let areThere = try write { connection throws(SQLiteError) -> Ending<Bool> in
            .rollBack(try LeftoverStatements.areThere(on: connection))
        }
        if areThere { _ = try tidy() }
        return areThere
    }

    private func forgetPart(
        of range: LeftoverRange, on connection: Connection
    ) throws(SQLiteError) -> LeftoverRange? {
        let end = try forget(range.heights, branch: range.branch, runsMax: StoreWriter.tidyRunsMax, on: connection)
        return end.map {
            LeftoverRange(
                branch: range.branch, heights: $0..<range.heights.upperBound, previousHash: range.previousHash,
                replaced: nil)
        }
    }

    /// Remembers the next blocks of a range as orphans.
    ///
    /// - Returns: the rest of the range.
    private func keepPart(of range: LeftoverRange, on connection: Connection) throws(SQLiteError) -> LeftoverRange? {
        // The block after one whose stored hash went bad is still a good one, and is to be kept as that.
        var checker = BlockChecker(
            height: range.heights.lowerBound, previous: .init(hash: range.previousHash))
        var orphans: [(height: Int, previousHash: Hash, isAcknowledged: Bool, content: [UInt8])] = []
        var runs = 0
        var isGood = true
        var end = range.heights.upperBound
        try RunStatements.forEachRun(range.heights, branch: range.branch, on: connection) { row throws(SQLiteError) in
            checker.skip(to: row.height)
            let acknowledged = try row.acknowledged()
            row.view?.forEachBlock { index, block in
                var builder = RunBuilder(height: row.height + index)
                builder.append(block, acknowledged: false)
                let (fault, previousHash) = checker.check(block)
                isGood = fault == nil
                orphans.append(
                    (row.height + index, previousHash, acknowledged.contains(index), builder.finish()[0].content))
            }
            runs += 1
            // Of a damaged block the next one tells whether it is its hash that is wrong, so they are looked at together.
            guard isGood ? runs >= StoreWriter.tidyRunsMax : runs >= 2 * StoreWriter.tidyRunsMax else { return true }
            end = row.endHeight
            return false
        }
        for orphan in orphans {
            try keep(
                orphan.content, at: orphan.height, after: orphan.previousHash, isAcknowledged: orphan.isAcknowledged,
                replaced: range.replaced ?? 0, on: connection)
        }
        let done = range.heights.lowerBound..<max(range.heights.lowerBound, min(end, range.heights.upperBound))
        try forget(done, branch: range.branch, runsMax: .max, on: connection)
        return LeftoverRange(
            branch: range.branch, heights: done.upperBound..<range.heights.upperBound,
            previousHash: checker.previous?.hash ?? .zero, replaced: range.replaced)
    }

    private func keep(
        _ content: [UInt8], at height: Int, after previousHash: Hash, isAcknowledged: Bool, replaced: Int64,
        on connection: Connection
    ) throws(SQLiteError) {
        // The closure of `withUnsafeBytes` can't throw a typed error.
        let result: Result<Void, SQLiteError> = content.withUnsafeBytes { bytes in
            Result { () throws(SQLiteError) in
                guard let block = RunView(bytes, count: 1)?.block(0) else { return }
                let identity = block.origin?.hash ?? block.hash
                let place = try Lineage.list.height(
                    of: identity, height: block.origin?.height ?? height, on: connection)
                var isThere = false
                if let place { isThere = try Lineage.list.isGood(at: place, on: connection) }
                let wasAcknowledged = try OrphanStatements.isAcknowledged(identity, on: connection)
                try OrphanStatements.insert(
                    block, at: height, after: previousHash, replaced: replaced,
                    acknowledged: isAcknowledged || wasAcknowledged, content: isThere ? nil : content,
                    on: connection)
            }
        }
        try result.get()
    }

    // MARK: Appending again

    /// Appends orphans again whose identity is still missing, and forgets the texts of those whose identity came back.
    ///
    /// - Parameters:
    ///   - time: those that were replaced then or earlier.
    ///   - id: goes on after this one.
    ///   - isIndexChecked: whether the table of origins was compared with the list just now: of what it lacks by damage, a
    ///     second block would be made.
    /// - Returns: how many were appended, and the id to go on after, `nil` at the end; `nil` if there is something to append
    ///   and the table was not compared.
    /// - Throws: `WriteError`; nothing was appended then.
    func reappendOrphans(
        replacedBefore time: Int64, after id: Int, now: Int64, isIndexChecked: Bool
    ) throws(WriteError) -> (appended: Int, lastID: Int?)? {
        var newTail = tail
        var blocks: [Block] = []
        let result = try write { connection throws(SQLiteError) -> Ending<(appended: Int, lastID: Int?)?> in
            if damagedHead != nil { return .rollBack((0, nil)) }
            let orphans = try OrphanStatements.pending(
                replacedBefore: time, after: id, limit: StoreWriter.orphansMax, now: now, on: connection)
            var batch = Batch(head: state.head, now: now, branch: tail.branch)
            var acknowledged: [Bool] = []
            for orphan in orphans {
                let place = try Lineage.list.height(
                    of: orphan.identity, height: orphan.identityHeight, on: connection)
                if let place {
                    guard try Lineage.list.isGood(at: place, on: connection) else { continue }
                    try OrphanStatements.shrink(orphan.id, on: connection)
                } else if let block = orphan.block {
                    let count = batch.blocks.count
                    try batch.reappend(block, on: connection)
                    if batch.blocks.count > count { acknowledged.append(orphan.acknowledged) }
                    try OrphanStatements.shrink(orphan.id, on: connection)
                }
            }
            guard isIndexChecked || batch.blocks.isEmpty else { return .rollBack(nil) }
            newTail = tail
            for (block, isAcknowledged) in zip(batch.blocks, acknowledged) {
                try Tail.store([block], acknowledged: isAcknowledged, merging: &newTail, on: connection)
            }
            blocks = batch.blocks
            let lastID = orphans.count < StoreWriter.orphansMax ? nil : orphans.last?.id
            return .commit((batch.blocks.count, lastID))
        }
        if let last = blocks.last {
            tail = newTail
            appended(blocks.map(\.hash.prefix), head: Head(last))
        }
        return result
    }

    /// Orphans that one transaction looks at.
    private static let orphansMax = 500
}
