// What cannot be read of a file that is rebuilt comes from a member, if our own blocks go on from it.

/// A gap that is being filled.
struct RebuildGap {
    let checker: BlockChecker
    let last: Head
    /// Whether a good block of our own stands above it, which its blocks have to lead to.
    let isBelowGoodBlock: Bool

    /// The height of its first block.
    var height: Int { checker.height }
}

extension FileRebuild {
    /// What became of a piece of a gap.
    enum Filling: Sendable, Equatable {
        /// There is more to fill.
        case goesOn
        /// The list may end here; where its end was lost, it goes on as the member's does.
        case enough
        /// Our own blocks follow, or the list ends.
        case closed
        /// The blocks are another list's.
        case foreign
        /// A block is bad in itself.
        case invalid(ValidationFault)
    }

    // MARK: Step by step

    /// Copies the list from where it was left off, with what the members have of it.
    func copyAll(filling sources: [RebuildSource], now: Int64) async throws(RebuildError) {
        while true {
            if Task.isCancelled { throw .cancelled }
            switch try database({ () throws(SQLiteError) in try copy() }) {
            case .copied: continue
            case .done: return
            case .gap(let after): try await fill(after, from: sources, now: now)
            }
        }
    }

    /// Fills a gap with the blocks of the first member whose blocks lead to ours.
    private func fill(_ after: Head, from sources: [RebuildSource], now: Int64) async throws(RebuildError) {
        var reasons: [String] = []
        try database { () throws(SQLiteError) in try beginGap() }
        for source in sources {
            do {
                var filling = Filling.goesOn
                let next = try await source.blocks((after.height, after.hash))
                while filling == .goesOn || filling == .enough, let run = try await next() { filling = try fill(run) }
                if filling == .closed || filling == .enough { return endGap(source: source.name, now: now) }
                reasons.append("\(source.name): \(filling.text)")
            } catch {
                reasons.append("\(source.name): \(error)")
            }
            try database { () throws(SQLiteError) in try dropFilled() }
        }
        throw .missing(height: after.height + 1, reasons: reasons)
    }

    /// Calls `body`, whose errors are the file's.
    func database<Answer>(_ body: () throws(SQLiteError) -> Answer) throws(RebuildError) -> Answer {
        do throws(SQLiteError) {
            return try body()
        } catch {
            throw .file(OpenError(path: path, reason: .database(error)))
        }
    }

    // MARK: Blocks

    private func beginGap() throws(SQLiteError) {
        gap = RebuildGap(checker: checker, last: last, isBelowGoodBlock: try hasGoodBlock(above: next))
    }

    private func hasGoodBlock(above height: Int) throws(SQLiteError) -> Bool {
        let source = try opened().source
        var first = height + 1
        while first < end {
            let stop = min(end, first + PieceCheck.faultsMax)
            if try DamageScan.faults(from: first, below: stop, on: source).count < stop - first { return true }
            first = stop
        }
        return false
    }

    /// Takes a member's blocks, the first one right after the last block that is there.
    private func fill(_ run: BlockRun) throws(SQLiteError) -> Filling {
        var builder = RunBuilder(height: next)
        var filling = try state()
        try run.forEachBlock { _, block throws(SQLiteError) in
            guard filling == .goesOn || filling == .enough else { return }
            guard isNext(block) else {
                var checker = checker
                filling = checker.check(block).fault.map { .invalid($0) } ?? .foreign
                return
            }
            // They were ours, and which of them were acknowledged is lost: so that none that was is ever missing here.
            builder.append(block, acknowledged: true)
            filling = try state()
        }
        try store(builder.finish())
        return filling
    }

    /// Where the filling of the gap stands after the last block.
    private func state() throws(SQLiteError) -> Filling {
        guard let gap else { return .foreign }
        guard next < end else {
            guard !gap.isBelowGoodBlock, [.zero, last.hash].contains(endHash) else { return .foreign }
            return isEndLost ? .enough : .closed
        }
        guard next > gap.height else { return .goesOn }
        do throws(SQLiteError) {
            return try RunStatements.withRun(at: next, on: opened().source) { row, view in
                guard let block = view.block(next - row.height) else { return .goesOn }
                var checker = checker
                return checker.check(block).fault == nil ? .closed : .goesOn
            }
        } catch {
            guard error.isDamage else { throw error }
            return .goesOn
        }
    }

    private func endGap(source: String, now: Int64) {
        guard let gap else { return }
        self.gap = nil
        end = max(end, next)
        filledHeights.append(gap.height..<next)
        let fault = next == gap.height + 1 ? "damaged" : "damaged, with those up to \(next - 1)"
        repairs.append(Repair(time: now, height: gap.height, fault: "structure: \(fault)", source: source))
        if repairs.count > RepairStatements.repairsMax { repairs.removeFirst() }
    }

    /// Takes out again what was filled in: somebody else has to be asked.
    private func dropFilled() throws(SQLiteError) {
        guard let gap else { return }
        try remove(from: gap.height)
        checker = gap.checker
        last = gap.last
    }
}

extension FileRebuild.Filling {
    fileprivate var text: String {
        switch self {
        case .goesOn, .enough, .closed: "it has not all of them"
        case .foreign: "its blocks are not those that stood here"
        case .invalid(let fault): "block \(fault.height) is bad (\(fault.kind.rawValue))"
        }
    }
}
