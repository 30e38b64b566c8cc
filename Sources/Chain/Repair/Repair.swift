// What is told of scrub and repair: values only.

/// A damaged block that was replaced by a good one.
public struct Repair: Hashable, Sendable {
    /// When, in whole seconds since the Unix epoch.
    public let time: Int64
    /// The height of the block.
    public let height: Int
    /// What was wrong, in a line without a client's text.
    public let fault: String
    /// Where the good block came from: a member's address, or what else vouched for it.
    public let source: String
}

/// Damaged blocks that stand close to each other.
public struct DamagedRange: Hashable, Sendable {
    /// From the first to the last of them; the block before the first one is good.
    public let heights: Range<Int>
    /// The block to ask for what follows it, to get those that can be put in their place: the one before them, or the
    /// genesis.
    public let before: (height: Int, hash: Hash)

    /// Compares the heights, and the block before them.
    public static func == (left: DamagedRange, right: DamagedRange) -> Bool {
        left.heights == right.heights && left.before == right.before
    }

    /// Hashes the heights.
    public func hash(into hasher: inout Hasher) { hasher.combine(heights) }
}

/// Where a scrub goes on: what ``BlockList/scrub(from:)`` is given next.
public struct ScrubPlace: Hashable, Sendable {
    enum Part: Hashable {
        case blocks(from: Int)
        case orphans(after: Int)
    }

    let part: Part

    /// Where a pass begins.
    public static let start = ScrubPlace(part: .blocks(from: 0))
}

/// What a step of a scrub found.
public struct ScrubStep: Sendable {
    /// Where the next one goes on; ``ScrubPlace/start`` after the last one of a pass.
    public let next: ScrubPlace
    /// Bytes that were read, for keeping to a rate.
    public let sizeBytes: Int
    /// The heights that are damaged, ascending.
    public var damagedHeights: [Int] = []
    /// Good blocks that the index of identities lacked, which has them again.
    public var listedAgain: [Int] = []
    /// Orphans that are still to be appended again and whose hash is not that of their parts.
    public var damagedOrphans: [Hash] = []
}

/// Why damaged blocks were not replaced. The list is as it was.
public enum RepairError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A candidate is bad in itself.
    case invalid(ValidationFault)
    /// The candidates are not what the blocks around them, or the head's own hash, say.
    case unconfirmed
    /// Blocks that are damaged beside these cannot be carried over: they have to be replaced with them.
    case incomplete
    /// The structure of the file is damaged, so that nothing may be written into it.
    case structure(String)
    /// The disk has no room.
    case diskFull
    /// The database does not work at the moment.
    case unavailable(SQLiteError)
    /// The list is closed.
    case closed

    /// One line.
    public var description: String {
        switch self {
        case .invalid(let fault): "\(fault)"
        case .unconfirmed: "its blocks are not those that the blocks around them name"
        case .incomplete: "the blocks beside them cannot be read either"
        case .structure(let error): "the structure of the file is damaged (\(error))"
        case .diskFull: "the disk is full"
        case .unavailable(let error): "the database does not work at the moment (\(error))"
        case .closed: "the list is closed"
        }
    }

    init(_ error: WriteError) {
        self =
            switch error {
            case .diskFull: .diskFull
            case .failed(let error) where error.isDamage: .structure(error.description)
            case .outcomeUnknown(let error), .failed(let error): .unavailable(error)
            case .closed: .closed
            }
    }

    init(_ error: ReadError) {
        self =
            switch error {
            case .database(let error): .unavailable(error)
            case .damaged, .hashesIncomplete, .listChanged: .structure(error.description)
            case .closed: .closed
            }
    }
}
