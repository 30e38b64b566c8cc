// A list, or the end of one, as a client sends it in JSON: what `POST /sync/blockchain` takes.

import Chain
import Foundation

/// A block in JSON but for its height. Its hash was not checked.
struct BlockItem: Decodable, Sendable {
    let timestamp: Int64
    let data: String
    let previousHash: Hash
    let hash: Hash
    let origin: OriginItem?

    struct OriginItem: Decodable, Sendable {
        let height: Int
        let hash: Hash
        let previousHash: Hash
        let timestamp: Int64

        enum CodingKeys: String, CodingKey {
            case height, hash, timestamp
            case previousHash = "previous_hash"
        }
    }

    enum CodingKeys: String, CodingKey {
        case timestamp, data, hash, origin
        case previousHash = "previous_hash"
    }

    func block(at height: Int) -> Block {
        Block(
            height: height, timestamp: timestamp, data: data, previousHash: previousHash, hash: hash,
            origin: origin.map {
                Origin(hash: $0.hash, previousHash: $0.previousHash, timestamp: $0.timestamp, height: $0.height)
            })
    }
}

/// Consecutive blocks that a client sent. That each follows the one before was checked; their hashes were not.
struct ReceivedList: Sendable {
    /// The hash that the first block says it follows.
    let previousHash: Hash
    private let items: [BlockItem]

    private struct Content: Decodable {
        let blocks: [BlockItem]
    }

    /// Reads the body of a request.
    ///
    /// - Throws: `HTTPFailure` 422 naming the field, or 400 with the place of the block that does not follow.
    init(_ body: [UInt8]) throws(HTTPFailure) {
        let content: Content
        do {
            content = try JSONDecoder().decode(Content.self, from: Data(body))
        } catch let error as DecodingError {
            throw HTTPFailure(ReceivedList.fault(error))
        } catch {
            throw HTTPFailure(RequestFault(["body"], "no JSON", type: "value_error.jsondecode"))
        }
        guard let first = content.blocks.first else {
            throw HTTPFailure(
                RequestFault(
                    ["body", "blocks"], "ensure this value has at least 1 items", type: "value_error.list.min_items"))
        }
        for (index, (block, next)) in zip(content.blocks, content.blocks.dropFirst()).enumerated()
        where next.previousHash != block.hash {
            throw HTTPFailure(.badRequest, "block \(index + 1) of those sent does not follow the one before it")
        }
        previousHash = first.previousHash
        items = content.blocks
    }

    /// The number of blocks.
    var count: Int { items.count }

    /// The blocks at their heights.
    ///
    /// - Parameter height: that of the first one.
    func blocks(from height: Int) -> [Block] {
        items.enumerated().map { index, item in item.block(at: height + index) }
    }

    private static func fault(_ error: DecodingError) -> RequestFault {
        func location(_ path: [any CodingKey]) -> [RequestFault.Step] {
            ["body"] + path.map { key in key.intValue.map { .index($0) } ?? .name(key.stringValue) }
        }
        switch error {
        case .keyNotFound(let key, let context): return .missing(location(context.codingPath + [key]))
        case .valueNotFound(_, let context): return .null(location(context.codingPath))
        case .typeMismatch(_, let context):
            return RequestFault(location(context.codingPath), "value is of another type", type: "type_error")
        case .dataCorrupted(let context):
            let isSyntax = context.codingPath.isEmpty
            return RequestFault(
                location(context.codingPath), isSyntax ? "no JSON" : context.debugDescription,
                type: isSyntax ? "value_error.jsondecode" : "value_error")
        @unknown default: return RequestFault(["body"], "no JSON", type: "value_error.jsondecode")
        }
    }
}
