// A file that the last program of file version 1 wrote, kept as it is: this one reads it, and takes it over.

import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct Version1Tests {
    // How it was made: by `chaind serve` of commit f96c6e9, whose clock began at 1,700,000,000; the first hundred texts
    // one by one, the others as batches of 30. Two of the appends had a key.
    private static let database = "version_1.db"
    private static let height = 400
    /// As that program answered it; all hashes before it follow from it.
    private static let headHash = "3929c885d4893d0d9dbdca66311587e71854c876827f996cca970ebf1d587ed5"
    private static let appendedSeconds = 1_700_010_003
    private static let singleKey = (key: "single", height: 60)
    private static let batchKey = (key: "batch", heights: 251...280)

    /// The texts from height 1 on.
    private static let texts: [String] = {
        let odd = [
            "", "\u{0}", " \t\r\n", "\"\\/", "Genesis Block", "olá, 世界 🌍", "e\u{301} \u{202e}\u{feff}\u{ffff}",
            String(repeating: "x", count: 5_000),
        ]
        return odd + (odd.count + 1...height).map { "text \($0) " + String(repeating: "é", count: $0 % 40) }
    }()

    @Test func verifyReadsItAsItIs() async throws {
        try await KeptFile.checkVerify(Self.database, version: 1, height: Self.height)
    }

    @Test func aNodeTakesItOverWithEveryBlockAndKey() async throws {
        try await KeptFile.withNode(on: Self.database, clockSeconds: Self.appendedSeconds + 3_600) {
            node async throws in
            let list = try await node.wholeList()
            #expect(list.last?.hash == Self.headHash)
            #expect(list.dropFirst().map(\.data) == Self.texts)
            try GroupLedger.checkHashes(list)
            for block in [list[1], list[100], list[399]] {
                #expect(try await node.client.get("/blocks/\(block.hash)").json(BlockAnswer.self) == block)
            }
            let single = try await node.client.post(
                "/blocks/", ["data": list[Self.singleKey.height].data], fields: ["Idempotency-Key": Self.singleKey.key])
            #expect(try single.json(BlocksAnswer.self).blocks == [list[Self.singleKey.height]])
            let batch = try await node.client.post(
                "/blocks/batch", ["data": list[Self.batchKey.heights].map(\.data)],
                fields: ["Idempotency-Key": Self.batchKey.key])
            #expect(try batch.json(BlocksAnswer.self).blocks == Array(list[Self.batchKey.heights]))

            let next = try await node.append("of this version")
            #expect(next.height == Self.height + 1 && next.previousHash == Self.headHash)
            #expect(try await node.client.get("/blocks/valid").json(ValidationAnswer.self).state == "valid")
            #expect(try await node.end(SIGTERM) == 0)
            #expect(try FolderContent(node.dataDirectory).files["chain.db"]?[63] == 3, "it is not of version 3")
            #expect(try await runChaind(["verify", node.databasePath]).status == 0)
        }
    }
}
