// What the writer does with blocks that come from another node: they go to the end of the list, or into a branch.

extension StoreWriter {
    /// What became of a piece.
    enum Received: Sendable {
        /// The list has all of it already, or has it now.
        case inList
        /// It is the end of a staged branch.
        case staged(StagedBranch)
    }

    /// Takes a piece of another list, whose hashes, times and origins were checked.
    ///
    /// - Parameters:
    ///   - runs: consecutive.
    ///   - previous: the block that they follow, in the list or at the end of the staged branch.
    ///   - tags: those of the blocks, or of blocks that follow.
    ///   - staged: the branch that they belong to; `nil` to put them at the end of the list if they follow its head, and
    ///     into a new branch if not.
    ///   - isHeldBack: whether they are put into a branch in any case.
    func receive(
        _ runs: [BlockRun], tags: [AppendTag], after previous: Head, staged: StagedBranch?, isHeldBack: Bool, now: Int64
    ) throws(WriteError) -> Result<Received, ReceptionError> {
        if let staged { return try stage(runs, tags: tags, in: staged, after: previous, now: now) }
        var newTail = tail
        var newHead: Head?
        var prefixes: [UInt64] = []
        let head = state.head
        let result = try write { connection throws(SQLiteError) -> Ending<Result<Received, ReceptionError>> in
            try keep(tags, of: runs, now: now, on: connection)
            if isHeldBack {
                guard try Lineage.list.storedHash(at: previous.height, on: connection) == previous.hash else {
                    return .rollBack(.failure(.listMoved))
                }
                return try stageNew(runs, after: previous, now: now, on: connection)
            }
            let unknown: (runs: [BlockRun], previous: Head)
            switch try withoutKnown(runs, after: previous, head: head, on: connection) {
            case .success(let rest): unknown = rest
            case .failure(let error): return .rollBack(.failure(error))
            }
            guard let last = unknown.runs.last else { return .commit(.success(.inList)) }
            guard unknown.previous == head else {
                return try stageNew(unknown.runs, after: unknown.previous, now: now, on: connection)
            }
            newTail = tail
            var previousHash = unknown.previous.hash
            for run in unknown.runs {
                if let height = try identityFault(in: run, lineage: .list, branch: newTail.branch, on: connection) {
                    return .rollBack(.failure(.invalid(.identity(at: height))))
                }
                try Tail.store(run, after: previousHash, merging: &newTail, on: connection)
                previousHash = run.lastHash
                prefixes += run.prefixes
            }
            newHead = Head(endOf: last)
            return .commit(.success(.inList))
        }
        if let newHead {
            tail = newTail
            appended(prefixes, head: newHead)
        }
        return result
    }

    /// The blocks of a piece that the list lacks, and the block that they follow.
    private func withoutKnown(
        _ runs: [BlockRun], after previous: Head, head: Head, on connection: Connection
    ) throws(SQLiteError) -> Result<(runs: [BlockRun], previous: Head), ReceptionError> {
        if previous == head { return .success((runs, previous)) }
        guard try Lineage.list.storedHash(at: previous.height, on: connection) == previous.hash else {
            return .failure(.listMoved)
        }
        var previous = previous
        for (index, run) in runs.enumerated() {
            if run.endHeight <= head.height + 1,
                try Lineage.list.storedHash(at: run.endHeight - 1, on: connection) == run.lastHash
            {
                previous = Head(endOf: run)
                continue
            }
            var known = 0
            while known < run.count, run.firstHeight + known <= head.height,
                try Lineage.list.storedHash(at: run.firstHeight + known, on: connection) == run.hash(known)
            {
                known += 1
            }
            if known > 0 { previous = Head(in: run, at: known - 1) }
            let rest = run.part(run.firstHeight + known..<run.endHeight)
            return .success(([rest].compactMap { $0 } + runs[(index + 1)...], previous))
        }
        return .success(([], previous))
    }

    // MARK: Staging

    private func stageNew(
        _ runs: [BlockRun], after previous: Head, now: Int64, on connection: Connection
    ) throws(SQLiteError) -> Ending<Result<Received, ReceptionError>> {
        // What broke off and was not gone on with must not be in the way of what comes now.
        let others = try StagedStatements.all(on: connection)
        if others.count >= StagedBranch.branchesMax, let idle = others.min(by: { $0.progressed < $1.progressed }) {
            try drop(idle, on: connection)
        }
        let staged = StagedBranch(
            branch: try StagedStatements.newBranch(on: connection), first: previous.height + 1,
            previousHash: previous.hash, head: previous, progressed: now)
        return try append(runs, to: staged, now: now, on: connection)
    }

    private func stage(
        _ runs: [BlockRun], tags: [AppendTag], in staged: StagedBranch, after previous: Head, now: Int64
    ) throws(WriteError) -> Result<Received, ReceptionError> {
        try write { connection throws(SQLiteError) -> Ending<Result<Received, ReceptionError>> in
            let known = try StagedStatements.all(on: connection).first { $0.branch == staged.branch }
            guard let known, known.head == previous,
                try Lineage.list.storedHash(at: staged.first - 1, on: connection) == staged.previousHash
            else { return .rollBack(.failure(.listMoved)) }
            try keep(tags, of: runs, now: now, on: connection)
            return try append(runs, to: known, now: now, on: connection)
        }
    }

    private func append(
        _ runs: [BlockRun], to staged: StagedBranch, now: Int64, on connection: Connection
    ) throws(SQLiteError) -> Ending<Result<Received, ReceptionError>> {
        // What was appended again for an adoption that did not come about is not part of it.
        try cut(staged, on: connection)
        let lineage = Lineage(staged: (staged.branch, staged.first))
        for run in runs {
            if let height = try identityFault(in: run, lineage: lineage, branch: staged.branch, on: connection) {
                return .rollBack(.failure(.invalid(.identity(at: height))))
            }
            try RunStatements.insert(EncodedRun(run), branch: staged.branch, on: connection)
            // Heights that turn out not to be in the list are looked at in vain, and taken out with the branch.
            hashes.insert(run.prefixes, from: run.firstHeight)
        }
        var staged = staged
        if let last = runs.last { staged.head = Head(endOf: last) }
        staged.progressed = now
        try StagedStatements.set(staged, on: connection)
        return .commit(.success(.staged(staged)))
    }

    /// Deletes what stands in a branch after its last received block.
    func cut(_ staged: StagedBranch, on connection: Connection) throws(SQLiteError) {
        let heights = staged.head.height + 1..<RunKey.heightsMax
        try forget(heights, branch: staged.branch, runsMax: .max, on: connection)
    }

    /// The height of the first block of a run whose identity stands there already. Remembers the origins of the others.
    func identityFault(
        in run: BlockRun, lineage: Lineage, branch: Int, on connection: Connection
    ) throws(SQLiteError) -> Int? {
        var fault: Int?
        try run.forEachBlock { index, block throws(SQLiteError) in
            guard fault == nil, let origin = block.origin else { return }
            let height = run.firstHeight + index
            let isWithin = origin.height >= run.firstHeight && origin.height < height
            let isInRun = isWithin && run.hash(origin.height - run.firstHeight) == origin.hash
            let place = try lineage.height(of: origin.hash, height: origin.height, on: connection)
            if isInRun || place != nil { fault = height }
            try OriginStatements.insert(origin.hash, at: height, branch: branch, on: connection)
        }
        return fault
    }

    /// The branches that are being received, after those were dropped that do not follow the list any more, that it has the
    /// beginning of, or that did not get on.
    ///
    /// - Parameter times: when they may have got on last.
    func stagedBranches(progressedIn times: ClosedRange<Int64>) throws(WriteError) -> [StagedBranch] {
        try write { connection throws(SQLiteError) -> Ending<[StagedBranch]> in
            var kept: [StagedBranch] = []
            for staged in try StagedStatements.all(on: connection) {
                let follows = try Lineage.list.storedHash(at: staged.first - 1, on: connection) == staged.previousHash
                let hasBegun = try hasBegun(staged, on: connection)
                if follows && times.contains(staged.progressed) && !hasBegun {
                    kept.append(staged)
                } else {
                    try drop(staged, on: connection)
                }
            }
            return .commit(kept)
        }
    }

    /// Whether the list has the first block of a branch by now. It would replace blocks by themselves: settled ones, so that
    /// a conflict that an operator has ended would be shown for ever.
    private func hasBegun(_ staged: StagedBranch, on connection: Connection) throws(SQLiteError) -> Bool {
        let lineage = Lineage(staged: (staged.branch, staged.first))
        guard let hash = try lineage.storedHash(at: staged.first, on: connection) else { return false }
        return try Lineage.list.storedHash(at: staged.first, on: connection) == hash
    }

    /// Drops a branch that turned out to be bad, or not better than the list.
    func drop(branch: Int) throws(WriteError) {
        try write { connection throws(SQLiteError) -> Ending<Void> in
            for staged in try StagedStatements.all(on: connection) where staged.branch == branch {
                try drop(staged, on: connection)
            }
            return .commit(())
        }
    }

    private func drop(_ staged: StagedBranch, on connection: Connection) throws(SQLiteError) {
        try StagedStatements.delete(staged.branch, on: connection)
        try LeftoverStatements.insert(
            LeftoverRange(
                branch: staged.branch, heights: staged.first..<RunKey.heightsMax, previousHash: staged.previousHash,
                replaced: nil),
            on: connection)
    }

    /// Deletes runs of a branch that is not part of the list, with what the tables know of their blocks.
    ///
    /// - Returns: the height after the last run that was deleted; `nil` if there are no more.
    @discardableResult
    func forget(
        _ heights: Range<Int>, branch: Int, runsMax: Int, on connection: Connection
    ) throws(SQLiteError) -> Int? {
        var origins: [IdentityAt] = []
        var prefixes: [(prefix: UInt64, height: Int)] = []
        var runs = 0
        var end: Int?
        try RunStatements.forEachRun(heights, branch: branch, on: connection) { row in
            row.view?.forEachBlock { index, block in
                if let origin = block.origin {
                    origins.append(IdentityAt(identity: origin.hash, height: row.height + index))
                }
                prefixes.append((block.hash.prefix, row.height + index))
            }
            runs += 1
            if runs == runsMax { end = row.height + 1 }
            return runs < runsMax
        }
        for origin in origins {
            try OriginStatements.delete(origin.identity, at: origin.height, branch: branch, on: connection)
        }
        for (prefix, height) in prefixes
        where try Lineage.list.storedHash(at: height, on: connection)?.prefix != prefix {
            hashes.remove(prefix, at: height)
        }
        try RunStatements.delete(heights.lowerBound..<(end ?? heights.upperBound), branch: branch, on: connection)
        return end
    }
}

extension StagedBranch {
    /// Branches that may be staged at a time; another one takes the place of the one that got on least lately.
    static let branchesMax = 8
}

extension BlockRun {
    var prefixes: [UInt64] { (0..<count).map { hash($0).prefix } }
}

extension Head {
    /// The last block of a run.
    init(endOf run: BlockRun) { self.init(in: run, at: run.count - 1) }

    /// A block of a run.
    init(in run: BlockRun, at index: Int) {
        self.init(height: run.firstHeight + index, hash: run.hash(index), timestamp: run.timestamp(index))
    }
}
