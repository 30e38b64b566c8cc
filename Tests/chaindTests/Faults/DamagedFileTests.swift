// A database file whose bytes changed while no node had it: the block is named, and everything else goes on.

import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3)))
struct DamagedFileTests {
    private static let blocks = 3_000

    @Test func aFlippedBitIsNamedAndTheRestIsServed() async throws {
        try await withDamagedNode(at: 1_000) { node, height in
            try await expectListed(height, node)
            try await expectDamaged("/blocks/\(height)", height, node)
            #expect(try await node.client.get("/blocks/\(height - 1)").status == 200)
            #expect(try await node.client.get("/blocks/\(height + 1)").status == 200)
            #expect(try await node.client.get("/blocks/?from=\(height + 1)&limit=100").status == 200)
            try await expectDamaged("/blocks/?from=\(height - 5)&limit=10", height, node)

            let validation = try await node.client.get("/blocks/valid").json(ValidationAnswer.self)
            #expect(validation.state == "invalid")
            #expect(validation.fault?.height == height)
            #expect(validation.fault?.kind == "hash")

            let head = try await node.client.get("/blocks/head").json(BlockAnswer.self)
            let appended = try await node.client.post("/blocks/", ["data": "after"]).json(BlocksAnswer.self).blocks
            #expect(appended.first?.previousHash == head.hash)

            #expect(try await node.end(SIGTERM) == 0)
            let verified = try await runChaind(["verify", node.databasePath])
            #expect(verified.status == 1)
            #expect(verified.output.contains("\(height)"))
        }
    }

    /// Whatever the page holds, no request may end the process.
    @Test func aDestroyedPageIsNamedAndTheNodeGoesOn() async throws {
        try await withDamagedNode(at: 1_000, wholePage: true) { node, height in
            try await expectDamaged("/blocks/\(height)", height, node)
            let validation = try await node.client.get("/blocks/valid").json(ValidationAnswer.self)
            #expect(validation.state == "invalid")
            #expect(try #require(validation.fault).height <= height)
            #expect(try await node.client.get("/blocks/head").status == 200)
            #expect(try await node.client.post("/blocks/", ["data": "after"]).status == 200)
        }
    }

    private func expectDamaged(_ path: String, _ height: Int, _ node: NodeProcess) async throws {
        let answer = try await node.client.get(path)
        #expect(answer.status == 503, "\(path)")
        #expect(answer.text.contains("block \(height) is damaged"), "\(path): \(answer.text.prefix(200))")
        #expect(answer.fields["retry-after"] != nil)
    }

    /// Waits for the validation after the start to have found the block.
    private func expectListed(_ height: Int, _ node: NodeProcess) async throws {
        for _ in 0..<200 {
            if try await node.client.get("/").json(StatusAnswer.self).damaged == [height] { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        Issue.record("block \(height) is not listed as damaged: \(try await node.client.get("/").text)")
    }

    /// Fills a node, stops it, damages the text of a block in the file or the page that holds it, and starts the node
    /// again.
    private func withDamagedNode(
        at height: Int, wholePage: Bool = false,
        _ body: (NodeProcess, _ height: Int) async throws -> Void
    ) async throws {
        try await withNode { node in
            for first in stride(from: 1, through: Self.blocks, by: 500) {
                let texts = (first..<(first + 500)).map { "[\($0)]" + String(repeating: "-", count: 100) }
                #expect(try await node.client.post("/blocks/batch", ["data": texts]).status == 200)
            }
            #expect(try await node.end(SIGTERM) == 0)
            let url = URL(fileURLWithPath: node.databasePath)
            var content = try Data(contentsOf: url)
            // The text may stand at more than one place: pages that were freed keep their bytes.
            var offset = content.startIndex
            var found = 0
            while let range = content.range(of: Data("[\(height)]".utf8), in: offset..<content.endIndex) {
                if wholePage {
                    let page = range.lowerBound / 4096 * 4096
                    content.replaceSubrange(page..<(page + 4096), with: Data(repeating: 0xFF, count: 4096))
                } else {
                    content[range.lowerBound + 1] ^= 1
                }
                offset = range.upperBound
                found += 1
            }
            try #require(found > 0, "the text of block \(height) is not in one piece")
            try content.write(to: url)
            try await node.start()
            try await body(node, height)
        }
    }
}
