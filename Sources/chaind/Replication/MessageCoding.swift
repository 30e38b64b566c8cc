// Encodes and decodes the JSON messages, and holds them to their limits. Foundation's decoder will do here, and not for
// clients: the original's clients are owed its exact words for what is wrong, nodes are owed the name of the field.

import Chain
import Foundation
import NIOCore

/// The most that a message may say.
enum MessageLimits {
    static let heightMax = 1 << 40 - 1
    static let pointsMax = 64
    static let damagedMax = 100
    static let membersMax = 1_024
    /// What every language's JSON can hold.
    static let counterMax = 1 << 53
    static let addressSizeBytesMax = 2_048
    static let nodeIDSizeBytesMax = 64
    /// Bytes of a message, and of one that has members in it.
    static let sizeBytesMax = 256 << 10
    static let statusSizeBytesMax = 4 << 20
}

/// Where the nodes of a group listen to each other.
enum SyncPath {
    static let status = "/sync/status"
    static let locate = "/sync/locate"
    static let stream = "/sync/stream"
    static let leave = "/sync/leave"
    static let forward = "/sync/forward"

    /// Whether a block stream goes to or from this path, which may have a slash at its end and a query.
    static func isStream(_ path: String) -> Bool {
        let path = path.prefix { $0 != "?" }
        return path == stream || path == stream + "/"
    }
}

/// What is wrong with a message: the field, and how.
struct MessageError: Error, Hashable, CustomStringConvertible {
    let description: String

    fileprivate init(_ error: DecodingError) {
        let (path, reason) =
            switch error {
            case .keyNotFound(let key, let context): (context.codingPath + [key], "missing")
            case .valueNotFound(_, let context): (context.codingPath, "null")
            case .typeMismatch(_, let context): (context.codingPath, "of another type")
            case .dataCorrupted(let context): (context.codingPath, context.debugDescription)
            @unknown default: ([], "not as it should be")
            }
        let name = path.reduce(into: "") { name, key in
            name += key.intValue.map { "[\($0)]" } ?? (name.isEmpty ? key.stringValue : ".\(key.stringValue)")
        }
        description = oneLine(name.isEmpty ? reason : "\(name): \(reason)")
    }

    fileprivate init(_ reason: String) {
        description = reason
    }
}

/// Messages as bytes.
enum MessageCoding {
    /// Reads a message; fields that it has not got are ignored.
    static func decode<Message: Decodable>(
        _ type: Message.Type = Message.self, from bytes: ByteBuffer
    ) throws(MessageError) -> Message {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes.readableBytesView))
        } catch let error as DecodingError {
            throw MessageError(error)
        } catch {
            throw MessageError("no JSON")
        }
    }

    /// Writes a message, its fields in alphabetical order.
    static func encode(_ message: some Encodable) throws -> ByteBuffer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return ByteBuffer(bytes: try encoder.encode(message))
    }
}

extension Hash: Codable {
    /// Reads 64 hexadecimal digits.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let hash = Hash(hex: try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not 64 hexadecimal digits")
        }
        self = hash
    }

    /// Writes 64 lower-case hexadecimal digits.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(hex)
    }
}

extension KeyedDecodingContainer {
    /// Throws with the name of the field where something does not hold.
    func check(_ holds: Bool, _ key: Key, _ reason: String) throws {
        guard holds else { throw DecodingError.dataCorruptedError(forKey: key, in: self, debugDescription: reason) }
    }

    /// A whole number. Of one that is not whole, or too large, Foundation does not say which it is.
    func wholeNumber(_ key: Key) throws -> Int {
        do {
            return try decode(Int.self, forKey: key)
        } catch let error as DecodingError {
            throw error
        } catch {
            throw DecodingError.dataCorruptedError(forKey: key, in: self, debugDescription: "not a whole number")
        }
    }

    func height(_ key: Key) throws -> Int {
        let height = try wholeNumber(key)
        try check(0...MessageLimits.heightMax ~= height, key, "not a height")
        return height
    }

    func point(_ height: Key, _ hash: Key) throws -> BlockPoint {
        BlockPoint(height: try self.height(height), hash: try decode(Hash.self, forKey: hash))
    }

    func address(_ key: Key) throws -> MemberAddress {
        let text = try decode(String.self, forKey: key)
        try check(text.utf8.count <= MessageLimits.addressSizeBytesMax, key, "too long")
        do {
            return try MemberAddress(text)
        } catch {
            throw DecodingError.dataCorruptedError(forKey: key, in: self, debugDescription: "\(error)")
        }
    }

    func nodeID(_ key: Key) throws -> String {
        let text = try decode(String.self, forKey: key)
        let isID = 1...MessageLimits.nodeIDSizeBytesMax ~= text.utf8.count && text.utf8.allSatisfy { 0x21...0x7E ~= $0 }
        try check(isID, key, "not 1 to \(MessageLimits.nodeIDSizeBytesMax) printable characters")
        return text
    }
}
