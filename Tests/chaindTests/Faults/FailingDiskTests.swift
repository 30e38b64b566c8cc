// A disk whose syncs and writes fail at the commit: nothing acknowledged is lost, nothing refused comes back.

import Foundation
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct FailingDiskTests {
    @Test func aSyncThatFailsOnceIsAnUnknownOutcome() async throws {
        try await withNodeOnFailingDisk { node, disk in
            let ledger = Ledger()
            for number in 0..<5 { await ledger.append(["before \(number)"], to: node) }
            try disk.failOnce(.wal, .sync)
            #expect(await ledger.append(["at the fault"], to: node) == 504)
            #expect(try disk.isSpent)
            try await Self.appendUntilAcknowledged("after", ledger, node)
            try await ledger.check(node)

            #expect(try await node.end(SIGKILL) == 128 + SIGKILL)
            try await node.start()
            try await ledger.check(node, fromGenesis: true)
            try await Self.expectValid(node)
        }
    }

    /// The commit that could not be synced is in the WAL when the process dies right after it.
    @Test func aKillRightAfterAFailedSyncLosesNothingAcknowledged() async throws {
        try await withNodeOnFailingDisk { node, disk in
            let ledger = Ledger()
            for round in 0..<8 {
                for number in 0..<3 { await ledger.append(["round \(round), \(number)"], to: node) }
                try disk.failOnce(.wal, .sync)
                #expect(await ledger.append(["round \(round), at the fault"], to: node) == 504)
                try await node.end(SIGKILL)
                try await node.start()
                try await ledger.check(node)
            }
            #expect(await ledger.acknowledged.count == 24)
            try await Self.expectValid(node)
        }
    }

    @Test func syncsThatFailUnderLoadLeaveEveryAnswerTrue() async throws {
        try await withNodeOnFailingDisk { node, disk in
            let load = Load()
            for _ in 0..<4 {
                async let running: Void = load.run(on: node, seconds: 2)
                for _ in 0..<5 {
                    try await Task.sleep(for: .milliseconds(200))
                    try disk.failOnce(.wal, .sync)
                }
                try await Task.sleep(for: .milliseconds(300))
                node.signal(SIGKILL)
                await running
                try await node.end(SIGKILL)
                try await node.start()
                try await load.ledger.check(node)
            }
            try await load.finish(on: node)
            try await load.ledger.check(node, fromGenesis: true)
            #expect(await load.ledger.statuses[504, default: 0] > 0)
            #expect(await load.ledger.statuses[200, default: 0] > 20)
            try await Self.expectValid(node)
        }
    }

    @Test(arguments: [FailingDisk.Fault.write, .sync])
    func aDiskThatStaysBrokenTakesNothingUntilItWorks(fault: FailingDisk.Fault) async throws {
        try await withNodeOnFailingDisk { node, disk in
            let ledger = Ledger()
            await ledger.append(["before"], to: node)
            try disk.fail(.wal, fault)
            for number in 0..<10 {
                let status = await ledger.append(["while broken \(number)"], to: node)
                #expect(status == 503 || status == 504)
                #expect(try await node.client.get("/blocks/1").status == 200)
            }
            try disk.mend(.wal, fault)
            try await Self.appendUntilAcknowledged("after", ledger, node)
            try await ledger.check(node)

            try await node.end(SIGKILL)
            try await node.start()
            try await ledger.check(node, fromGenesis: true)
            try await Self.expectValid(node)
        }
    }

    @Test func aWriteThatFailsOnceIsNotAcknowledged() async throws {
        try await withNodeOnFailingDisk { node, disk in
            let ledger = Ledger()
            for round in 0..<6 {
                await ledger.append(["round \(round)"], to: node)
                try disk.failOnce(.wal, .write)
                let status = await ledger.append(["round \(round), at the fault"], to: node)
                #expect(status == 503 || status == 504)
                #expect(try disk.isSpent)
                if round % 2 == 0 { try await Self.appendUntilAcknowledged("round \(round), after", ledger, node) }
                try await node.end(SIGKILL)
                try await node.start()
                try await ledger.check(node)
            }
            try await Self.expectValid(node)
        }
    }

    @Test func aShortWriteIsCarriedOn() async throws {
        try await withNodeOnFailingDisk { node, disk in
            let ledger = Ledger()
            for number in 0..<5 {
                try disk.failOnce(.wal, .short)
                #expect(await ledger.append(["short \(number)"], to: node) == 200)
                #expect(try disk.isSpent)
            }
            try await node.end(SIGKILL)
            try await node.start()
            try await ledger.check(node)
            try await Self.expectValid(node)
        }
    }

    /// Half of a frame is written before there is no room for the rest.
    @Test func aShortWriteOnAFullDiskIsRefusedForEver() async throws {
        try await withNodeOnFailingDisk { node, disk in
            let ledger = Ledger()
            for number in 0..<5 {
                await ledger.append(["before \(number)"], to: node)
                try disk.failOnce(.wal, .short)
                try disk.fail(.wal, .full)
                #expect(await ledger.append(["full \(number)"], to: node) == 507)
                try disk.mend(.wal, .full)
                if number % 2 == 0 { #expect(await ledger.append(["after \(number)"], to: node) == 200) }
                try await node.end(SIGKILL)
                try await node.start()
                try await ledger.check(node)
            }
            try await Self.expectValid(node)
        }
    }

    /// The checkpoint is work on blocks that were acknowledged before, so its failure is nobody's refusal.
    @Test(arguments: [FailingDisk.Fault.write, .sync, .full])
    func aCheckpointThatFailsLosesNothing(fault: FailingDisk.Fault) async throws {
        try await withNodeOnFailingDisk { node, disk in
            let ledger = Ledger()
            try disk.failOnce(.db, fault)
            // More than the WAL holds before it is moved into the database.
            for number in 0..<20 {
                await ledger.append(["\(number) " + String(repeating: "x", count: 900_000)], to: node)
            }
            #expect(try disk.isSpent, "there was no checkpoint")
            #expect(await ledger.acknowledged.count > 15)
            try await Self.appendUntilAcknowledged("after", ledger, node)
            try await node.end(SIGKILL)
            try await node.start()
            try await ledger.check(node, fromGenesis: true)
            try await Self.expectValid(node)
        }
    }

    /// A node that has to read its database back may refuse for a moment, but not for long.
    private static func appendUntilAcknowledged(_ name: String, _ ledger: Ledger, _ node: NodeProcess) async throws {
        for attempt in 0..<20 {
            if await ledger.append(["\(name), attempt \(attempt)"], to: node) == 200 { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        Issue.record("no append is taken any more: \(node.error)")
    }

    private static func expectValid(_ node: NodeProcess) async throws {
        #expect(try await node.client.get("/blocks/valid").json(ValidationAnswer.self).state == "valid")
    }
}
