// What a block stream is refused for.

import Chain

/// A stream that breaks the rules of docs/protocol.md. Heights are those that the stream had come to.
enum StreamError: Error, Hashable, Sendable, CustomStringConvertible {
    /// It begins with something else.
    case notAStream
    /// The header contradicts itself.
    case invalidHeader(String)
    /// A part of a kind that there is not.
    case unknownKind(UInt8, height: Int)
    /// A part is longer than its kind may be.
    case tooLarge(sizeBytes: Int, height: Int)
    /// A part's length, count or columns do not agree with each other.
    case notWhole(height: Int)
    /// A run does not begin where the last one ended.
    case gap(expectedHeight: Int, foundHeight: Int)
    /// A run goes beyond the head that the header names.
    case beyondHead(height: Int, headHeight: Int)
    /// The end comes before the head that the header names.
    case short(height: Int, headHeight: Int)
    /// The last block is not the head that the header names.
    case anotherHead(height: Int)
    /// Something follows the last part.
    case afterEnd(height: Int)

    var description: String {
        switch self {
        case .notAStream: "no block stream of version 1"
        case .invalidHeader(let reason): "the stream's header is wrong: \(reason)"
        case .unknownKind(let kind, let height): "a part of unknown kind \(kind) at height \(height)"
        case .tooLarge(let sizeBytes, let height): "a part of \(sizeBytes) bytes at height \(height) is too large"
        case .notWhole(let height): "the part at height \(height) is not whole"
        case .gap(let expected, let found): "the stream goes on at height \(found) and not at height \(expected)"
        case .beyondHead(let height, let headHeight): "height \(height) is beyond the stream's head, \(headHeight)"
        case .short(let height, let headHeight): "the stream ends at height \(height), before its head, \(headHeight)"
        case .anotherHead(let height): "the block at height \(height) is not the head that the stream names"
        case .afterEnd(let height): "something follows the end of the stream at height \(height)"
        }
    }
}
