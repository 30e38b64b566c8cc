// Validates a whole list: pieces of it on several threads, put together in order, then the identities.

import Synchronization

/// One validation of the blocks from the genesis to a head. Its state lives as long as `run`.
final class ListValidation: Sendable {
    /// Blocks in a piece: enough to make claiming one free, few enough to balance the threads.
    private static let pieceBlocks = 8_192

    private struct Progress {
        /// The first height that nobody has claimed.
        var nextFirst = 0
        /// Reports that wait for an earlier one, by their first height.
        var waiting: [Int: PieceReport] = [:]
        /// Everything below was checked and put together.
        var checkedEnd = 0
        var lastHash: Hash?
        /// The height after the last block to check.
        var end: Int
        /// How often blocks of the list had been replaced when this began.
        var replacements: Int
        var faults: [ValidationFault] = []
        var origins: [IdentityAt] = []
    }

    private let state: ListState?
    private let stopsAtFirstFault: Bool
    private let readers: [StoreReader]
    private let hashes: HashTable?
    private let onProgress: @Sendable (_ checkedEnd: Int, _ firstFault: ValidationFault?) -> Void
    private let progress: Mutex<Progress>

    /// - Parameters:
    ///   - end: the height after the last block to check, at first.
    ///   - state: knows which blocks were replaced meanwhile, and have to be checked again; `nil` for a file that nobody
    ///     has open.
    ///   - stopsAtFirstFault: else it goes on up to about `ListState.damagedMax` faults.
    ///   - readers: as many as threads to use.
    ///   - hashes: is filled with the hashes of the list.
    ///   - onProgress: is called after each piece, in order.
    init(
        end: Int, state: ListState? = nil, stopsAtFirstFault: Bool, readers: [StoreReader], hashes: HashTable? = nil,
        onProgress: @escaping @Sendable (_ checkedEnd: Int, _ firstFault: ValidationFault?) -> Void
    ) {
        self.state = state
        progress = Mutex(Progress(end: end, replacements: state?.replacements ?? 0))
        self.stopsAtFirstFault = stopsAtFirstFault
        self.readers = readers
        self.hashes = hashes
        self.onProgress = onProgress
    }

    /// Checks the list. Where blocks are replaced meanwhile it goes on with those that took their places, up to the head
    /// of then.
    ///
    /// - Returns: the faults, ascending; the first one only, if it was to stop there. And the height after the last block
    ///   that was checked.
    /// - Throws: `ReadError` other than damage, or `CancellationError`.
    func run() async throws -> (faults: [ValidationFault], end: Int) {
        for _ in 0..<ListValidation.attemptsMax {
            do {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for reader in readers { group.addTask { try await self.checkPieces(with: reader) } }
                    try await group.waitForAll()
                }
                let (found, origins, end) = progress.withLock { ($0.faults, $0.origins, $0.end) }
                var faults = found + (try await identityFaults(origins, below: found.first?.height ?? end))
                if goesBack() { continue }
                faults.sort { $0.height < $1.height }
                return (stopsAtFirstFault ? Array(faults.prefix(1)) : faults, end)
            } catch ReadError.listChanged where goesBack() {
                continue
            }
        }
        throw ReadError.listChanged
    }

    /// How often blocks may be replaced in the course of one validation.
    private static let attemptsMax = 1_000

    /// Forgets what was found from the lowest height on that was replaced since.
    ///
    /// - Returns: false if no block was replaced.
    private func goesBack() -> Bool {
        guard let state else { return false }
        return progress.withLock { progress in
            guard let lowest = state.lowestReplaced(since: progress.replacements), lowest < progress.end else {
                return false
            }
            let origins = progress.origins.filter { $0.height < lowest }
            let faults = progress.faults.filter { $0.height < lowest }
            // In this order: what is replaced in between is seen the next time.
            let replacements = state.replacements
            let end = state.head.height + 1
            let checkedEnd = min(lowest, progress.checkedEnd)
            progress = Progress(
                nextFirst: checkedEnd, checkedEnd: checkedEnd, end: end, replacements: replacements, faults: faults,
                origins: origins)
            return true
        }
    }

    private func checkPieces(with reader: StoreReader) async throws {
        while let piece = claim() {
            var first = piece.lowerBound
            while first < piece.upperBound {
                try Task.checkCancellation()
                let report = try await reader.check(
                    from: first, below: piece.upperBound, keepsPrefixes: hashes != nil)
                hashes?.insert(report.prefixes, from: report.first)
                first = report.end
                try join(report)
            }
        }
    }

    private func claim() -> Range<Int>? {
        progress.withLock { progress in
            guard progress.nextFirst < progress.end,
                progress.faults.count < (stopsAtFirstFault ? 1 : ListState.damagedMax)
            else { return nil }
            let first = progress.nextFirst
            progress.nextFirst = min(progress.end, first + ListValidation.pieceBlocks)
            return first..<progress.nextFirst
        }
    }

    /// Puts a report where it belongs, and takes in all that are in order now.
    private func join(_ report: PieceReport) throws(ReadError) {
        let result: Result<(Int, ValidationFault?), ReadError> = progress.withLock { progress in
            progress.waiting[report.first] = report
            while let next = progress.waiting.removeValue(forKey: progress.checkedEnd) {
                // Both are read from the same stored hash, so a difference means that it was replaced in between.
                if let expected = progress.lastHash, let found = next.previousHash, expected != found {
                    return .failure(.listChanged)
                }
                progress.lastHash = next.lastHash
                progress.checkedEnd = next.end
                progress.origins += next.origins
                progress.faults += next.faults
            }
            return .success((progress.checkedEnd, progress.faults.first))
        }
        let (checkedEnd, firstFault) = try result.get()
        onProgress(checkedEnd, firstFault)
    }

    /// Identities that stand in the list twice. It takes a second look at the hashes, where there are origins at all.
    private func identityFaults(_ origins: [IdentityAt], below end: Int) async throws -> [ValidationFault] {
        var heights: [Hash: Int] = [:]
        var faults: [ValidationFault] = []
        func note(_ identity: Hash, at height: Int, and other: Int) {
            faults.append(
                ValidationFault(
                    height: max(height, other), kind: .origin, expected: "an identity that no other block has",
                    found: "\(identity), which block \(min(height, other)) has"))
        }
        for origin in origins where origin.height < end {
            if let earlier = heights[origin.identity] {
                note(origin.identity, at: origin.height, and: earlier)
            } else {
                heights[origin.identity] = origin.height
            }
        }
        guard !heights.isEmpty, let reader = readers.first else { return faults }
        let prefixes = Set(heights.keys.map(\.prefix))
        for first in stride(from: 0, to: end, by: ListValidation.pieceBlocks) {
            try Task.checkCancellation()
            let pieceEnd = min(end, first + ListValidation.pieceBlocks)
            for found in try await reader.hashes(withPrefixes: prefixes, from: first, below: pieceEnd) {
                if let height = heights[found.hash] { note(found.hash, at: height, and: found.height) }
            }
        }
        return faults
    }
}
