// What a list offers to whoever looks after it at rest: checking it for ever, and putting right what is damaged.

extension BlockList {
    // MARK: Scrub

    /// Checks the next piece of what is at rest: the list, then the orphans that are still to be appended again. Damaged
    /// blocks are in ``status`` from then on, and what is good again is not. What the index of identities lacks is added.
    ///
    /// - Parameter place: ``ScrubPlace/start``, then what the step before answered.
    /// - Returns: what was found, and where to go on. How fast to go on is for the caller to say.
    /// - Throws: ``RepairError``; the step can be made again.
    public func scrub(from place: ScrubPlace) async throws(RepairError) -> ScrubStep {
        switch place.part {
        case .blocks(let first): return try await scrubBlocks(from: first)
        case .orphans(let id):
            let found = try await scrubbing { reader throws(ReadError) in try await reader.scrubOrphans(after: id) }
            let next = found.lastID.map { ScrubPlace(part: .orphans(after: $0)) }
            return ScrubStep(next: next ?? .start, sizeBytes: found.sizeBytes, damagedOrphans: found.damaged)
        }
    }

    /// Checks the structure of the tables beside that of the runs, which the scrub walks block by block.
    ///
    /// - Returns: what is wrong, in a line; `nil` if nothing is.
    /// - Throws: ``ReadError`` other than damage.
    public func tablesFault() async throws(ReadError) -> String? {
        for table in StoreFile.smallTables {
            guard let fault = try await scrubReader.structureFault(table: table) else { continue }
            state.structureDamaged("\(table): \(fault)")
            return "\(table): \(fault)"
        }
        return nil
    }

    private func scrubBlocks(from first: Int) async throws(RepairError) -> ScrubStep {
        let orphans = ScrubPlace(part: .orphans(after: 0))
        let replacements = state.replacements
        let end = state.head.height + 1
        guard first < end else { return ScrubStep(next: orphans, sizeBytes: 0) }
        let (report, unlisted) = try await scrubbing { reader throws(ReadError) in
            try await reader.scrubBlocks(from: first, below: end)
        }
        let damaged = report.faults.map(\.height)
        guard state.scrubbed(report.first..<report.end, damaged: damaged, replacements: replacements) else {
            return ScrubStep(next: ScrubPlace(part: .blocks(from: first)), sizeBytes: report.sizeBytes)
        }
        try await list(unlisted)
        return ScrubStep(
            next: report.end < end ? ScrubPlace(part: .blocks(from: report.end)) : orphans,
            sizeBytes: report.sizeBytes, damagedHeights: damaged, listedAgain: unlisted.map(\.height))
    }

    /// Compares the index of identities with the whole list, and adds what it lacks.
    func checkIndex() async throws(RepairError) {
        var first = 0
        while first <= state.head.height {
            let (start, end) = (first, state.head.height + 1)
            let (report, unlisted) = try await scrubbing { reader throws(ReadError) in
                try await reader.scrubBlocks(from: start, below: end)
            }
            try await list(unlisted)
            first = max(report.end, start + 1)
        }
    }

    private func list(_ unlisted: [IdentityAt]) async throws(RepairError) {
        guard !unlisted.isEmpty else { return }
        do throws(WriteError) {
            try await writer.list(unlisted)
        } catch {
            throw RepairError(error)
        }
    }

    private func scrubbing<Answer: Sendable>(
        _ body: (StoreReader) async throws(ReadError) -> Answer
    ) async throws(RepairError) -> Answer {
        do throws(ReadError) {
            return try await body(scrubReader)
        } catch {
            throw RepairError(error)
        }
    }

    // MARK: Repair

    /// The damaged blocks around one that is said to be damaged; `nil` if it is good, which ``status`` then knows too.
    ///
    /// - Throws: ``ReadError`` other than damage.
    public func damagedRange(at height: Int) async throws(ReadError) -> DamagedRange? {
        let replacements = state.replacements
        let end = state.head.height + 1
        guard 0..<end ~= height else { return nil }
        let range: DamagedRange?
        do throws(ReadError) {
            range = try await scrubReader.damagedRange(at: height, below: end)
        } catch {
            // It may be more than blocks that is damaged; then that has to be put right first, and `status` says so.
            if case .damaged = error { try await checkStructure(after: error) }
            throw error
        }
        if range == nil { _ = state.scrubbed(height..<height + 1, damaged: [], replacements: replacements) }
        return range
    }

    /// Puts blocks of a member's list in the place of damaged ones, if the blocks around them say that these are what
    /// stood there; the head, if its stored hash or its parts do.
    ///
    /// - Parameters:
    ///   - candidates: consecutive blocks of the member's list, all that are damaged in a row.
    ///   - source: the member, for the record.
    /// - Returns: what was replaced; empty if nothing is damaged there.
    /// - Throws: ``RepairError``; the list is as it was.
    @discardableResult
    public func repair(with candidates: [BlockRun], source: String) async throws(RepairError) -> [Repair] {
        try await repair(by: .member(source, candidates))
    }

    /// Puts blocks right of which only the stored hash is damaged: their parts give the one that the next block follows.
    ///
    /// - Returns: what was put right; empty if nothing is damaged there.
    /// - Throws: ``RepairError``; the list is as it was.
    @discardableResult
    public func repairHashes(at heights: Range<Int>) async throws(RepairError) -> [Repair] {
        try await repair(by: .ownParts(heights))
    }

    /// Takes what the parts of a damaged head give, as an operator decided: no block after it says what it was. It is recorded
    /// as a repair.
    ///
    /// - Returns: what was put right; empty if the head is good.
    /// - Throws: ``RepairError``; the list is as it was.
    @discardableResult
    public func acceptHead() async throws(RepairError) -> [Repair] {
        try await repair(by: .acceptedHead)
    }

    private func repair(by offer: RepairOffer) async throws(RepairError) -> [Repair] {
        // In a file whose pages are mixed up, writing a row again could free pages of another.
        try await checkStructure()
        let result: Result<[Repair], RepairError>
        do throws(WriteError) {
            result = try await writer.repair(by: offer, now: nowSeconds)
        } catch {
            throw RepairError(error)
        }
        return try result.get()
    }

    private func checkStructure(after damage: ReadError) async throws(ReadError) {
        do throws(RepairError) {
            try await checkStructure()
        } catch {
            guard case .structure = error else { throw damage }
        }
    }

    /// Reads the whole file, so not again for each of the blocks that are repaired in a minute.
    private func checkStructure() async throws(RepairError) {
        let now = nowSeconds
        guard abs(now - state.structureCheckedTime) >= 60 else { return }
        let fault: String?
        do throws(ReadError) {
            fault = try await scrubReader.structureFault()
        } catch {
            throw RepairError(error)
        }
        if let fault {
            state.structureDamaged(fault)
            throw .structure(fault)
        }
        state.structureChecked(at: now)
    }
}
