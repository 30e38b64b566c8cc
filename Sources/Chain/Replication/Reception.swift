// A list that comes from another node, piece by piece: each piece is checked before anything of it is stored.

/// Receives the blocks that follow one of our blocks. Pieces that follow our head are in the list as soon as they are
/// taken; others go into a branch, which is kept over breaks and restarts, and is adopted whole.
public struct Reception: Sendable {
    private let list: BlockList
    private let writer: StoreWriter
    private let state: ListState
    /// The last block that was received, or the one that the first is to follow.
    private var last: Head
    private var staged: StagedBranch?
    /// Whether nothing goes to the end of the list before it is known that all is to be adopted.
    private let isHeldBack: Bool
    /// How many blocks were received.
    public private(set) var blocks = 0

    init(
        list: BlockList, writer: StoreWriter, state: ListState, last: Head, staged: StagedBranch?, isHeldBack: Bool
    ) {
        self.isHeldBack = isHeldBack
        self.list = list
        self.writer = writer
        self.state = state
        self.last = last
        self.staged = staged
    }

    /// The height of the last block that was received, or of the one that the first is to follow.
    public var height: Int { last.height }

    /// The hash of that block.
    public var hash: Hash { last.hash }

    /// Checks consecutive blocks and stores them, in a transaction for every 2 MiB.
    ///
    /// - Parameters:
    ///   - runs: the blocks, in order.
    ///   - tags: those of the blocks, which are stored with the first of them.
    ///   - latestTimestamp: the first block that is later, and what follows it, is not taken. In whole seconds since the Unix
    ///     epoch.
    /// - Returns: false if not all was taken for that reason: the list counts only up to there.
    /// - Throws: ``ReceptionError``; after a fault of the sender's, what was staged of its list is dropped.
    public mutating func take(
        _ runs: [BlockRun], tags: [AppendTag] = [], latestTimestamp: Int64
    ) async throws(ReceptionError) -> Bool {
        let pieces = ReceivedPiece.pieces(of: runs, after: last, latestTimestamp: latestTimestamp)
        var error = await pieces.first?.firstError()
        for (index, piece) in pieces.enumerated() {
            if let error { throw await refused(error) }
            // The next piece is checked while this one is stored.
            let next = index + 1 < pieces.count ? pieces[index + 1] : nil
            async let nextError = next?.firstError()
            try await store(piece, tags: index == 0 ? tags : [])
            error = await nextError
        }
        return runs.isEmpty || last.height + 1 == runs.last?.endHeight
    }

    private mutating func store(_ piece: ReceivedPiece, tags: [AppendTag]) async throws(ReceptionError) {
        guard !piece.runs.isEmpty else { return }
        let received: Result<StoreWriter.Received, ReceptionError>
        do throws(WriteError) {
            received = try await writer.receive(
                piece.runs, tags: tags, after: last, staged: staged, isHeldBack: isHeldBack, now: list.nowSeconds)
        } catch {
            throw await refused(ReceptionError(error))
        }
        switch received {
        case .success(.inList): break
        case .success(.staged(let branch)): staged = branch
        case .failure(let error): throw await refused(error)
        }
        blocks += piece.end.height - last.height
        last = piece.end
    }

    /// Drops what was staged if the sender is at fault, or there is no room for it.
    private func refused(_ error: ReceptionError) async -> ReceptionError {
        switch error {
        // With a full disk, appends need the room more.
        case .invalid, .discontinuous, .diskFull: break
        default: return error
        }
        do throws(ReceptionError) {
            try await drop()
            return error
        } catch {
            return error
        }
    }

    /// Gives up what was received and is not in the list yet.
    public func drop() async throws(ReceptionError) {
        guard let staged else { return }
        do throws(WriteError) {
            try await writer.drop(branch: staged.branch)
        } catch {
            throw ReceptionError(error)
        }
    }

    /// Adopts what was received, if it is better than our list. What it replaces becomes orphans, and those of them that
    /// this node acknowledged are appended again with it.
    ///
    /// - Parameter terms: what is known of the sender's list, and what an operator decided.
    /// - Returns: what was adopted; `nil` if the blocks are in the list already.
    /// - Throws: ``ReceptionError``; ``ReceptionError/oursIsAsGood`` if it is not better.
    public func adopt(_ terms: AdoptionTerms) async throws(ReceptionError) -> AdoptionResult? {
        guard let staged else {
            // What followed our head is in the list, and as final here as where it comes from.
            let height = min(terms.finalHeight, last.height)
            if height == last.height { _ = try await list.finalize(upTo: height, hash: last.hash) }
            return nil
        }
        return try await list.adopt(branch: staged.branch, terms)
    }
}

/// What an adoption did.
public struct AdoptionResult: Hashable, Sendable {
    /// Blocks that came from the other list.
    public let adoptedBlocks: Int
    /// Blocks of ours that are orphans now.
    public let replacedBlocks: Int
    /// Blocks of ours that were appended again.
    public let reappendedBlocks: Int
    /// The first height that has another block now.
    public let firstHeight: Int
}

extension ValidationFault {
    /// An identity that stands in the list already.
    static func identity(at height: Int) -> ValidationFault {
        ValidationFault(
            height: height, kind: .origin, expected: "an identity that no other block has",
            found: "one that another block has")
    }
}
