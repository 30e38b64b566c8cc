// How a staged branch takes the place of the end of the list, and how what it replaces is appended again after it.

/// An adoption that is under way. It is forgotten when the process ends: what was appended again is cut off then.
struct Adoption {
    /// The branch, with its last received block.
    let staged: StagedBranch
    /// Its last block, appended again or received.
    var head: Head
    /// Blocks of the list below this height were looked at for whether they are to be appended again.
    var lookedAtEnd: Int
    /// How often blocks of the list had been replaced when that began: another list is to be looked at anew.
    var replacements: Int
    /// How many blocks were appended again.
    var reappended = 0
    let terms: AdoptionTerms
}

/// What an adoption has to keep to.
public struct AdoptionTerms: Sendable {
    /// Up to where the sender's list is final.
    public var finalHeight = 0
    /// Blocks with a later timestamp do not count in the comparison.
    public var latestTimestamp = Int64.max
    /// A block of the list that is damaged and that nobody has: the list counts only up to before it in the comparison.
    public var damagedHeight: Int?
    /// An operator decided: settled blocks may be replaced, and by a list that is not better.
    public var isForced = false
    /// Up to where the sender's list is settled.
    public var settledHeight = 0
    /// An engine of consensus decided: the branch takes the place of what is not final, settled or not, and nothing is
    /// appended again with it.
    public var isOrdered = false
    /// An operator decided: final blocks may be replaced, and the list is final where the sender's is.
    public var replacesFinal = false
    /// Appends all blocks again, whoever acknowledged them: a tail of this node's own that does not count.
    var reappendsAll = false

    /// A list that has to be better than ours, and to leave settled blocks alone.
    public init() {}
}

extension StoreWriter {
    /// Blocks that one transaction looks at for whether they are to be appended again.
    private static let reappendBlocksMax = 1_000

    /// What became of a step of an adoption.
    enum AdoptionStep {
        /// There are more blocks to append again, or leftovers to tidy first.
        case unfinished(Adoption)
        case adopted(AdoptionResult)
        case refused(ReceptionError)
    }

    /// Begins to adopt a branch that was received whole.
    func beginAdoption(_ branch: Int, terms: AdoptionTerms) throws(WriteError) -> Result<Adoption, ReceptionError> {
        try write { connection throws(SQLiteError) -> Ending<Result<Adoption, ReceptionError>> in
            guard let staged = try StagedStatements.all(on: connection).first(where: { $0.branch == branch }) else {
                return .rollBack(.failure(.listMoved))
            }
            try cut(staged, on: connection)
            return .commit(
                .success(
                    Adoption(
                        staged: staged, head: staged.head, lookedAtEnd: staged.first,
                        replacements: state.replacements, terms: terms)))
        }
    }

    /// Appends some of what will be replaced again, or adopts the branch if there is little left. Each call is one
    /// transaction.
    func step(_ adoption: Adoption, now: Int64) throws(WriteError) -> AdoptionStep {
        var adopted: (tail: Tail, head: Head)?
        let head = state.head
        let step = try write { connection throws(SQLiteError) -> Ending<AdoptionStep> in
            if let refusal = try refusal(of: adoption, head: head, on: connection) {
                return .rollBack(.refused(refusal))
            }
            // An orphan that is not known yet could be one that this node acknowledged.
            guard try !LeftoverStatements.areThere(on: connection) else { return .rollBack(.unfinished(adoption)) }
            var adoption = adoption
            if adoption.replacements != state.replacements {
                adoption.replacements = state.replacements
                adoption.lookedAtEnd = adoption.staged.first
            }
            if adoption.terms.isOrdered {
                adoption.lookedAtEnd = head.height + 1
            } else {
                try reappend(in: &adoption, upTo: head.height, now: now, on: connection)
            }
            guard adoption.lookedAtEnd > head.height else { return .commit(.unfinished(adoption)) }
            try replace(by: adoption, head: head, now: now, on: connection)
            adopted = (try Tail(on: connection), adoption.head)
            return .commit(
                .adopted(
                    AdoptionResult(
                        adoptedBlocks: adoption.staged.head.height + 1 - adoption.staged.first,
                        replacedBlocks: head.height + 1 - adoption.staged.first,
                        reappendedBlocks: adoption.reappended, firstHeight: adoption.staged.first)))
        }
        if let adopted {
            tail = adopted.tail
            replaced(from: adoption.staged.first, with: adopted.head)
            state.final(upTo: finalHeight(after: adoption))
            state.settled(upTo: settledHeight(after: adoption))
        }
        return step
    }

    /// Up to where the list is final once a branch is adopted.
    private func finalHeight(after adoption: Adoption) -> Int {
        adoption.terms.replacesFinal
            ? adoption.terms.finalHeight : max(state.finalHeight, adoption.terms.finalHeight)
    }

    /// Up to where the list is settled once a branch is adopted. What an operator chose is as settled here as where it
    /// comes from: else the next better list, which a third node may still have, would undo the decision.
    private func settledHeight(after adoption: Adoption) -> Int {
        let kept = min(state.settledHeight, adoption.staged.first - 1)
        guard adoption.terms.isForced else { return kept }
        return max(kept, min(adoption.terms.settledHeight, adoption.staged.head.height))
    }

    private func refusal(
        of adoption: Adoption, head: Head, on connection: Connection
    ) throws(SQLiteError) -> ReceptionError? {
        let staged = adoption.staged
        guard try Lineage.list.storedHash(at: staged.first - 1, on: connection) == staged.previousHash else {
            return .listMoved
        }
        guard try isUndisturbed(adoption, on: connection) else { return .listMoved }
        if staged.first <= state.finalHeight, !adoption.terms.replacesFinal {
            return .conflict(height: staged.first)
        }
        if adoption.terms.isForced || adoption.terms.reappendsAll || adoption.terms.isOrdered { return nil }
        if staged.first <= state.settledHeight { return .conflict(height: staged.first) }
        let received = ListRank(
            finalHeight: adoption.terms.finalHeight, height: staged.head.height, headHash: staged.head.hash)
        let ours = try rank(adoption.terms, head: head, on: connection)
        return received > ours ? nil : .oursIsAsGood
    }

    /// Whether the branch ends as the adoption has left it. Two streams may bring the same list; where the other one added
    /// to the branch, or began to adopt it, it has cut off what was appended again here.
    private func isUndisturbed(_ adoption: Adoption, on connection: Connection) throws(SQLiteError) -> Bool {
        let staged = adoption.staged
        let known = try StagedStatements.all(on: connection).first { $0.branch == staged.branch }
        guard known?.head == staged.head else { return false }
        let lineage = Lineage(staged: (staged.branch, staged.first))
        var isEnd = try lineage.storedHash(at: adoption.head.height, on: connection) == adoption.head.hash
        let above = adoption.head.height + 1..<RunKey.heightsMax
        try RunStatements.forEachRun(above, branch: staged.branch, on: connection) { _ in
            isEnd = false
            return false
        }
        return isEnd
    }

    /// The list as far as it counts.
    private func rank(
        _ terms: AdoptionTerms, head: Head, on connection: Connection
    ) throws(SQLiteError) -> ListRank {
        let counted = try CountedHeight.find(
            latestTimestamp: terms.latestTimestamp, head: head, damagedHead: damagedHead,
            atLeast: max(state.settledHeight, state.finalHeight), on: connection)
        let height = min(counted, terms.damagedHeight.map { $0 - 1 } ?? counted)
        let hash = try Lineage.list.storedHash(at: height, on: connection) ?? .zero
        return ListRank(finalHeight: state.finalHeight, height: height, headHash: hash)
    }

    /// Looks at the next blocks of the list that will be replaced, and appends those again to the branch that this node
    /// acknowledged and that the branch lacks.
    private func reappend(
        in adoption: inout Adoption, upTo headHeight: Int, now: Int64, on connection: Connection
    ) throws(SQLiteError) {
        let staged = adoption.staged
        let end = min(headHeight + 1, adoption.lookedAtEnd + StoreWriter.reappendBlocksMax)
        guard adoption.lookedAtEnd < end else { return }
        var batch = Batch(
            head: adoption.head, now: now, branch: staged.branch,
            lineage: Lineage(staged: (staged.branch, staged.first)))
        var acknowledged: [Bool] = []
        for replaced in try ListedBlock.read(adoption.lookedAtEnd..<end, on: connection) {
            // One that is damaged cannot be appended again; it becomes an orphan like the others.
            guard let block = replaced.checkedBlock, adoption.terms.reappendsAll || replaced.isAcknowledged else {
                continue
            }
            let count = batch.blocks.count
            try batch.reappend(block, on: connection)
            if batch.blocks.count > count { acknowledged.append(replaced.isAcknowledged) }
        }
        var builder = RunBuilder(height: adoption.head.height + 1)
        for (block, isAcknowledged) in zip(batch.blocks, acknowledged) {
            builder.append(block, acknowledged: isAcknowledged)
        }
        for run in builder.finish() { try RunStatements.insert(run, branch: staged.branch, on: connection) }
        if let last = batch.blocks.last {
            hashes.insert(batch.blocks.map(\.hash.prefix), from: adoption.head.height + 1)
            adoption.head = Head(last)
            adoption.reappended += batch.blocks.count
        }
        adoption.lookedAtEnd = end
    }

    /// Puts the branch in the place of the end of the list. Nothing is copied but the run that is split.
    private func replace(
        by adoption: Adoption, head: Head, now: Int64, on connection: Connection
    ) throws(SQLiteError) {
        let staged = adoption.staged
        try splitRun(at: staged.first, on: connection)
        for segment in try SegmentStatements.all(from: staged.first, below: head.height + 1, on: connection) {
            let heights = max(segment.first, staged.first)..<min(segment.end, head.height + 1)
            let previousHash = try hash(before: heights.lowerBound, on: connection)
            try LeftoverStatements.insert(
                LeftoverRange(branch: segment.branch, heights: heights, previousHash: previousHash, replaced: now),
                on: connection)
        }
        try SegmentStatements.replace(from: staged.first, by: staged.branch, on: connection)
        try StagedStatements.delete(staged.branch, on: connection)
        let finalHeight = finalHeight(after: adoption)
        if finalHeight != state.finalHeight {
            try PropertyStatements.set(PropertyStatements.finalHeight, to: finalHeight, on: connection)
        }
        let settledHeight = settledHeight(after: adoption)
        if settledHeight != state.settledHeight {
            try PropertyStatements.set(PropertyStatements.settledHeight, to: settledHeight, on: connection)
        }
    }

    /// The hash that a block of the list follows: the stored one before it, unless that is damaged and the block good.
    private func hash(before height: Int, on connection: Connection) throws(SQLiteError) -> Hash {
        do throws(SQLiteError) {
            return try CheckedRead.withBlock(at: height, on: connection) { _, _, previousHash in previousHash }
        } catch {
            guard error.isDamage else { throw error }
            return try Lineage.list.storedHash(at: height - 1, on: connection) ?? .zero
        }
    }

    /// Makes a run of the list begin at a height.
    private func splitRun(at height: Int, on connection: Connection) throws(SQLiteError) {
        guard height <= state.head.height else { return }
        var parts: (row: Int, branch: Int, runs: [EncodedRun])?
        try RunStatements.withRun(at: height, on: connection) { row, view throws(SQLiteError) in
            guard row.height < height else { return }
            let acknowledged = try row.acknowledged()
            var lower = RunBuilder(height: row.height)
            var upper = RunBuilder(height: height)
            view.forEachBlock { index, block in
                if row.height + index < height {
                    lower.append(block, acknowledged: acknowledged.contains(index))
                } else {
                    upper.append(block, acknowledged: acknowledged.contains(index))
                }
            }
            parts = (row.height, row.branch, lower.finish() + upper.finish())
        }
        guard let parts else { return }
        try RunStatements.delete(parts.row..<parts.row + 1, branch: parts.branch, on: connection)
        for run in parts.runs { try RunStatements.insert(run, branch: parts.branch, on: connection) }
    }

    // MARK: A tail of our own

    /// Makes an empty branch after a block of the list, to append again what follows it; none after a block that is too late
    /// itself, whose time what follows it would get again.
    func stageNothing(after height: Int, latestTimestamp: Int64, now: Int64) throws(WriteError) -> Int? {
        try write { connection throws(SQLiteError) -> Ending<Int?> in
            let block: Block
            do throws(SQLiteError) {
                block = try CheckedRead.block(at: height, on: connection)
            } catch {
                guard error.isDamage else { throw error }
                return .rollBack(nil)
            }
            guard block.timestamp <= latestTimestamp else { return .rollBack(nil) }
            let branch = try StagedStatements.newBranch(on: connection)
            try StagedStatements.set(
                StagedBranch(
                    branch: branch, first: height + 1, previousHash: block.hash, head: Head(block), progressed: now),
                on: connection)
            return .commit(branch)
        }
    }
}
