// Imports through a node that runs.

import Chain
import Foundation

/// A node's list, by its HTTP routes.
struct NodeDestination: ImportDestination {
    /// Blocks asked for at once, where their texts are small.
    private static let pageBlocksMax = 1000

    private let client: NodeClient
    private let pageSizeBytesMax: Int
    /// Begins the key of each batch: no other import has it.
    private let run = String(UInt64.random(in: 1 ... .max), radix: 16)

    /// - Parameter pageSizeBytesMax: the largest answer taken. One block of the largest text that any node takes must
    ///   fit, as JSON at its longest.
    init(
        url: String, credentials: NodeCredentials, patience: NodeClient.Patience = .init(),
        pageSizeBytesMax: Int = 128 * 1024 * 1024
    ) throws(CommandError) {
        self.pageSizeBytesMax = pageSizeBytesMax
        client = try NodeClient(url: url, credentials: credentials, patience: patience)
    }

    func headHeight() async throws -> Int {
        let answer = try await client.get("/", answerSizeBytesMax: 1024 * 1024)
        return try decode(Health.self, from: answer).height
    }

    func append(_ batch: LineBatch, number: Int) async throws -> ClosedRange<Int> {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        let answer: NodeClient.Answer
        do {
            answer = try await client.post(
                "/blocks/batch", json: Array(try encoder.encode(Batch(data: batch.texts))),
                idempotencyKey: "\(run)-\(number)", answerSizeBytesMax: pageSizeBytesMax)
        } catch NodeClient.Failure.gaveUp(let reason, let attempts, mayBeDone: true) {
            throw CommandError(
                "\(reason) (\(attempts) attempts); they may be appended or not: --resume finds out")
        }
        if answer.status == 413,
            let longest = batch.texts.indices.max(by: { batch.sizeBytes($0) < batch.sizeBytes($1) })
        {
            throw CommandError(
                "line \(batch.lines[longest]) of \(batch.sizeBytes(longest)) bytes is longer than the node takes:"
                    + " \(answer.detail)")
        }
        let heights = try decode(Heights.self, from: answer).blocks.map(\.height)
        guard let first = heights.first, let last = heights.last, last - first + 1 == batch.texts.count else {
            throw CommandError("\(client.url): answered with other blocks than those appended")
        }
        return first...last
    }

    func forEachTextHash(in heights: ClosedRange<Int>, _ body: (Hash) -> Void) async throws {
        var next = heights.lowerBound
        var limit = NodeDestination.pageBlocksMax
        while next <= heights.upperBound {
            try Task.checkCancellation()
            let path = "/blocks/?from=\(next)&limit=\(min(limit, heights.upperBound - next + 1))"
            let answer: NodeClient.Answer
            do {
                answer = try await client.get(path, answerSizeBytesMax: pageSizeBytesMax)
            } catch NodeClient.Failure.answerTooLarge where limit > 1 {
                limit = max(1, limit / 8)
                continue
            }
            limit = min(2 * limit, NodeDestination.pageBlocksMax)
            let blocks = try decode(Texts.self, from: answer).blocks
            guard !blocks.isEmpty else { throw CommandError("\(client.url): block \(next) is missing") }
            for block in blocks {
                guard block.height == next else { throw CommandError("\(client.url): block \(next) is missing") }
                var text = block.data
                body(text.withUTF8 { Hash(sha256: UnsafeRawBufferPointer($0)) })
                next += 1
            }
        }
    }

    func close() async throws { try await client.close() }

    private func decode<Value: Decodable>(_ type: Value.Type, from answer: NodeClient.Answer) throws -> Value {
        guard answer.status == 200 else { throw CommandError("\(client.url): \(answer.detail)") }
        do {
            return try JSONDecoder().decode(type, from: answer.body)
        } catch {
            throw CommandError("\(client.url): does not answer as a node does")
        }
    }

    private struct Health: Decodable {
        let height: Int
    }

    private struct Batch: Encodable {
        let data: [String]
    }

    private struct Heights: Decodable {
        struct Block: Decodable {
            let height: Int
        }
        let blocks: [Block]
    }

    private struct Texts: Decodable {
        struct Block: Decodable {
            let height: Int
            let data: String
        }
        let blocks: [Block]
    }
}
