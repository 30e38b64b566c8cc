// Checks one piece of the list, straight from the rows of the file.

/// What a check of the blocks from `first` to before `end` found.
struct PieceReport: Sendable {
    let first: Int
    let end: Int
    /// The stored hash before the first block; `nil` for the genesis, and where there is none.
    let previousHash: Hash?
    /// The stored hash of the last block; `nil` where there is none.
    let lastHash: Hash?
    /// The lowest faults, ascending.
    let faults: [ValidationFault]
    /// The blocks that were appended again.
    let origins: [IdentityAt]
    /// The prefixes of the stored hashes, 0 for a block that cannot be read; empty unless they were asked for.
    let prefixes: [UInt64]
    /// The bytes of the runs that were read.
    let sizeBytes: Int
}

/// An identity, and the height of the block that has it.
struct IdentityAt: Sendable {
    let identity: Hash
    let height: Int
}

/// Goes through the rows of a piece. See `StoreReader.check`.
struct PieceCheck {
    /// Faults that are kept of one piece: all of a piece of a validation, or of a scrub.
    static let faultsMax = 8_192
    /// Bytes after which a piece ends early, so that no read transaction lasts long.
    static let sizeBytesMax = 32 * 1024 * 1024

    private let sizeBytesMax: Int
    private let first: Int
    private let end: Int
    private let keepsPrefixes: Bool
    private let lanes: HashLanes
    private var checker: BlockChecker
    private var previousHash: Hash?
    private var faults: [ValidationFault] = []
    private var origins: [IdentityAt] = []
    private var prefixes: [UInt64] = []
    private var sizeBytes = 0
    private var isBegun = false

    private init(first: Int, end: Int, keepsPrefixes: Bool, lanes: HashLanes, sizeBytesMax: Int) {
        self.sizeBytesMax = sizeBytesMax
        self.first = first
        self.end = end
        self.keepsPrefixes = keepsPrefixes
        self.lanes = lanes
        checker = BlockChecker(height: max(0, first - 1), previous: nil)
    }

    /// Checks the blocks from `first` to before `end`, or to where `sizeBytesMax` is reached.
    static func run(
        from first: Int, below end: Int, keepsPrefixes: Bool, lanes: HashLanes = .none,
        sizeBytesMax: Int = PieceCheck.sizeBytesMax, on connection: Connection
    ) throws(SQLiteError) -> PieceReport {
        var check = PieceCheck(
            first: first, end: end, keepsPrefixes: keepsPrefixes, lanes: lanes, sizeBytesMax: sizeBytesMax)
        // From two blocks before: the first block has to follow the one before, and if that one's stored hash is damaged,
        // what its parts give.
        var next: Int? = max(0, first - 2)
        while let start = next, start < end {
            do throws(SQLiteError) {
                try RunStatements.forEachRun(from: start, below: end, on: connection) {
                    check.take($0)
                    return check.sizeBytes < sizeBytesMax
                }
                next = nil
            } catch {
                guard error.isDamage else { throw error }
                // What the page that cannot be read held is missing; the run after it is known by its key.
                next = try check.nextRun(on: connection)
                check.missing(upTo: next ?? end, found: "\(error)")
                check.isBegun = true
            }
        }
        return check.report()
    }

    private func nextRun(on connection: Connection) throws(SQLiteError) -> Int? {
        do throws(SQLiteError) {
            return try RunStatements.firstRun(from: checker.height + (isBegun ? 1 : 0), on: connection)
        } catch {
            guard error.isDamage else { throw error }
            return nil
        }
    }

    private mutating func take(_ row: RunRow) {
        if row.endHeight > first { sizeBytes += row.content.count }
        guard let view = row.view else {
            if row.height >= checker.height {
                missing(upTo: row.height, found: "a run at height \(row.height)")
                missing(
                    upTo: row.height + 1, expected: "the columns of \(row.blocks) blocks",
                    found: "\(row.content.count) bytes")
            }
            return
        }
        if !isBegun {
            isBegun = true
            begin(view, from: row.height)
        } else if row.height < checker.height {
            note(.structure, at: row.height, expected: "a run at height \(checker.height)", found: "one before it")
        }
        if row.height > checker.height { missing(upTo: row.height, found: "a run at height \(row.height)") }
        take(view, from: row.height)
    }

    /// Takes the hash that the block before the first one has to follow.
    private mutating func begin(_ view: RunView, from height: Int) {
        let before = first - 2 - height
        guard first > 1, before >= 0, before < view.count else { return }
        checker.previous = .init(hash: view.hash(before), timestamp: view.timestamp(before))
    }

    private mutating func take(_ view: RunView, from height: Int) {
        let firstIndex = checker.height - height
        guard firstIndex >= 0, firstIndex < min(view.count, end - height) else { return }
        let indices = firstIndex..<min(view.count, end - height)
        if view.isWhole, checker.pass(indices, of: view, by: lanes) {
            if indices.contains(first - 1 - height) { previousHash = view.hash(first - 1 - height) }
            guard keepsPrefixes else { return }
            for index in indices where height + index >= first { prefixes.append(view.hash(index).prefix) }
            return
        }
        var originsBefore = view.origins(before: firstIndex)
        for index in indices {
            let place = height + index
            if place == first - 1 { previousHash = view.hash(index) }
            guard let block = view.block(index, originsBefore: originsBefore) else {
                missing(upTo: place + 1, expected: "a block within its run", found: "one beyond it")
                // Its hash stands in a column of its own, so the next block need not be given up with it.
                checker.previous = .init(hash: view.hash(index))
                originsBefore = view.origins(before: index + 1)
                continue
            }
            if block.origin != nil { originsBefore += 1 }
            let fault = checker.check(block).fault
            guard place >= first else { continue }
            if let origin = block.origin { origins.append(IdentityAt(identity: origin.hash, height: place)) }
            if keepsPrefixes { prefixes.append(block.hash.prefix) }
            if let fault, faults.count < PieceCheck.faultsMax { faults.append(fault) }
            if fault == nil, index == view.count - 1, !view.isWhole {
                note(.structure, at: place, expected: "the end of the run", found: "more bytes")
            }
        }
    }

    /// Notes that the blocks before `height` are not there.
    private mutating func missing(upTo height: Int, expected: String? = nil, found: String) {
        while checker.height < min(height, end) {
            note(
                .structure, at: checker.height, expected: expected ?? "a run at height \(checker.height)", found: found)
            if keepsPrefixes, checker.height >= first { prefixes.append(0) }
            checker.skip()
        }
    }

    private mutating func note(_ kind: ValidationFault.Kind, at height: Int, expected: String, found: String) {
        guard height >= first, faults.count < PieceCheck.faultsMax else { return }
        faults.append(ValidationFault(height: height, kind: kind, expected: expected, found: found))
    }

    private consuming func report() -> PieceReport {
        if sizeBytes < sizeBytesMax { missing(upTo: end, found: "no run") }
        return PieceReport(
            first: first, end: checker.height, previousHash: previousHash, lastHash: checker.previous?.hash,
            faults: faults.sorted { $0.height < $1.height }, origins: origins, prefixes: prefixes, sizeBytes: sizeBytes)
    }
}
