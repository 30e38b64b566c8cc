// A disk without room: appends are refused for good, reads go on, and appends too once there is room.

import Foundation
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct FullDiskTests {
    @Test(.enabled(if: SmallDisk.isAvailable))
    func aFullDiskRefusesAppendsAndServesReads() async throws {
        try await withNodeOnSmallDisk(sizeBytes: 64 << 20) { node, disk in
            let ledger = Ledger()
            for number in 0..<10 { #expect(await ledger.append(["before \(number)"], to: node) == 200) }
            try disk.leave(freeBytes: 0)
            try await Self.fillUp(node, ledger)
            // It is refused as often as it is tried, with the same status.
            for number in 0..<5 {
                let text = "full \(number) " + String(repeating: "x", count: 300_000)
                #expect(await ledger.append([text], to: node) == 507)
            }
            #expect(try await node.client.get("/").status == 200)
            #expect(try await node.client.get("/blocks/head").status == 200)
            let valid = try await node.client.get("/blocks/valid").json(ValidationAnswer.self)
            #expect(valid.state == "valid")
            try await ledger.check(node)

            // Killed and started again while there is no room.
            try await node.end(SIGKILL)
            try await node.start()
            try await ledger.check(node)

            try disk.empty()
            for number in 0..<5 {
                #expect(
                    await ledger.append(["after \(number) " + String(repeating: "x", count: 500_000)], to: node) == 200)
            }
            try await node.end(SIGKILL)
            try await node.start()
            try await ledger.check(node, fromGenesis: true)
            #expect(try await node.client.get("/blocks/valid").json(ValidationAnswer.self).state == "valid")
            #expect(try await node.end(SIGTERM) == 0)
        }
    }

    @Test(.enabled(if: SmallDisk.isAvailable))
    func aSmallAppendThatFitsIsTakenBesideALargeOneThatDoesNot() async throws {
        try await withNodeOnSmallDisk(sizeBytes: 64 << 20) { node, disk in
            let ledger = Ledger()
            #expect(await ledger.append(["before"], to: node) == 200)
            try disk.leave(freeBytes: 400_000)
            // While the first of them is written the others wait, and share the next transaction.
            for round in 0..<4 {
                await withTaskGroup(of: Void.self) { group in
                    for number in 0..<6 {
                        group.addTask {
                            let large = "large \(round), \(number) " + String(repeating: "x", count: 1_000_000)
                            #expect(await ledger.append([large], to: node) == 507)
                        }
                        group.addTask {
                            #expect(await ledger.append(["small \(round), \(number)"], to: node) == 200)
                        }
                    }
                }
            }
            try await node.end(SIGKILL)
            try await node.start()
            try await ledger.check(node)
        }
    }

    /// The same without a file system of its own, for a machine where none can be mounted.
    @Test func aWriteWithoutRoomIsRefusedForEver() async throws {
        try await withNodeOnFailingDisk { node, disk in
            let ledger = Ledger()
            await ledger.append(["before"], to: node)
            try disk.fail(.wal, .full)
            for number in 0..<10 { #expect(await ledger.append(["full \(number)"], to: node) == 507) }
            #expect(try await node.client.get("/blocks/valid").json(ValidationAnswer.self).state == "valid")
            try disk.mend(.wal, .full)
            #expect(await ledger.append(["after"], to: node) == 200)
            try await ledger.check(node)
            try await node.end(SIGKILL)
            try await node.start()
            try await ledger.check(node, fromGenesis: true)
        }
    }

    /// Appends until one is refused.
    private static func fillUp(_ node: NodeProcess, _ ledger: Ledger) async throws {
        for number in 0..<500 {
            let status = await ledger.append(["filling \(number) " + String(repeating: "x", count: 100_000)], to: node)
            if status == 507 { return }
            try #require(status == 200)
        }
        Issue.record("the disk is never full")
    }
}
