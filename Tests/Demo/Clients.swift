// Clients of a group with an engine: what they sent, what they were told, and the check of the final list against it.

import Foundation
import TestSupport

/// Sends appends and keeps what became of them. Every text is sent as one append only, so it tells what a block stands for.
actor Clients {
    /// An append, from before it was sent first until after it was acknowledged.
    private struct Append {
        let start: ContinuousClock.Instant
        var end: ContinuousClock.Instant?
        var block: BlockAnswer?
        /// Whether each try was answered with 503: it is nowhere, for ever.
        var isRefused = true
    }

    private let group: NodeGroup
    private var appends: [String: Append] = [:]
    private var isOver = false
    private(set) var acknowledgedCount = 0
    /// The height of the last acknowledged block.
    private(set) var height = 0
    /// When the last append was sent that is acknowledged by now.
    private(set) var lastStart: ContinuousClock.Instant

    init(group: NodeGroup) {
        self.group = group
        lastStart = .now
    }

    /// Sends an append.
    ///
    /// - Parameter key: makes it one that may be sent again.
    /// - Returns: the answer; `nil` if there was none in time.
    @discardableResult
    func append(
        _ text: String, lastHash: String? = nil, key: String? = nil, to index: Int, timeoutSeconds: Int64 = 5
    ) async throws -> HTTPAnswer? {
        appends[text] = appends[text] ?? Append(start: .now)
        let body = ["data": text].merging(lastHash.map { ["last_hash": $0] } ?? [:]) { $1 }
        let answer: HTTPAnswer
        do {
            answer = try await group.nodes[index].client.post(
                "/blocks/", body, fields: key.map { ["Idempotency-Key": $0] } ?? [:], timeoutSeconds: timeoutSeconds)
        } catch {
            // The node is killed or frozen: nobody knows what becomes of it.
            appends[text]?.isRefused = false
            try Task.checkCancellation()
            return nil
        }
        switch answer.status {
        case 200: try acknowledge(text, try answer.json(BlocksAnswer.self).blocks)
        case 504: appends[text]?.isRefused = false
        case 400, 503: break
        default: throw TestSupportError("an append is not answered so: \(answer.status) \(answer.text)")
        }
        return answer
    }

    private func acknowledge(_ text: String, _ blocks: [BlockAnswer]) throws {
        guard var append = appends[text], blocks.map(\.data) == [text] else {
            throw TestSupportError("\(text) is answered with \(blocks)")
        }
        append.end = .now
        append.block = blocks[0]
        append.isRefused = false
        appends[text] = append
        acknowledgedCount += 1
        height = max(height, blocks[0].height)
        lastStart = max(lastStart, append.start)
    }

    /// Sends one text after the other until `end()`, each with a key and to one node after the other until it is acknowledged.
    func run(_ name: String, first: Int) async throws {
        var number = 0
        while !isOver {
            number += 1
            let text = "\(name), text \(number)"
            var index = first
            try await eventually("\(text) is acknowledged", timeoutSeconds: 60) {
                if try await append(text, key: text, to: index)?.status == 200 { return true }
                index = (index + 1) % group.nodes.count
                try await Task.sleep(for: .milliseconds(100))
                return false
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Lets each come to its end.
    func end() { isOver = true }

    /// Every acknowledged block is in a list at its height, nothing is there twice, nothing that was refused or that nobody
    /// sent; and what was answered before another append was sent stands before it.
    func verify(_ list: [BlockAnswer]) throws {
        for (text, append) in appends {
            guard let block = append.block else { continue }
            try check(
                block.height < list.count && list[block.height] == block, "\(text) stands where it was acknowledged")
        }
        var texts: Set<String> = []
        var earliestEnd: ContinuousClock.Instant?
        for block in list.dropFirst().reversed() {
            guard let append = appends[block.data] else { throw TestSupportError("nobody sent \(block)") }
            try check(texts.insert(block.data).inserted, "\(block.data) is there once")
            try check(!append.isRefused, "\(block.data) is not there, since it was refused")
            if let earliestEnd {
                try check(append.start <= earliestEnd, "\(block.data) is not before what was answered earlier")
            }
            if let end = append.end { earliestEnd = min(end, earliestEnd ?? end) }
        }
    }
}
