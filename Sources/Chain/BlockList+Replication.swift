// What a list offers to whoever keeps several nodes in step: where lists part, what comes from elsewhere, orphans.

extension BlockList {
    /// How long a branch that is being received may make no progress before it is dropped, in seconds.
    public static let stagedSecondsMax: Int64 = 3_600

    // MARK: Comparing

    /// The hashes that are stored at these heights; `nil` beyond the head and where none can be read. They are not checked:
    /// they say where to look, and not what is there.
    ///
    /// - Throws: ``ReadError`` other than damage.
    public func storedHashes(at heights: [Int]) async throws(ReadError) -> [Hash?] {
        let end = status.height + 1
        return try await reading { reader throws(ReadError) in
            try await reader.storedHashes(at: heights, below: end)
        }
    }

    /// The list as far as it counts.
    ///
    /// - Parameter latestTimestamp: a later block does not count, nor what follows it, unless it is settled or final. In
    ///   whole seconds since the Unix epoch.
    /// - Throws: ``ReadError``.
    public func rank(latestTimestamp: Int64) async throws(ReadError) -> ListRank {
        let status = status
        let head = Head(height: status.height, hash: status.headHash, timestamp: status.headTimestamp)
        if head.hash != .zero, head.timestamp <= latestTimestamp {
            return ListRank(finalHeight: status.finalHeight, height: head.height, headHash: head.hash)
        }
        return try await reading { reader throws(ReadError) in
            try await reader.rank(
                latestTimestamp: latestTimestamp, head: head,
                lowest: max(status.settledHeight, status.finalHeight), finalHeight: status.finalHeight)
        }
    }

    /// The last block of the list among a block and those before it, wherever that block stands or stood.
    ///
    /// - Returns: `nil` if the list never had the block.
    /// - Throws: ``ReadError``; ``ReadError/hashesIncomplete`` if it may have been replaced just now.
    public func lastListed(from height: Int, hash: Hash) async throws(ReadError) -> (height: Int, hash: Hash)? {
        var (height, hash) = (height, hash)
        while true {
            let (start, startHash) = (height, hash)
            let step = try await reading { reader throws(ReadError) in
                try await reader.ancestor(of: start, hash: startHash, stepsMax: BlockList.ancestorStepsMax)
            }
            guard let step else {
                if let damaged = state.damagedHeights.first { throw .damaged(height: damaged) }
                return nil
            }
            (height, hash) = (step.height, step.hash)
            if step.isListed { return (height, hash) }
        }
    }

    private static let ancestorStepsMax = 1_000

    // MARK: Receiving

    /// The last blocks of the branches that are being received, for going on where a transfer broke.
    ///
    /// - Throws: ``ReceptionError`` of the database.
    public func stagedHeads() async throws(ReceptionError) -> [(height: Int, hash: Hash)] {
        try await stagedBranches().map { ($0.head.height, $0.head.hash) }
    }

    /// Begins to receive the blocks that follow one of ours, in the list or at the end of a branch that is being received.
    ///
    /// - Parameters:
    ///   - height: the height of that block.
    ///   - hash: its hash.
    ///   - isHeldBack: whether what follows our head does not go to the end of the list either before all of it is adopted.
    /// - Returns: what takes the blocks; nothing is stored before it does.
    /// - Throws: ``ReceptionError/listMoved`` if we do not have that block.
    public func reception(
        after height: Int, hash: Hash, isHeldBack: Bool = false
    ) async throws(ReceptionError) -> Reception {
        if let branch = try await stagedBranches().first(where: { $0.head.height == height && $0.head.hash == hash }) {
            return Reception(
                list: self, writer: writer, state: state, last: branch.head, staged: branch, isHeldBack: isHeldBack)
        }
        let block: Block?
        do throws(ReadError) {
            block = try await self.block(at: height)
        } catch {
            throw ReceptionError(error)
        }
        guard let block, block.hash == hash else { throw .listMoved }
        return Reception(
            list: self, writer: writer, state: state, last: Head(block), staged: nil, isHeldBack: isHeldBack)
    }

    private func stagedBranches() async throws(ReceptionError) -> [StagedBranch] {
        let now = nowSeconds
        // One from the future got on under a clock that has gone back since.
        let times = now - BlockList.stagedSecondsMax...now + BlockList.stagedSecondsMax
        return try await receiving { () async throws(WriteError) in
            try await writer.stagedBranches(progressedIn: times)
        }
    }

    /// Adopts a branch that was received whole.
    func adopt(branch: Int, _ terms: AdoptionTerms) async throws(ReceptionError) -> AdoptionResult {
        var adoption = try await receiving { () async throws(WriteError) in
            try await writer.beginAdoption(branch, terms: terms)
        }.get()
        while true {
            // Orphans that this node acknowledged have to be known before more are made.
            try await receiving { () async throws(WriteError) in
                while try await writer.tidyReplaced() {}
            }
            let step = try await receiving { [adoption] () async throws(WriteError) in
                try await writer.step(adoption, now: nowSeconds)
            }
            switch step {
            case .unfinished(let next): adoption = next
            case .adopted(let result): return result
            case .refused(let error):
                var isUseless = error == .oursIsAsGood
                // What is final stays so: where an engine decides, that is what the branch begins with.
                if case .conflict = error, terms.isOrdered { isUseless = true }
                if isUseless {
                    try await receiving { () async throws(WriteError) in try await writer.drop(branch: branch) }
                }
                throw error
            }
        }
    }

    private func receiving<Answer: Sendable>(
        _ body: () async throws(WriteError) -> Answer
    ) async throws(ReceptionError) -> Answer {
        do throws(WriteError) {
            return try await body()
        } catch {
            throw ReceptionError(error)
        }
    }

    /// Appends the blocks after the last one that counts again, with the time of now: for a clock that had been ahead.
    ///
    /// - Parameter latestTimestamp: the last one that counts is not later. In whole seconds since the Unix epoch.
    /// - Returns: as ``reappend(after:latestTimestamp:)``.
    /// - Throws: ``ReceptionError``.
    public func reappendTail(latestTimestamp: Int64) async throws(ReceptionError) -> AdoptionResult? {
        let counted: ListRank
        do throws(ReadError) {
            counted = try await rank(latestTimestamp: latestTimestamp)
        } catch {
            throw ReceptionError(error)
        }
        return try await reappend(after: counted.height, latestTimestamp: latestTimestamp)
    }

    /// Appends what can be read after a block of the list again, in its place.
    ///
    /// - Returns: `nil` if there is nothing, or that block itself is later than `latestTimestamp` or damaged.
    /// - Throws: ``ReceptionError``.
    public func reappend(
        after height: Int, latestTimestamp: Int64
    ) async throws(ReceptionError) -> AdoptionResult? {
        guard height < status.height else { return nil }
        let branch = try await receiving { () async throws(WriteError) in
            try await writer.stageNothing(after: height, latestTimestamp: latestTimestamp, now: nowSeconds)
        }
        guard let branch else { return nil }
        var terms = AdoptionTerms()
        terms.reappendsAll = true
        return try await adopt(branch: branch, terms)
    }

    // MARK: Settled blocks

    /// How often blocks of the list were replaced since it was opened: for what is found out about it meanwhile.
    public var replacements: Int { state.replacements }

    /// The lowest height that was replaced since; 0 if that is too long ago to be known, `nil` if none was.
    ///
    /// - Parameter replacements: what ``replacements`` was then.
    public func lowestReplacedHeight(since replacements: Int) -> Int? { state.lowestReplaced(since: replacements) }

    /// Remembers that the blocks up to a height are settled; what is settled stays so.
    ///
    /// - Parameters:
    ///   - height: that of the last one; beyond the head, the head's.
    ///   - replacements: what ``replacements`` was when that was found out; nothing is settled if blocks were replaced since.
    /// - Throws: ``AppendError`` of the database.
    public func settle(upTo height: Int, replacements: Int) async throws(AppendError) {
        do throws(WriteError) {
            try await writer.settle(upTo: height, replacements: replacements)
        } catch {
            throw AppendError(error)
        }
    }

    // MARK: Orphans

    /// Goes on with what adoptions left behind, in one small transaction: replaced blocks become orphans.
    ///
    /// - Returns: whether there is more to do.
    /// - Throws: ``AppendError`` of the database.
    public func tidy() async throws(AppendError) -> TidyResult {
        do throws(WriteError) {
            return try await writer.tidy()
        } catch {
            throw AppendError(error)
        }
    }

    /// Appends orphans again whose identity is still missing.
    ///
    /// - Parameter time: those that were replaced then or earlier, in whole seconds since the Unix epoch.
    /// - Returns: how many were appended.
    /// - Throws: ``RepairError``.
    public func reappendOrphans(replacedBefore time: Int64) async throws(RepairError) -> Int {
        var appended = 0
        var id: Int? = 0
        var isIndexChecked = false
        while let last = id {
            let result: (appended: Int, lastID: Int?)?
            do throws(WriteError) {
                result = try await writer.reappendOrphans(
                    replacedBefore: time, after: last, now: nowSeconds, isIndexChecked: isIndexChecked)
            } catch {
                throw RepairError(error)
            }
            if let result {
                appended += result.appended
                id = result.lastID
            } else {
                try await checkIndex()
                isIndexChecked = true
            }
        }
        return appended
    }

    /// What became of an orphan, or of a block that another node knows as one and that was appended again in our list;
    /// `nil` if it is neither.
    ///
    /// - Throws: ``ReadError/hashesIncomplete`` if replaced blocks are not looked through yet.
    public func orphan(_ hash: Hash) async throws(ReadError) -> Orphan? {
        try await reading { reader throws(ReadError) in try await reader.orphan(hash) }
    }

    /// Orphans, the last one to be replaced first.
    ///
    /// - Parameters:
    ///   - id: those before this one; `nil` for the newest.
    ///   - limit: how many, at most.
    /// - Throws: ``ReadError``.
    public func orphans(before id: Int?, limit: Int) async throws(ReadError) -> [Orphan] {
        try await reading { reader throws(ReadError) in try await reader.orphans(before: id ?? .max, limit: limit) }
    }

    /// The height at which what a block stood for when it was acknowledged stands now; `nil` if it is not in the list.
    ///
    /// - Parameters:
    ///   - identity: the block's ``Block/identity``.
    ///   - height: where it was acknowledged.
    /// - Throws: ``ReadError``.
    public func height(ofIdentity identity: Hash, height: Int) async throws(ReadError) -> Int? {
        try await reading { reader throws(ReadError) in try await reader.height(ofIdentity: identity, height: height) }
    }

    // MARK: Records

    /// Bytes that whoever uses the list keeps with it, under a name; `nil` if there are none. No hash covers them.
    ///
    /// - Throws: ``ReadError``.
    public func record(_ name: String) async throws(ReadError) -> [UInt8]? {
        try await reading { reader throws(ReadError) in try await reader.record(name) }
    }

    /// Keeps bytes with the list under a name, durably, in the place of those that were there. They are read and written whole.
    ///
    /// - Throws: ``AppendError`` of the database.
    public func setRecord(_ name: String, to bytes: [UInt8]) async throws(AppendError) {
        do throws(WriteError) {
            try await writer.setRecord(name, to: bytes)
        } catch {
            throw AppendError(error)
        }
    }
}
