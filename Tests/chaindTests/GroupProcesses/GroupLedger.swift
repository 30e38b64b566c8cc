// What the clients of all nodes of a group were told, and the check of every node's list against it.

import TestSupport
import Testing

/// Collects the answers of all clients. Every text is sent by one client only, so a text tells what a block stands for.
actor GroupLedger {
    /// By its text, each block as it was answered with 200 last.
    private(set) var acknowledged: [String: BlockAnswer] = [:]
    /// Texts that were answered with 503 or 507: they are nowhere, for ever.
    private(set) var refused: Set<String> = []
    /// Texts without an answer, or with 504: each is there once or not at all.
    private(set) var unknown: Set<String> = []

    /// Sends texts as one append, and keeps the answer.
    ///
    /// - Parameter key: makes the append one that is sent again with the same key until it is answered.
    /// - Returns: the blocks, or `nil` if the node did not take them or did not answer.
    @discardableResult
    func append(_ texts: [String], key: String? = nil, to node: NodeProcess) async -> [BlockAnswer]? {
        let answer: HTTPAnswer
        do {
            answer = try await Self.send(texts, key: key, to: node)
        } catch {
            unknown.formUnion(texts)
            return nil
        }
        switch answer.status {
        case 200:
            do {
                let blocks = try answer.json(BlocksAnswer.self).blocks
                #expect(blocks.map(\.data) == texts)
                for block in blocks {
                    let before = acknowledged.updateValue(block, forKey: block.data)
                    #expect(before == nil || before?.identity == block.identity, "another block for the same key")
                }
                unknown.subtract(texts)
                return blocks
            } catch {
                Issue.record("an answer that cannot be read: \(error)")
            }
        // The answer to an earlier try that came too late stays unknown.
        case 503, 507: refused.formUnion(texts.filter { !unknown.contains($0) })
        case 504: unknown.formUnion(texts)
        default: Issue.record("status \(answer.status): \(answer.text.prefix(200))")
        }
        return nil
    }

    private static func send(_ texts: [String], key: String?, to node: NodeProcess) async throws -> HTTPAnswer {
        var fields: [String: String] = [:]
        if let key { fields["Idempotency-Key"] = key }
        if texts.count == 1 {
            return try await node.client.post("/blocks/", ["data": texts[0]], fields: fields, timeoutSeconds: 3)
        }
        return try await node.client.post("/blocks/batch", ["data": texts], fields: fields, timeoutSeconds: 3)
    }

    /// Waits until the nodes have the same list, and expects all that was acknowledged in it exactly once, nothing that
    /// was refused, and nothing that nobody sent.
    ///
    /// - Returns: the list.
    @discardableResult
    func check(_ group: NodeGroup, timeoutSeconds: Double = 60) async throws -> [BlockAnswer] {
        var lists: [[BlockAnswer]] = []
        try await group.waitUntilEqual(timeoutSeconds: timeoutSeconds)
        try await eventually("the lists are equal", timeoutSeconds: timeoutSeconds) {
            lists = []
            for node in group.nodes { lists.append(try await node.wholeList()) }
            return lists.allSatisfy { $0 == lists[0] }
        }
        try check(lists[0])
        for node in group.nodes {
            let validation: ValidationAnswer = try await node.client.get("/blocks/valid").json()
            #expect(validation.state == "valid", "\(String(describing: validation.fault))")
        }
        return lists[0]
    }

    /// Expects of one list what was said above.
    func check(_ list: [BlockAnswer]) throws {
        try Self.checkHashes(list)
        var standing: [String: BlockAnswer] = [:]
        for block in list.dropFirst() {
            let twin = standing.updateValue(block, forKey: block.data)
            #expect(twin == nil, "block \(block.height) stands for the same as block \(twin?.height ?? 0)")
            #expect(!refused.contains(block.data), "block \(block.height) was refused")
            #expect(
                acknowledged[block.data] != nil || unknown.contains(block.data), "nobody sent block \(block.height)")
        }
        var missing: [BlockAnswer] = []
        for (text, block) in acknowledged where standing[text]?.identity != block.identity { missing.append(block) }
        #expect(missing.isEmpty, "\(missing.count) blocks are not there, one of them: \(missing[0])")
    }

    /// Expects every hash of a whole list to be what the reference computes.
    static func checkHashes(_ list: [BlockAnswer]) throws {
        var previous = String(repeating: "0", count: 64)
        for (height, block) in list.enumerated() {
            try #require(block.height == height && block.previousHash == previous)
            let hash = ReferenceList.hash(block.reference, after: ReferenceList.bytes(hex: previous))
            try #require(ReferenceList.bytes(hex: block.hash) == hash, "the hash of block \(height)")
            previous = block.hash
        }
        #expect(Set(list.map(\.identity)).count == list.count, "an identity twice")
    }
}

extension BlockAnswer {
    /// The hash under which the block was acknowledged first.
    var identity: String { origin?.hash ?? hash }

    /// The block for the reference of the format.
    var reference: ReferenceBlock {
        ReferenceBlock(
            timestamp: UInt64(timestamp), hash: ReferenceList.bytes(hex: hash), data: Array(data.utf8),
            origin: origin.map {
                .init(
                    hash: ReferenceList.bytes(hex: $0.hash), previousHash: ReferenceList.bytes(hex: $0.previousHash),
                    timestamp: UInt64($0.timestamp), height: UInt64($0.height))
            })
    }
}

extension NodeProcess {
    /// All blocks of the node.
    func wholeList() async throws -> [BlockAnswer] {
        try await client.get("/blocks/").json(BlocksAnswer.self).blocks
    }

    /// Appends one text.
    @discardableResult
    func append(_ text: String) async throws -> BlockAnswer {
        let answer = try await client.post("/blocks/", ["data": text])
        guard answer.status == 200 else { throw TestSupportError("\(answer.status): \(answer.text)") }
        return try answer.json(BlocksAnswer.self).blocks[0]
    }
}
