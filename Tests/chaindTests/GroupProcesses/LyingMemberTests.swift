// A real node among members that send what is wrong: each is refused with its address, the height and the reason, in
// `GET /sync/` and in the log, nothing of what it sent is kept, and it is asked again less and less often.

import Chain
import Foundation
import Hummingbird
import NIOCore
import TestSupport
import Testing

@testable import chaind

@Suite(.serialized, .timeLimit(.minutes(3)))
struct LyingMemberTests {
    /// A lie, and what is said of it.
    private struct Lie {
        let name: String
        let member: LyingMember
        let reasons: [String]
    }

    private static let lies: [Lie] = {
        let good = LyingMember.blocks(20, "a")
        let late =
            Array(good[..<10]) + [
                Block(height: 11, timestamp: 1_600_000_000, data: "before", previousHash: good[9].hash)
            ]
        let short = LyingMember.blocks(10, "short")
        let farHead = BlockPoint(height: 15, hash: good[14].hash)
        let endless = LyingMember(head: good[1].point) {
            .body { writer in
                try await writer.write(ByteBuffer(bytes: LyingMember.bytes(good, head: good[1].point)))
            }
        }
        let nothing = LyingMember(head: BlockPoint(height: 1_000, hash: good[3].hash)) {
            Response(status: .notFound)
        }
        let lower = BlockPoint(height: 900, hash: good[4].hash)
        let other = LyingMember(head: lower) { LyingMember(Array(good[..<1])).stream() }
        var anotherGenesis = LyingMember(good)
        anotherGenesis.knowsOurGenesis = false
        return [
            Lie(
                name: "a wrong hash", member: LyingMember(LyingMember.blocks(20, wrongAt: 7, "b")),
                reasons: ["7", "hash"]),
            Lie(name: "time goes back", member: LyingMember(late), reasons: ["11", "time"]),
            Lie(name: "another genesis", member: anotherGenesis, reasons: ["genesis"]),
            Lie(name: "a stream that is too short", member: LyingMember(short, head: farHead), reasons: ["10", "15"]),
            Lie(name: "a stream that is too long", member: endless, reasons: ["2"]),
            Lie(name: "a head without blocks", member: nothing, reasons: ["1000", "does not back"]),
            Lie(name: "a head with other blocks", member: other, reasons: ["900", "does not back"]),
            Lie(
                name: "no stream",
                member: LyingMember(head: BlockPoint(height: 9, hash: good[8].hash), bytes: [1, 2, 3]),
                reasons: ["stream"]),
        ]
    }()

    @Test(arguments: 0..<lies.count) func aLieIsRefusedAndNothingOfItIsKept(index: Int) async throws {
        let lie = Self.lies[index]
        try await withLyingMember(lie.member) { address, _ in
            try await Self.withNode(knowing: address) { node in
                let view = try await Self.waitForRefusal(by: node, of: address)
                let told = try #require(view.lastError)
                #expect(lie.reasons.allSatisfy(told.contains), "\(lie.name): \(told)")
                #expect(node.error.contains("\(address)") && node.error.contains("is refused"), "\(node.error)")
                let status = try await node.client.get("/").json(StatusAnswer.self)
                #expect(status.height == 0 && status.headHash == Block.genesis.hash.description)
                // The node lives, and what it takes stays.
                let block = try await node.append("ours")
                #expect(block.height == 1)
                #expect(try await node.client.get("/blocks/valid").json(ValidationAnswer.self).state == "valid")
                #expect(try await node.end(SIGTERM) == 0)
                #expect(try await runChaind(["verify", node.databasePath]).status == 0)
            }
        }
    }

    @Test func aTrickleIsRefused() async throws {
        let blocks = LyingMember.blocks(200, "slow")
        let bytes = LyingMember.bytes(blocks, head: blocks[199].point)
        let member = LyingMember(head: blocks[199].point) {
            .body { writer in
                for byte in bytes {
                    try await writer.write(ByteBuffer(bytes: [byte]))
                    try await Task.sleep(for: .milliseconds(100))
                }
            }
        }
        try await withLyingMember(member) { address, _ in
            try await Self.withNode(knowing: address) { node in
                let start = ContinuousClock.now
                // It holds up nobody.
                for index in 0..<20 { try await node.append("meanwhile \(index)") }
                #expect(ContinuousClock.now - start < .seconds(5))
                let view = try await Self.waitForRefusal(by: node, of: address)
                #expect(view.lastError == "too slow")
            }
        }
    }

    @Test func aLiarIsAskedLessAndLessOften() async throws {
        let member = LyingMember(LyingMember.blocks(20, wrongAt: 3, "c"))
        try await withLyingMember(member) { address, asked in
            try await Self.withNode(knowing: address) { node in
                for index in 0..<70 {
                    // Changes do not make it sooner. The list stays the worse one.
                    if index % 10 == 0 { try await node.append("text \(index)") }
                    try await Task.sleep(for: .milliseconds(100))
                }
                let moments = asked()
                let pauses = zip(moments, moments.dropFirst()).map { ($1 - $0) / .seconds(1) }
                #expect(2...4 ~= moments.count, "after 1 s, 2 s, 4 s: \(pauses)")
                for (pause, next) in zip(pauses, pauses.dropFirst()) { #expect(next > 1.5 * pause, "\(pauses)") }
            }
        }
    }

    /// A node that finds the member in its `sync.json` before it has blocks, and so asks no question.
    private static func withNode(
        knowing address: MemberAddress, _ body: (NodeProcess) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.path("members.json")
            try "{\"addresses\": [\"\(address)\"]}".write(toFile: path, atomically: true, encoding: .utf8)
            try await TestSupport.withNode(arguments: ["--interval-seconds", "1", "--sync-file", path]) {
                try await body($0)
            }
        }
    }

    private static func waitForRefusal(
        by node: NodeProcess, of address: MemberAddress
    ) async throws -> TestSupport.GroupAnswer.Member {
        var found: TestSupport.GroupAnswer.Member?
        try await eventually("the member is refused") {
            let view = try await node.client.get("/sync/").json(TestSupport.GroupAnswer.self)
            found = view.member("\(address)")
            return found?.lastError != nil
        }
        return try #require(found)
    }
}

extension LyingMember {
    /// A stream of blocks under a head that need not be theirs.
    fileprivate static func bytes(_ blocks: [Block], head: BlockPoint) -> [UInt8] {
        let header = StreamHeader(after: Block.genesis.point, head: head, finalHeight: 0)
        return StreamSample.bytes(header, (StreamSample.run(of: blocks).map { [.run($0)] } ?? []) + [.end])
    }
}
