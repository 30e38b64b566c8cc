// How damaged blocks of the list are replaced by good ones: checked, and in one transaction.

/// What is offered for damaged blocks.
enum RepairOffer: Sendable {
    /// Blocks of a member's list; the genesis may be missing.
    case member(String, [BlockRun])
    /// What the list's own parts give: enough where only a stored hash is damaged and the next block follows the right one.
    case ownParts(Range<Int>)
    /// The same for the head, which an operator accepts.
    case acceptedHead

    /// What the record says.
    var source: String {
        switch self {
        case .member(let address, _): address
        case .ownParts: "its own data, which the next block follows"
        case .acceptedHead: "its own data, accepted by an operator"
        }
    }

    fileprivate var isConfirmed: Bool {
        if case .ownParts = self { return false }
        return true
    }
}

extension StoreWriter {
    /// Replaces those damaged blocks that are offered and vouched for.
    ///
    /// - Returns: what was replaced; empty if nothing is damaged there.
    func repair(by offer: RepairOffer, now: Int64) throws(WriteError) -> Result<[Repair], RepairError> {
        let head = state.head
        var done: Done?
        let result = try write { connection throws(SQLiteError) -> Ending<Result<[Repair], RepairError>> in
            let chain: CandidateChain
            switch try self.chain(of: offer, head: head, on: connection) {
            case .success(let found): chain = found
            case .failure(let error): return .rollBack(.failure(error))
            }
            let end = min(chain.heights.upperBound, head.height + 1)
            // The block after them too: it must not be worse off.
            let faults = try DamageScan.faults(
                from: chain.first, below: min(end + 1, head.height + 1), on: connection)
            guard faults.keys.contains(where: { $0 < end }) else { return .rollBack(.success([])) }
            let vouched = try chain.highestVouched(head: head, isConfirmed: offer.isConfirmed, on: connection)
            guard let vouched else { return .rollBack(.failure(.unconfirmed)) }
            let damaged = faults.keys.filter { $0 <= vouched }.sorted()
            guard !damaged.isEmpty else { return .rollBack(.failure(.unconfirmed)) }

            var rewriting = RunRewriting(chain, damaged: damaged)
            guard try rewriting.run(below: head.height + 1, on: connection) else {
                return .rollBack(.failure(.incomplete))
            }
            try keepOrigins(of: chain, at: damaged, on: connection)
            let left = try DamageScan.faults(
                from: chain.first, below: min(vouched + 2, head.height + 1), on: connection)
            guard left.keys.allSatisfy({ $0 > vouched && faults[$0] != nil }) else {
                return .rollBack(.failure(.unconfirmed))
            }
            let repairs = damaged.map { height in
                Repair(time: now, height: height, fault: faults[height]?.text ?? "", source: offer.source)
            }
            try RepairStatements.insert(repairs, on: connection)
            var newHead: Head?
            if damagedHead == head.height, vouched == head.height {
                newHead = Head(try CheckedRead.block(at: head.height, on: connection))
            }
            done = Done(
                repairs: repairs, formerPrefixes: rewriting.formerPrefixes,
                prefixes: damaged.map { (chain.hash(at: $0).prefix, $0) }, tail: try Tail(on: connection),
                head: newHead)
            return .commit(.success(repairs))
        }
        if let done { take(done) }
        return result
    }

    /// What a repair changed.
    private struct Done {
        let repairs: [Repair]
        let formerPrefixes: [(prefix: UInt64, height: Int)]
        let prefixes: [(prefix: UInt64, height: Int)]
        let tail: Tail
        /// The head, if it was known as damaged.
        let head: Head?
    }

    private func take(_ done: Done) {
        tail = done.tail
        for (prefix, height) in done.formerPrefixes { hashes.remove(prefix, at: height) }
        for (prefix, height) in done.prefixes { hashes.insert([prefix], from: height) }
        if let head = done.head { repaired(head: head) }
        state.repaired(done.repairs)
    }

    private func keepOrigins(
        of chain: CandidateChain, at heights: [Int], on connection: Connection
    ) throws(SQLiteError) {
        for height in heights {
            var identity: Hash?
            chain.withBlock(at: height) { identity = $0.origin?.hash }
            guard let identity else { continue }
            try OriginStatements.insert(
                identity, at: height, branch: SegmentStatements.branch(at: height, on: connection), on: connection)
        }
    }

    /// Adds identities of good blocks of the list to the table, unless other blocks stand there by now.
    func list(_ origins: [IdentityAt]) throws(WriteError) {
        try write { connection throws(SQLiteError) -> Ending<Void> in
            for origin in origins {
                let block: Block
                do throws(SQLiteError) {
                    block = try CheckedRead.block(at: origin.height, on: connection)
                } catch {
                    guard error.isDamage else { throw error }
                    continue
                }
                guard block.origin?.hash == origin.identity else { continue }
                try OriginStatements.insert(
                    origin.identity, at: origin.height,
                    branch: SegmentStatements.branch(at: origin.height, on: connection), on: connection)
            }
            return .commit(())
        }
    }

    // MARK: What is offered

    private func chain(
        of offer: RepairOffer, head: Head, on connection: Connection
    ) throws(SQLiteError) -> Result<CandidateChain, RepairError> {
        let offered: [BlockRun]?
        switch offer {
        case .member(_, let runs): offered = runs
        case .ownParts(let heights): offered = try ownRuns(heights, on: connection)
        case .acceptedHead: offered = try ownRuns(head.height..<head.height + 1, on: connection)
        }
        guard var runs = offered else { return .failure(.unconfirmed) }
        // Nobody has to be asked for the genesis.
        if (runs.first?.firstHeight ?? 1) == 1 { runs = BlockRun.runs(of: [.genesis]) + runs }
        let first = runs[0].firstHeight
        let previousHash = first == 0 ? .zero : try Lineage.list.storedHash(at: first - 1, on: connection)
        guard let previousHash else { return .failure(.unconfirmed) }
        do throws(RepairError) {
            return .success(try CandidateChain(runs, after: previousHash))
        } catch {
            return .failure(error)
        }
    }

    /// The blocks at these heights as their parts have them, each with the hash that they give, without the genesis; `nil`
    /// if any of them cannot be read.
    private func ownRuns(_ heights: Range<Int>, on connection: Connection) throws(SQLiteError) -> [BlockRun]? {
        let heights = max(1, heights.lowerBound)..<max(1, heights.upperBound)
        guard let previousHash = try Lineage.list.storedHash(at: heights.lowerBound - 1, on: connection) else {
            return nil
        }
        var blocks: [Block] = []
        var last = previousHash
        try RunStatements.forEachRun(from: heights.lowerBound, below: heights.upperBound, on: connection) { row in
            row.view?.forEachBlock { index, stored in
                let height = heights.lowerBound + blocks.count
                guard row.height + index == height, height < heights.upperBound else { return }
                let block = Block(
                    height: height, timestamp: stored.timestamp, data: String(decoding: stored.data, as: UTF8.self),
                    previousHash: last, origin: stored.origin)
                last = block.hash
                blocks.append(block)
            }
            return true
        }
        return blocks.count == heights.count ? BlockRun.runs(of: blocks) : nil
    }
}

extension ValidationFault {
    /// What is wrong, in a line; which block it is, is said beside it.
    fileprivate var text: String { "\(kind.rawValue): expected \(expected), found \(found)" }
}
