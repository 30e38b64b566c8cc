// A stop in order: what was acknowledged is there, the WAL is moved into the database, and the status is 0.

import Foundation
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(2)))
struct StopTests {
    @Test(arguments: [SIGTERM, SIGINT])
    func aStopUnderLoadKeepsWhatWasAcknowledged(signal: Int32) async throws {
        try await withNode { node in
            let load = Load()
            for _ in 0..<3 {
                async let running: Void = load.run(on: node, seconds: 10)
                try await Task.sleep(for: .milliseconds(400))
                #expect(try await node.end(signal) == 0, "\(node.error)")
                await running
                let names = try FileManager.default.contentsOfDirectory(atPath: node.dataDirectory).sorted()
                #expect(!names.contains("chain.db-wal") && !names.contains("chain.db-shm"), "\(names)")
                let verified = try await runChaind(["verify", node.databasePath])
                #expect(verified.status == 0, "\(verified.output)\(verified.error)")
                try await node.start()
                try await load.ledger.check(node)
            }
            try await load.finish(on: node)
            try await load.ledger.check(node, fromGenesis: true)
            #expect(await load.ledger.acknowledged.count > 10)
        }
    }

    @Test func aStopDoesNotWaitForAConnectionWithoutARequest() async throws {
        try await withNode { node in
            let idle = try RawConnection(port: node.port)
            #expect(try await node.client.get("/").status == 200)
            #expect(try await node.end(SIGTERM, timeoutSeconds: 10) == 0, "\(node.error)")
            #expect(try await idle.receive().isEmpty)
        }
    }
}
