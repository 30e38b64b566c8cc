// What a validation of the list finds.

/// The answer of a validation of the whole list.
public struct ValidationReport: Hashable, Sendable {
    /// The height of the head that the validation went up to.
    public let height: Int
    /// How many blocks were found good: those before the first fault, or all, with the genesis.
    public let blocks: Int
    /// The first fault; `nil` if the list is valid.
    public let fault: ValidationFault?

    /// Whether the list is valid.
    public var isValid: Bool { fault == nil }
}

/// What is wrong with a block. It holds no text of a client. See <doc:Validation>.
public struct ValidationFault: Hashable, Sendable {
    /// The kinds of fault, in the order in which a block is checked.
    public enum Kind: String, Sendable {
        /// The run that should hold the block is missing, misplaced or unreadable, or the text is no UTF-8.
        case structure
        /// The first block is not the genesis.
        case genesis
        /// The hash is not that of the previous hash, the timestamp, the origin and the text.
        case hash
        /// The origin's hash is not that of its parts, or the identity stands in the list already.
        case origin
        /// The timestamp lies before the previous block's.
        case time
    }

    /// The height of the block.
    public let height: Int
    /// What is wrong.
    public let kind: Kind
    /// What should be there: a hash, a timestamp, or what the structure asks for.
    public let expected: String
    /// What is there.
    public let found: String
}

extension ValidationFault: CustomStringConvertible {
    /// One line: the height, the kind, what should be there and what is.
    public var description: String { "block \(height), \(kind.rawValue): expected \(expected), found \(found)" }
}

/// How far a validation is.
public struct ValidationProgress: Hashable, Sendable {
    /// Blocks checked so far, all of those before them too.
    public let blocks: Int
    /// Blocks to check in all.
    public let blocksTotal: Int
}
