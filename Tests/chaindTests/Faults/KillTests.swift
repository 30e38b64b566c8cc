// SIGKILL of a real node under load, at random moments, again and again on one database.

import Foundation
import TestSupport
import Testing

@Suite(.serialized)
struct KillTests {
    private static let rounds = setting("CHAIND_TEST_KILL_ROUNDS") ?? 60
    /// Repeats a run: the seed of one that failed is in its messages.
    private static let seed = setting("CHAIND_TEST_SEED") ?? Int.random(in: 0..<1_000_000_000)

    private static func setting(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }

    @Test(.timeLimit(.minutes(30)))
    func everyAcknowledgedBlockIsThereOnceAfterEachKill() async throws {
        var random = SeededGenerator(seed: UInt64(Self.seed))
        try await withTemporaryDirectory { directory in
            let node = try NodeProcess(directory: directory.path)
            defer { node.stop() }
            let load = Load()
            var leftoversVerified = 0
            for round in 1...Self.rounds {
                do {
                    if round % 5 == 0 {
                        // Killed while it starts.
                        try node.launch()
                        try await Task.sleep(for: .milliseconds(Int.random(in: 0..<120, using: &random)))
                    } else {
                        try await node.start()
                        try await load.ledger.check(node)
                        let killedAfter = Double.random(in: 0.02..<0.5, using: &random)
                        async let running: Void = load.run(on: node, seconds: 5)
                        try await Task.sleep(for: .seconds(killedAfter))
                        node.signal(SIGKILL)
                        await running
                    }
                    #expect(try await node.end(SIGKILL) == 128 + SIGKILL)
                    if round % 10 == 1, try await Self.verifyLeftover(of: node, load) { leftoversVerified += 1 }
                } catch {
                    Issue.record("seed \(Self.seed), round \(round): \(error)")
                    return
                }
            }
            try await node.start()
            try await load.finish(on: node)
            try await load.ledger.check(node, fromGenesis: true)
            #expect(try await node.end(SIGTERM) == 0)
            let verified = try await runChaind(["verify", node.databasePath])
            #expect(verified.status == 0, "seed \(Self.seed): \(verified.output)\(verified.error)")
            #expect(leftoversVerified > 0, "no kill left a WAL behind")
            #expect(await load.ledger.acknowledged.count > Self.rounds, "there was no load")
        }
    }

    /// Verifies what a kill left behind, and expects that this changes and leaves nothing.
    ///
    /// - Returns: whether the kill left a WAL with something in it.
    private static func verifyLeftover(of node: NodeProcess, _ load: Load) async throws -> Bool {
        let before = try FolderContent(node.dataDirectory)
        let verified = try await runChaind(["verify", node.databasePath, "--json"])
        #expect(verified.status == 0, "\(verified.error)")
        let answer = try JSONDecoder().decode(ValidationAnswer.self, from: Data(verified.output.utf8))
        #expect(answer.state == "valid")
        #expect(await load.ledger.acknowledged.allSatisfy { $0.height <= answer.height })
        #expect(try FolderContent(node.dataDirectory) == before, "verify changed or left something")
        return before.files["chain.db-wal"]?.isEmpty == false
    }
}
