// What clients were told about each text they sent, and the check of a list against it.

import TestSupport
import Testing

/// Collects the answers of all clients of a node over its starts. Every text is sent by one client only.
actor Ledger {
    /// What the node was told to keep: each block as it was answered with 200.
    private(set) var acknowledged: [BlockAnswer] = []
    /// Texts that were answered with 503 or 507: they are nowhere, for ever.
    private(set) var refused: Set<String> = []
    /// Texts without an answer, or with 504: each is there once or not at all.
    private(set) var unknown: Set<String> = []
    /// Answers by status, for what a test wants to have seen.
    private(set) var statuses: [Int: Int] = [:]
    /// How many answers with 503 did not say when to try again.
    private(set) var refusalsWithoutRetryAfter = 0
    /// Blocks of the list that were read and checked so far, and where each text stands in them.
    private var checked: [BlockAnswer] = []
    private var heights: [String: Int] = [:]
    /// How many of the acknowledged blocks were looked for so far.
    private var acknowledgedFound = 0

    /// Sends texts as one append and keeps the answer.
    ///
    /// - Parameter key: makes the append one that is sent again with the same key until it is answered.
    /// - Returns: the status, or `nil` if there was no answer.
    @discardableResult
    func append(_ texts: [String], key: String? = nil, to node: NodeProcess) async -> Int? {
        let answer: HTTPAnswer
        do {
            answer = try await Self.send(texts, key: key, to: node)
        } catch {
            unknown.formUnion(texts)
            return nil
        }
        statuses[answer.status, default: 0] += 1
        switch answer.status {
        case 200:
            do {
                let blocks = try answer.json(BlocksAnswer.self).blocks
                #expect(blocks.map(\.data) == texts)
                acknowledged += blocks
                unknown.subtract(texts)
            } catch {
                Issue.record("an answer that cannot be read: \(error)")
            }
        case 503, 507:
            // The answer to an earlier try that came too late stays unknown.
            refused.formUnion(texts.filter { !unknown.contains($0) })
            if answer.status == 503 && answer.fields["retry-after"] == nil { refusalsWithoutRetryAfter += 1 }
        case 504: unknown.formUnion(texts)
        default: Issue.record("status \(answer.status): \(answer.text.prefix(200))")
        }
        return answer.status
    }

    private static func send(_ texts: [String], key: String?, to node: NodeProcess) async throws -> HTTPAnswer {
        var fields: [String: String] = [:]
        if let key { fields["Idempotency-Key"] = key }
        if texts.count == 1 { return try await node.client.post("/blocks/", ["data": texts[0]], fields: fields) }
        return try await node.client.post("/blocks/batch", ["data": texts], fields: fields)
    }

    /// Reads what the node's list has gained since the last check, and compares it with the answers.
    ///
    /// - Parameter fromGenesis: reads all of it again.
    func check(_ node: NodeProcess, fromGenesis: Bool = false) async throws {
        if fromGenesis {
            checked = []
            heights = [:]
            acknowledgedFound = 0
        }
        // The last block that was checked is read again: its hash stands for all before it.
        let last = checked.popLast()
        let firstNew = checked.count
        try await readOn(from: node)
        if let last {
            try #require(checked.count > last.height && checked[last.height] == last, "the list is another one")
            heights[last.data] = nil
        }
        let known = unknown.union(acknowledged[acknowledgedFound...].map(\.data))
        for block in checked[firstNew...] {
            let twin = heights.updateValue(block.height, forKey: block.data)
            try #require(twin == nil, "block \(block.height) has the text of another")
            try #require(!refused.contains(block.data), "block \(block.height) was refused")
            try #require(
                block == last || block.height == 0 || known.contains(block.data), "nobody sent block \(block.height)")
        }
        for block in acknowledged[acknowledgedFound...] {
            try #require(
                block.height < checked.count && checked[block.height] == block, "block \(block.height) is not there")
        }
        acknowledgedFound = acknowledged.count
    }

    /// Reads pages up to the head, and computes every hash again.
    private func readOn(from node: NodeProcess) async throws {
        for _ in 0..<10_000 {
            let answer = try await node.client.get("/blocks/?from=\(checked.count)&limit=5000")
            let blocks = try answer.json(BlocksAnswer.self).blocks
            if blocks.isEmpty { return }
            for block in blocks {
                try #require(block.height == checked.count)
                try #require(block.previousHash == checked.last?.hash ?? String(repeating: "0", count: 64))
                let reference = ReferenceBlock(
                    timestamp: UInt64(block.timestamp), hash: [], data: Array(block.data.utf8), origin: nil)
                let hash = ReferenceList.hash(reference, after: ReferenceList.bytes(hex: block.previousHash))
                try #require(ReferenceList.bytes(hex: block.hash) == hash)
                checked.append(block)
            }
        }
        throw TestSupportError("the list has no end")
    }
}
