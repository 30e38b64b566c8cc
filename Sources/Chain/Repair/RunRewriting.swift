// Writes runs again in which blocks are damaged, with good ones in their place.

/// What was written again.
struct RunRewriting {
    private let chain: CandidateChain
    /// The damaged heights, all of which the chain has.
    private let damaged: Set<Int>
    /// The prefixes that were stored for damaged blocks.
    private(set) var formerPrefixes: [(prefix: UInt64, height: Int)] = []

    init(_ chain: CandidateChain, damaged: [Int]) {
        self.chain = chain
        self.damaged = Set(damaged)
    }

    /// Puts the blocks of the chain in the place of the damaged ones. The other blocks of their runs are carried over, with
    /// what is known of which were acknowledged.
    ///
    /// - Parameter end: the height after the list's head.
    /// - Returns: false if there is a block among those that can neither be read nor is to be replaced.
    mutating func run(below end: Int, on connection: Connection) throws(SQLiteError) -> Bool {
        var done = 0
        for height in damaged.sorted() where height >= done {
            guard
                let segment = try SegmentStatements.all(from: height, below: height + 1, on: connection).first,
                let heights = try rewrite(around: height, in: segment, below: min(end, segment.end), on: connection)
            else { return false }
            done = heights.upperBound
        }
        return true
    }

    /// Writes the run again that holds, or should hold, a block.
    ///
    /// - Returns: its heights; `nil` if a block of it cannot be carried over.
    private mutating func rewrite(
        around height: Int, in segment: Segment, below end: Int, on connection: Connection
    ) throws(SQLiteError) -> Range<Int>? {
        let start = try RunStatements.startOfRun(atOrBelow: height, in: segment, on: connection)
        let next = try RunStatements.startOfRun(above: height, branch: segment.branch, on: connection)
        let limit = min(end, next ?? end)
        var damagedEnd = height
        while damaged.contains(damagedEnd) { damagedEnd += 1 }
        var heights = start..<min(limit, damagedEnd)
        var runs: [EncodedRun]?
        try RunStatements.forEachRun(start..<start + 1, branch: segment.branch, on: connection) {
            row throws(SQLiteError) in
            if row.view != nil, row.endHeight <= height, !damaged.contains(start) {
                // It is a good run that ends before; the one that held the block is gone.
                heights = height..<heights.upperBound
            } else {
                if row.view != nil { heights = start..<min(limit, max(row.endHeight, damagedEnd)) }
                runs = build(heights, row.view, from: start, try row.acknowledged())
            }
            return false
        }
        // Marks that are lost count as set, so that nothing that was acknowledged is ever missing here.
        guard let runs = runs ?? build(heights, nil, from: start, .all) else { return nil }
        try RunStatements.delete(heights, branch: segment.branch, on: connection)
        for run in runs { try RunStatements.insert(run, branch: segment.branch, on: connection) }
        return heights
    }

    private mutating func build(
        _ heights: Range<Int>, _ view: RunView?, from start: Int, _ acknowledged: AcknowledgedBlocks
    ) -> [EncodedRun]? {
        var builder = RunBuilder(height: heights.lowerBound)
        for height in heights {
            let index = height - start
            let isStored = view.map { index < $0.count } ?? false
            if damaged.contains(height) {
                if isStored, let view { formerPrefixes.append((view.hash(index).prefix, height)) }
                chain.withBlock(at: height) {
                    builder.append($0, acknowledged: isStored ? acknowledged.contains(index) : true)
                }
            } else {
                guard isStored, let block = view?.block(index) else { return nil }
                builder.append(block, acknowledged: acknowledged.contains(index))
            }
        }
        return builder.finish()
    }
}
