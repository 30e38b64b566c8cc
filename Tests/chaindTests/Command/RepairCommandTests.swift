// `chaind repair` as a process: what it says of good, damaged and missing files.

import Chain
import Foundation
import TestSupport
import Testing

struct RepairCommandTests {
    @Test func aDamagedHeadIsAcceptedByDecision() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.path("chain.db")
            let list = try await BlockList.open(path: path) { 1_700_000_000 }
            _ = try await list.append(AppendRequest(drafts: [Draft(data: "head")]))
            try await list.close()
            let database = RawDatabase(path: path)
            var run = try #require(try database.runs().last)
            run.content[run.content.count - 1] ^= 1
            try database.update(run)

            #expect(try await runChaind(["verify", path]).status == 1)
            let repaired = try await runChaind(["repair", path, "--accept-head"])
            #expect(repaired.status == 0 && repaired.output.hasPrefix("block 1 was repaired: "), "\(repaired.error)")
            #expect(try await runChaind(["verify", path]).status == 0)
            let again = try await runChaind(["repair", path, "--accept-head"])
            #expect(again.status == 1 && again.error.hasSuffix("the head is not damaged\n"))
        }
    }

    @Test func aFileThatIsMissingIsNotMade() async throws {
        try await withTemporaryDirectory { directory in
            let result = try await runChaind(["repair", directory.path("none.db"), "--accept-head"])
            #expect(result.status == 2)
            #expect(try directory.names().isEmpty)
        }
    }
}
