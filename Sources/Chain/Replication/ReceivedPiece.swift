// What of another list is stored in one transaction, and how it is checked before.

/// Consecutive runs from elsewhere.
struct ReceivedPiece: Sendable {
    private static let runsMax = 64
    private static let sizeBytesMax = 2 << 20
    /// Runs that are checked by one task: enough to be worth one.
    private static let runsOfTask = 16

    /// The runs without the blocks that are too late to count.
    private(set) var runs: [BlockRun] = []
    /// The last block of these runs, or the one that they were to follow.
    private(set) var end: Head
    private var checks: [(run: BlockRun, previous: Head)] = []
    private var sizeBytes = 0
    private var discontinuity: ReceptionError?

    /// Cuts runs into pieces, up to the first one that does not follow or that holds a block that is too late.
    static func pieces(of runs: [BlockRun], after previous: Head, latestTimestamp: Int64) -> [ReceivedPiece] {
        var pieces: [ReceivedPiece] = []
        var piece = ReceivedPiece(end: previous)
        for run in runs {
            guard piece.append(run, latestTimestamp: latestTimestamp) else { break }
            guard piece.checks.count == runsMax || piece.sizeBytes >= sizeBytesMax else { continue }
            pieces.append(piece)
            piece = ReceivedPiece(end: piece.end)
        }
        return pieces + [piece]
    }

    private init(end: Head) { self.end = end }

    /// - Returns: false if nothing may follow.
    private mutating func append(_ run: BlockRun, latestTimestamp: Int64) -> Bool {
        guard run.firstHeight == end.height + 1 else {
            discontinuity = .discontinuous(expectedHeight: end.height + 1, foundHeight: run.firstHeight)
            return false
        }
        checks.append((run, end))
        sizeBytes += run.content.count
        guard let counted = run.part(notAfter: latestTimestamp) else { return false }
        runs.append(counted)
        end = Head(endOf: counted)
        return counted.count == run.count
    }

    /// What is wrong with the first run that is bad, looked for on all cores.
    func firstError() async -> ReceptionError? {
        let fault = await withTaskGroup(of: ValidationFault?.self) { group in
            for start in stride(from: 0, to: checks.count, by: Self.runsOfTask) {
                let part = checks[start..<min(start + Self.runsOfTask, checks.count)]
                group.addTask {
                    for (run, previous) in part {
                        if let fault = run.firstFault(after: previous.hash, timestamp: previous.timestamp) {
                            return fault
                        }
                    }
                    return nil
                }
            }
            return await group.compactMap { $0 }.min { $0.height < $1.height }
        }
        return fault.map { .invalid($0) } ?? discontinuity
    }
}

extension BlockRun {
    /// The blocks before the first one that is later.
    fileprivate func part(notAfter latest: Int64) -> BlockRun? {
        if timestamp(count - 1) <= latest { return self }
        let counted = (0..<count).prefix { timestamp($0) <= latest }.count
        return part(firstHeight..<firstHeight + counted)
    }
}
