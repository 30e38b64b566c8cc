// Blocks that a node answers with, as a command reads them: nothing is shown as a block that does not hash to its hash.

import Chain
import Foundation

/// A block in an answer.
struct AnsweredBlock: Decodable {
    private let height: Int
    private let item: BlockItem

    private enum CodingKeys: String, CodingKey {
        case height
    }

    init(from decoder: any Decoder) throws {
        height = try decoder.container(keyedBy: CodingKeys.self).decode(Int.self, forKey: .height)
        item = try BlockItem(from: decoder)
    }

    /// The block, if its hash is right.
    ///
    /// - Throws: `CommandError`.
    func block() throws(CommandError) -> Block {
        let block = item.block(at: height)
        let computed = Block(
            height: height, timestamp: block.timestamp, data: block.data, previousHash: block.previousHash,
            origin: block.origin)
        guard computed.hash == block.hash else {
            throw CommandError(
                "block \(height) is damaged or forged: it hashes to \(computed.hash), not to \(block.hash)")
        }
        return block
    }
}

/// A node that is read block by block.
struct ReadNode: Sendable {
    private static let pageBlocksMax = 1_000
    /// One block of the largest text that any node takes fits, as JSON at its longest.
    private static let answerSizeBytesMax = 128 << 20

    let client: NodeClient

    /// What a path answers with.
    ///
    /// - Throws: `CommandError`; `NothingThere`.
    func value<Value: Decodable>(_ type: Value.Type = Value.self, at path: String) async throws -> Value {
        try decode(type, from: try await body(at: path))
    }

    /// What a path answers with, as it came.
    func body(at path: String) async throws -> Data {
        let answer = try await client.get(path, answerSizeBytesMax: Self.answerSizeBytesMax)
        switch answer.status {
        case 200: return answer.body
        case 404: throw NothingThere(reason: answer.detail)
        default: throw CommandError("\(client.url): \(answer.detail)")
        }
    }

    func decode<Value: Decodable>(_ type: Value.Type, from body: Data) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: body)
        } catch {
            throw CommandError("\(client.url): does not answer as a node does")
        }
    }

    /// The last block.
    func head() async throws -> Block {
        try await value(AnsweredBlock.self, at: "/blocks/head").block()
    }

    /// One block, by its height or its hash.
    ///
    /// - Throws: `CommandError` also if the node answers with another block.
    func block(_ name: String) async throws -> Block {
        let block = try await value(AnsweredBlock.self, at: "/blocks/\(name)").block()
        let isRight = Hash(hex: name).map { $0 == block.hash } ?? (Int(name) == block.height)
        guard isRight else { throw CommandError("\(client.url): answers with block \(block.height), \(block.hash)") }
        return block
    }

    /// Calls `body` with each block from a height on, each of which continues the one before.
    ///
    /// - Parameter limit: how many, at most.
    /// - Throws: `CommandError` where the list does not continue.
    func forEachBlock(from height: Int, limit: Int, _ body: (Block) async throws -> Void) async throws {
        var next = height
        var rest = limit
        var pageBlocks = Self.pageBlocksMax
        var last: Block?
        while rest > 0 {
            try Task.checkCancellation()
            let page: Page
            do {
                page = try await value(at: "/blocks/?from=\(next)&limit=\(min(pageBlocks, rest))")
            } catch NodeClient.Failure.answerTooLarge where pageBlocks > 1 {
                pageBlocks = max(1, pageBlocks / 8)
                continue
            }
            pageBlocks = min(2 * pageBlocks, Self.pageBlocksMax)
            if page.blocks.isEmpty { return }
            for answered in page.blocks {
                let block = try answered.block()
                guard block.height == next, last.map({ $0.hash == block.previousHash }) ?? true else {
                    throw CommandError(
                        "\(client.url): block \(next) does not continue the one before; the list changed")
                }
                try await body(block)
                last = block
                next += 1
                rest -= 1
            }
        }
    }

    private struct Page: Decodable {
        let blocks: [AnsweredBlock]
    }
}

/// A node has nothing of what was asked for.
struct NothingThere: Error {
    let reason: String
}
