// What the body of an append says: `{"data": "...", "last_hash": "..."}`, or `"data": ["...", ...]` for a batch.

import Chain
import Foundation
import HTTPTypes

/// The routes that append.
enum AppendKind: UInt8 {
    /// One text.
    case single = 1
    /// 1 to `AppendRequest.draftsMax` texts.
    case batch = 2

    /// The largest sum of the texts of a batch, in bytes of UTF-8.
    static let batchSizeBytesMax = 8 << 20
}

/// The texts of an append and the head that they are meant for.
struct AppendContent: Equatable {
    let texts: [String]
    let lastHash: Hash?

    /// Reads the body of an append.
    ///
    /// - Parameters:
    ///   - contentType: the field of the request; without it the body is JSON.
    /// - Throws: `HTTPFailure` 422 naming what is wrong.
    init(_ body: [UInt8], contentType: String?, kind: AppendKind) throws(HTTPFailure) {
        let members = try JSONBody.members(
            of: body, contentType: contentType, named: ["data", "last_hash"], elementsMax: AppendRequest.draftsMax)
        switch kind {
        case .single: texts = [try AppendContent.text(members["data"], at: ["body", "data"])]
        case .batch: texts = try AppendContent.texts(members["data"])
        }
        lastHash = try AppendContent.hash(members["last_hash"])
    }

    /// What ties an `Idempotency-Key` to this content: different content or another route gives another hash.
    func requestHash(kind: AppendKind) -> Hash {
        var bytes = [kind.rawValue] + (lastHash ?? .zero).bytes
        bytes.append(lastHash == nil ? 0 : 1)
        for var text in texts {
            bytes += text.withUTF8 { Hash(sha256: UnsafeRawBufferPointer($0)) }.bytes
        }
        return bytes.withUnsafeBytes { Hash(sha256: $0) }
    }

    private static func text(
        _ value: JSONValue?, at location: [RequestFault.Step]
    ) throws(HTTPFailure) -> String {
        switch value {
        case .string(let text): return text
        case .null: throw HTTPFailure(.null(location))
        case .array, .bool, .other: throw HTTPFailure(.notText(location))
        case nil: throw HTTPFailure(.missing(location))
        }
    }

    private static func texts(_ value: JSONValue?) throws(HTTPFailure) -> [String] {
        let location: [RequestFault.Step] = ["body", "data"]
        switch value {
        case .array(let elements):
            guard !elements.isEmpty else {
                throw HTTPFailure(
                    RequestFault(
                        location, "ensure this value has at least 1 items", type: "value_error.list.min_items"))
            }
            guard elements.count <= AppendRequest.draftsMax else {
                throw HTTPFailure(
                    RequestFault(
                        location, "ensure this value has at most \(AppendRequest.draftsMax) items",
                        type: "value_error.list.max_items"))
            }
            var texts: [String] = []
            texts.reserveCapacity(elements.count)
            for (index, element) in elements.enumerated() {
                texts.append(try text(element, at: location + [.index(index)]))
            }
            return texts
        case .null: throw HTTPFailure(.null(location))
        case .string, .bool, .other:
            throw HTTPFailure(RequestFault(location, "value is not a valid list", type: "type_error.list"))
        case nil: throw HTTPFailure(.missing(location))
        }
    }

    private static func hash(_ value: JSONValue?) throws(HTTPFailure) -> Hash? {
        let location: [RequestFault.Step] = ["body", "last_hash"]
        switch value {
        case nil, .null: return nil
        case .string(let text):
            guard let hash = Hash(hex: text) else {
                throw HTTPFailure(
                    RequestFault(
                        location, "string does not match regex \"^[0-9a-fA-F]{64}$\"", type: "value_error.str.regex"))
            }
            return hash
        case .array, .bool, .other: throw HTTPFailure(.notText(location))
        }
    }
}
