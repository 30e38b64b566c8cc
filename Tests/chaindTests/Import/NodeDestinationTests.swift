// Importing through a node: what is sent again, how, and when that ends.

import Chain
import Foundation
import TestSupport
import Testing

@testable import chaind

struct NodeDestinationTests {
    private let patience = NodeClient.Patience(
        attemptsMax: 4, pauseSecondsFirst: 0.001, pauseSecondsMax: 0.01, attemptSecondsMax: 20)

    private func withNode(
        answer: @escaping @Sendable (ScriptedNode.Request, Int) -> ScriptedNode.Answer,
        _ body: (NodeDestination) async throws -> Void
    ) async throws -> [ScriptedNode.Request] {
        let node = ScriptedNode(answer: answer)
        try await node.serve { url in
            let destination = try NodeDestination(url: url + "/", credentials: NodeCredentials(), patience: patience)
            do {
                try await body(destination)
            } catch {
                try await destination.close()
                throw error
            }
            try await destination.close()
        }
        return node.requests
    }

    private let batch = LineBatch(texts: ["a", "bcd", "e"], lines: [5, 7, 8])
    private let appended = #"{"blocks":[{"height":11,"data":"a"},{"height":12},{"height":13}]}"#

    @Test func sendsABatchAgainWithItsKeyUntilItIsAnswered() async throws {
        let requests = try await withNode { [appended] _, count in
            switch count {
            case 0: .status(503, #"{"detail":"full"}"#, retryAfter: "0")
            case 1: .cut
            case 2: .status(504, #"{"detail":"unknown"}"#)
            default: .status(200, appended)
            }
        } _: { destination in
            let first = try await destination.append(batch, number: 0)
            let second = try await destination.append(batch, number: 1)
            #expect(first == 11...13)
            #expect(second == 11...13)
        }
        #expect(requests.map(\.path) == Array(repeating: "/blocks/batch", count: 5))
        #expect(requests.map(\.body) == Array(repeating: #"{"data":["a","bcd","e"]}"#, count: 5))
        let keys = requests.compactMap(\.key)
        #expect(keys.count == 5)
        #expect(Set(keys.prefix(4)).count == 1)
        #expect(keys[4] != keys[0])
    }

    @Test func hasKeysOfItsOwn() async throws {
        let keys =
            try await withNode { [appended] _, _ in
                .status(200, appended)
            } _: { first in
                _ = try await first.append(batch, number: 0)
            }.map(\.key)
            + withNode { [appended] _, _ in
                .status(200, appended)
            } _: { second in
                _ = try await second.append(batch, number: 0)
            }.map(\.key)
        #expect(Set(keys).count == 2)
    }

    @Test func givesUpAndSaysWhetherTheBatchMayBeThere() async throws {
        for (status, mayBeThere) in [(503, false), (504, true)] {
            let requests = try await withNode { _, _ in
                .status(status, #"{"detail":"no luck"}"#)
            } _: { destination in
                await #expect { try await destination.append(batch, number: 0) } throws: { error in
                    "\(error)".contains("no luck (4 attempts)") && "\(error)".contains("--resume") == mayBeThere
                }
            }
            #expect(requests.count == 4)
        }
    }

    @Test func failsAtOnceWhereAnotherAttemptIsOfNoUse() async throws {
        for (status, detail) in [(400, "bad"), (507, "the disk is full"), (500, "broken")] {
            let requests = try await withNode { _, _ in
                .status(status, "{\"detail\":\"\(detail)\"}")
            } _: { destination in
                await #expect { try await destination.append(batch, number: 0) } throws: { error in
                    "\(error)".hasSuffix(detail)
                }
            }
            #expect(requests.count == 1)
        }
    }

    @Test func namesTheLineThatTheNodeFindsTooLong() async throws {
        _ = try await withNode { _, _ in
            .status(413, #"{"detail":"the limit is 2"}"#)
        } _: { destination in
            await #expect { try await destination.append(batch, number: 0) } throws: { error in
                "\(error)" == "line 7 of 3 bytes is longer than the node takes: the limit is 2"
            }
        }
    }

    @Test func takesNoAnswerThatIsNotANodes() async throws {
        for answer in ["", "<html>", "{}", #"{"blocks":[]}"#, #"{"blocks":[{"height":11},{"height":12}]}"#] {
            _ = try await withNode { _, _ in
                .status(200, answer)
            } _: { destination in
                await #expect(throws: CommandError.self) { try await destination.append(batch, number: 0) }
            }
        }
    }

    @Test func endsItsPausesWhenItIsCancelled() async throws {
        let node = ScriptedNode { _, _ in .status(503, "{}", retryAfter: "30") }
        try await node.serve { url in
            let destination = try NodeDestination(
                url: url, credentials: NodeCredentials(), patience: .init(pauseSecondsFirst: 30))
            let task = Task { [batch] in try await destination.append(batch, number: 0) }
            for _ in 0..<1000 where node.requests.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            try await destination.close()
        }
    }

    @Test func pausesLongerEachTimeAndAsLongAsTheNodeAsks() {
        let patience = NodeClient.Patience(pauseSecondsFirst: 0.5, pauseSecondsMax: 30)
        let pauses = (1...8).map { patience.pauseSeconds(afterAttempt: $0, retryAfterSeconds: nil) }
        #expect(pauses == [0.5, 1, 2, 4, 8, 16, 30, 30])
        #expect(patience.pauseSeconds(afterAttempt: 1, retryAfterSeconds: 7) == 7)
        #expect(patience.pauseSeconds(afterAttempt: 5, retryAfterSeconds: 1) == 8)
        #expect(patience.pauseSeconds(afterAttempt: 1, retryAfterSeconds: 1e9) == 30)
    }

    // MARK: Reading

    /// Answers pages of a list of texts of 100 bytes each.
    private static let pages: @Sendable (ScriptedNode.Request, Int) -> ScriptedNode.Answer = { request, _ in
        let numbers = request.query.split(separator: "&").compactMap {
            $0.split(separator: "=").last.flatMap { Int($0) }
        }
        guard request.path == "/blocks/", numbers.count == 2 else { return .status(404, "{}") }
        let blocks = (numbers[0]..<(numbers[0] + numbers[1])).map { height in
            "{\"height\":\(height),\"data\":\"\(String(repeating: "x", count: 100))\(height)\"}"
        }
        return .status(200, "{\"blocks\":[\(blocks.joined(separator: ","))]}")
    }

    private func expected(_ heights: ClosedRange<Int>) -> [Hash] {
        heights.map { height in
            Array((String(repeating: "x", count: 100) + "\(height)").utf8).withUnsafeBytes { Hash(sha256: $0) }
        }
    }

    @Test func readsTheListInPages() async throws {
        let requests = try await withNode(answer: NodeDestinationTests.pages) { destination in
            var hashes: [Hash] = []
            try await destination.forEachTextHash(in: 7...2506) { hashes.append($0) }
            #expect(hashes == expected(7...2506))
        }
        #expect(requests.map(\.query) == ["from=7&limit=1000", "from=1007&limit=1000", "from=2007&limit=500"])
    }

    @Test func readsSmallerPagesWhereTheyAreTooLarge() async throws {
        let node = ScriptedNode(answer: NodeDestinationTests.pages)
        try await node.serve { url in
            let destination = try NodeDestination(
                url: url, credentials: NodeCredentials(), patience: patience, pageSizeBytesMax: 5000)
            var hashes: [Hash] = []
            try await destination.forEachTextHash(in: 1...200) { hashes.append($0) }
            #expect(hashes == expected(1...200))
            try await destination.close()
        }
    }

    @Test func failsWhereABlockIsMissing() async throws {
        for answer in [#"{"blocks":[]}"#, #"{"blocks":[{"height":2,"data":""}]}"#] {
            _ = try await withNode { _, _ in
                .status(200, answer)
            } _: { destination in
                await #expect { try await destination.forEachTextHash(in: 1...2) { _ in } } throws: { error in
                    "\(error)".hasSuffix("block 1 is missing")
                }
            }
        }
    }

    @Test(arguments: ["", "127.0.0.1:8000", "ftp://host", "http://", "http://h/?a=b", "http://h/#a"])
    func refusesWhatIsNoURL(url: String) {
        #expect(throws: CommandError.self) { try NodeDestination(url: url, credentials: NodeCredentials()) }
    }
}
