// What is told of the rebuilding of a file: values only.

/// Blocks of a member's list, for a file that has lost some: anything that holds a copy of the list.
public struct RebuildSource: Sendable {
    /// The member, for the record.
    public let name: String
    /// Asks for the blocks after one; each call of what it answers gives the next ones, `nil` at the end.
    public let blocks:
        @Sendable (_ after: (height: Int, hash: Hash)) async throws -> @Sendable () async throws -> BlockRun?

    /// Makes a source.
    ///
    /// - Parameters:
    ///   - name: the member, for the record.
    ///   - blocks: asks for the blocks after one; each call of what it answers gives the next ones, `nil` at the end.
    public init(
        name: String,
        blocks:
            @escaping @Sendable (_ after: (height: Int, hash: Hash)) async throws
            -> @Sendable () async throws -> BlockRun?
    ) {
        self.name = name
        self.blocks = blocks
    }
}

/// What a rebuilding did.
public struct RebuildReport: Hashable, Sendable {
    /// Where the old file is kept.
    public let keptPath: String
    /// The height of the head.
    public let height: Int
    /// The heights that could not be read, and came from sources; ascending.
    public let filledHeights: [Range<Int>]
    /// The tables beside that of the blocks that could not be read whole.
    public let incompleteTables: [String]
}

/// Why a file was not rebuilt. It is as it was.
public enum RebuildError: Error, Sendable, CustomStringConvertible {
    /// No member has the blocks from this height on that ours would follow; what became of each that was asked.
    case missing(height: Int, reasons: [String])
    /// Blocks of the list were replaced meanwhile: try again.
    case listMoved
    /// The file is being rebuilt already.
    case underWay
    /// The task was cancelled.
    case cancelled
    /// The old or the new file cannot be used.
    case file(OpenError)
    /// The structure of the file cannot be looked at.
    case unreadable(ReadError)

    /// One line.
    public var description: String {
        switch self {
        case .missing(let height, let reasons):
            "blocks from \(height) on cannot be read, and nobody gives them: "
                + (reasons.isEmpty ? "nobody was asked" : reasons.joined(separator: "; "))
        case .listMoved: "the list changed meanwhile"
        case .underWay: "the file is being rebuilt already"
        case .cancelled: "it was cancelled"
        case .file(let error): error.description
        case .unreadable(let error): error.description
        }
    }
}
