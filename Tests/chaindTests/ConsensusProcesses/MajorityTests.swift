// What a group with an engine answers while etcd has no majority, and how soon it is back.

import Foundation
import TestSupport
import Testing

extension ConsensusTortureTests {
    /// How long nodes may take to find out that etcd does not answer: until they renew their places, and an attempt. It is
    /// less than the 15 s after which those are over.
    private static let noticeSeconds = 12.0
    /// What is answered at once.
    private static let onceSeconds: Int64 = 2

    @Test(.timeLimit(.minutes(5)), arguments: [true, false])
    func withoutAMajority(areFrozen: Bool) async throws {
        try await withEtcd { etcd in
            let arguments = ["--interval-seconds", "5"]
            try await withGroup(count: 3, meeting: .none, etcd: etcd, arguments: arguments) { group in
                let load = TortureLoad()
                try await appendEverywhere("before", load, group)
                let leader = try #require(try await group.leaderIndex())
                // One is on its way at that moment, and may come to be.
                async let sent = firstFailure(on: leader, load, group)
                try await Task.sleep(for: .milliseconds(300))
                for member in 0..<2 { areFrozen ? etcd.freeze(member) : etcd.kill(member) }
                // Before anybody else notices.
                try await Task.sleep(for: .milliseconds(500))
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for node in group.nodes.indices {
                        tasks.addTask { try await self.expectOnlyReads(on: node, load, group) }
                    }
                    try await tasks.waitForAll()
                }
                let outcome = try await sent
                #expect(outcome == .unknown("504"))

                for member in 0..<2 { areFrozen ? etcd.thaw(member) : try etcd.start(member) }
                let start = ContinuousClock.now
                try await appendEverywhere("after", load, group)
                print("after etcd's majority is back: \((ContinuousClock.now - start) / .seconds(1)) s")
                for node in group.nodes {
                    try await eventually("its figures say so") { try await takesAppends(node) == [1, 1] }
                }
                _ = try await check(load, group)
            }
        }
    }

    /// What the figures say of whether a node is ready, and takes appends.
    private func takesAppends(_ node: NodeProcess) async throws -> [Int] {
        let lines = try await node.client.get("/metrics").text.split(separator: "\n")
        return ["chaind_ready ", "chaind_consensus_takes_appends "].compactMap { name in
            lines.first { $0.hasPrefix(name) }.flatMap { Int($0.dropFirst(name.count)) }
        }
    }

    /// Appends one after the other.
    ///
    /// - Returns: what became of the first that was not acknowledged.
    private func firstFailure(on node: Int, _ load: TortureLoad, _ group: NodeGroup) async throws -> ClientCall.Outcome
    {
        for number in 0..<10_000 {
            let outcome = await load.call(.append(["sent \(number)"]), on: node, of: group, timeoutSeconds: 20)
            if !outcome.isAppended { return outcome }
        }
        throw TestSupportError("every append was acknowledged")
    }

    /// A node refuses appends at once, and says so also of linearizable reads; all others go on.
    private func expectOnlyReads(on node: Int, _ load: TortureLoad, _ group: NodeGroup) async throws {
        var number = 0
        try await eventually("node \(node) refuses appends", timeoutSeconds: Self.noticeSeconds) {
            number += 1
            return await isRefused(.append(["\(number), node \(node), may come to be"]), on: node, load, group)
        }
        for number in 0..<5 {
            #expect(await isRefused(.append(["\(number), node \(node)"]), on: node, load, group))
        }
        let local = await load.call(
            .head(isLinearizable: false), on: node, of: group, timeoutSeconds: Self.onceSeconds)
        guard case .read = local else { throw TestSupportError("node \(node) does not read: \(local)") }
        let linearizable = await load.call(
            .head(isLinearizable: true), on: node, of: group, timeoutSeconds: 12)
        guard case .refused = linearizable else {
            throw TestSupportError("node \(node) cannot know the newest block: \(linearizable)")
        }
        try await eventually("the figures of node \(node) say so") {
            try await takesAppends(group.nodes[node]) == [0, 0]
        }
    }

    private func isRefused(
        _ request: ClientCall.Request, on node: Int, _ load: TortureLoad, _ group: NodeGroup
    ) async -> Bool {
        let outcome = await load.call(request, on: node, of: group, timeoutSeconds: Self.onceSeconds)
        if case .refused = outcome { return true }
        return false
    }
}
