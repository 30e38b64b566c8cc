// Clients of a group with an engine: each makes one call at a time, on any node, and every call is recorded.

import Foundation
import TestSupport

/// The calls of all clients of one history.
actor TortureLoad {
    private(set) var calls: [ClientCall] = []
    private(set) var isOver = false
    private var unanswered: [(texts: [String], key: String)] = []
    private let start = ContinuousClock.now

    /// Has clients call nodes until `end()`.
    func run(on group: NodeGroup, clients: Int, textSizeBytes: Int, seed: Int) async {
        await withDiscardingTaskGroup { tasks in
            for index in 0..<clients {
                tasks.addTask {
                    var client = TortureClient(
                        group: group, load: self, name: "client \(index)", textSizeBytes: textSizeBytes,
                        random: SeededGenerator(seed: UInt64(seed * 1_000 + index)))
                    await client.run()
                }
            }
        }
    }

    /// Lets the clients come to their end.
    func end() { isOver = true }

    /// Whether a call was refused for a reason.
    func wasRefused(_ reason: String) -> Bool {
        calls.contains { if case .refused(let text) = $0.outcome { text.contains(reason) } else { false } }
    }

    /// Sends what has a key and no answer until each has one.
    func finish(on group: NodeGroup) async throws {
        for (index, append) in unanswered.enumerated() {
            let node = index % group.nodes.count
            try await eventually("\(append.key) is answered", timeoutSeconds: 20) {
                await self.call(.append(append.texts, key: append.key), on: node, of: group).isAppended
            }
        }
    }

    /// Appends on a node until it takes an append.
    nonisolated func appendOnce(_ text: String, on node: Int, of group: NodeGroup, timeoutSeconds: Double) async throws
    {
        var number = 0
        try await eventually("node \(node) takes an append", timeoutSeconds: timeoutSeconds) {
            number += 1
            return await self.call(.append(["\(text) \(number)"]), on: node, of: group).isAppended
        }
    }

    fileprivate func leave(_ texts: [String], key: String) { unanswered.append((texts, key)) }

    // MARK: Calls

    /// Makes a call, and records it.
    @discardableResult
    nonisolated func call(
        _ request: ClientCall.Request, on node: Int, of group: NodeGroup, timeoutSeconds: Int64 = 3
    ) async -> ClientCall.Outcome {
        let startSeconds = seconds
        let outcome: ClientCall.Outcome
        do {
            outcome = try await request.send(to: group.nodes[node].client, timeoutSeconds: timeoutSeconds)
        } catch {
            outcome = .unknown("\(error)")
        }
        await add(
            ClientCall(node: node, request: request, outcome: outcome, startSeconds: startSeconds, endSeconds: seconds))
        return outcome
    }

    private nonisolated var seconds: Double { (ContinuousClock.now - start) / .seconds(1) }

    private func add(_ call: ClientCall) { calls.append(call) }
}

/// One client.
private struct TortureClient {
    let group: NodeGroup
    let load: TortureLoad
    let name: String
    let textSizeBytes: Int
    var random: SeededGenerator
    /// The newest block that it was shown.
    private var seen: BlockAnswer?
    private var sentCount = 0

    init(group: NodeGroup, load: TortureLoad, name: String, textSizeBytes: Int, random: SeededGenerator) {
        self.group = group
        self.load = load
        self.name = name
        self.textSizeBytes = textSizeBytes
        self.random = random
    }

    mutating func run() async {
        while !(await load.isOver), !Task.isCancelled {
            let isAnswered = await next()
            await pause(isAnswered ? 0...20 : 50...150)
        }
    }

    /// - Returns: whether it was done.
    private mutating func next() async -> Bool {
        // Now and then more than fits into one value of etcd's.
        if Int.random(in: 0..<100, using: &random) == 0 { return await call(.append(texts(3, sizeBytes: 500_000))) }
        switch Int.random(in: 0..<14, using: &random) {
        case 0..<4: return await call(.append(texts(1)))
        case 4..<6: return await call(.append(texts(1), lastHash: seen?.hash))
        case 6: return await call(.append(texts(Int.random(in: 2...5, using: &random))))
        case 7..<9: return await appendWithKey()
        case 9..<11: return await call(.head(isLinearizable: true))
        case 11: return await call(.head(isLinearizable: false))
        default:
            let height = (seen?.height ?? 0) + Int.random(in: 0...1, using: &random)
            return await call(.block(height, isLinearizable: .random(using: &random)))
        }
    }

    /// Sends an append with a key until it is answered, to any node each time, and now and then to two at once.
    private mutating func appendWithKey() async -> Bool {
        let texts = texts(Int.random(in: 1...2, using: &random))
        let key = "\(name) \(sentCount)"
        for _ in 0..<10 where !(await load.isOver) {
            if Int.random(in: 0..<4, using: &random) == 0 {
                let (load, group) = (load, group)
                let other = Int.random(in: group.nodes.indices, using: &random)
                async let twin = load.call(.append(texts, key: key), on: other, of: group)
                let isAnswered = await call(.append(texts, key: key))
                if await twin.isAppended || isAnswered { return true }
            } else if await call(.append(texts, key: key)) {
                return true
            }
            await pause(50...200)
        }
        await load.leave(texts, key: key)
        return false
    }

    private mutating func call(_ request: ClientCall.Request) async -> Bool {
        let node = Int.random(in: group.nodes.indices, using: &random)
        let patience: [Int64] = [1, 2, 3, 3, 3, 3, 3, 12]
        let seconds = patience[Int.random(in: patience.indices, using: &random)]
        switch await load.call(request, on: node, of: group, timeoutSeconds: seconds) {
        case .appended(let blocks): seen = blocks.last
        case .invalidLastHash(let block), .read(let block): seen = block
        case .missing: break
        case .refused, .unknown, .unexpected: return false
        }
        return true
    }

    private mutating func texts(_ count: Int, sizeBytes: Int? = nil) -> [String] {
        (0..<count).map { _ in
            sentCount += 1
            return "\(name), text \(sentCount) " + String(repeating: "é", count: (sizeBytes ?? textSizeBytes) / 2)
        }
    }

    private mutating func pause(_ milliseconds: ClosedRange<Int>) async {
        do {
            try await Task.sleep(for: .milliseconds(Int.random(in: milliseconds, using: &random)))
        } catch {
            // A test that is over its time cancels its clients; `run` sees that.
        }
    }
}

extension ClientCall.Outcome {
    var isAppended: Bool { if case .appended = self { true } else { false } }
}

extension ClientCall.Request {
    private struct Append<Texts: Encodable>: Encodable {
        let data: Texts
        let lastHash: String?

        enum CodingKeys: String, CodingKey {
            case data
            case lastHash = "last_hash"
        }
    }

    private struct InvalidLastHash: Decodable {
        let head: BlockAnswer
    }

    /// Sends the request, and reads the answer.
    ///
    /// - Throws: if there is none, or none that can be read.
    fileprivate func send(to client: HTTPTestClient, timeoutSeconds: Int64) async throws -> ClientCall.Outcome {
        let answer: HTTPAnswer
        switch self {
        case .append(let texts, let lastHash, let key):
            let fields = key.map { ["Idempotency-Key": $0] } ?? [:]
            answer =
                if texts.count == 1 {
                    try await client.post(
                        "/blocks/", Append(data: texts[0], lastHash: lastHash), fields: fields,
                        timeoutSeconds: timeoutSeconds)
                } else {
                    try await client.post(
                        "/blocks/batch", Append(data: texts, lastHash: lastHash), fields: fields,
                        timeoutSeconds: timeoutSeconds)
                }
        case .head(let isLinearizable):
            answer = try await client.get(
                "/blocks/head" + Self.query(isLinearizable), timeoutSeconds: timeoutSeconds)
        case .block(let height, let isLinearizable):
            answer = try await client.get(
                "/blocks/\(height)" + Self.query(isLinearizable), timeoutSeconds: timeoutSeconds)
        }
        switch (self, answer.status) {
        case (.append, 200): return .appended(try answer.json(BlocksAnswer.self).blocks)
        case (.append, 400): return .invalidLastHash(head: try answer.json(InvalidLastHash.self).head)
        case (.append, 504): return .unknown("504")
        case (.append, 503) where answer.fields["retry-after"] == nil:
            return .unexpected("503 without Retry-After: \(answer.text)")
        case (.append, 503), (.append, 507), (.head, 503), (.block, 503): return .refused(answer.text)
        case (.head, 200), (.block, 200): return .read(try answer.json())
        case (.block, 404): return .missing
        default: return .unexpected("\(self): \(answer.status) \(answer.text.prefix(200))")
        }
    }

    private static func query(_ isLinearizable: Bool) -> String {
        isLinearizable ? "?consistency=linearizable" : ""
    }
}
