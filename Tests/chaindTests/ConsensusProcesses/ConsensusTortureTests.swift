// Groups of real nodes whose order comes from a real etcd, under load, with everything going wrong at random moments. In
// the end everything works again, and what each client was told has to be true of the one list that there is.

import Foundation
import TestSupport
import Testing

@Suite(.serialized)
struct ConsensusTortureTests {
    private static let histories = setting("CHAIND_TORTURE_HISTORIES") ?? 2
    /// Repeats the faults of a history that failed, though not their exact moments.
    private static let first = setting("CHAIND_TORTURE_FIRST") ?? Int.random(in: 1..<1_000_000_000)
    /// Appends work again within 10 s; what is beyond that is for a busy machine.
    private static let againSeconds = 30.0

    private static func setting(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }

    @Test(.timeLimit(.minutes(240)))
    func historiesAreLinearizable() async throws {
        var appends = 0
        for seed in Self.first..<Self.first + Self.histories {
            do {
                let (summary, acknowledged) = try await play(seed: seed)
                print("history \(seed): \(summary)")
                appends += acknowledged
            } catch {
                Issue.record(
                    """
                    history \(seed): \(error)
                    Again: CHAIND_TORTURE_FIRST=\(seed) CHAIND_TORTURE_HISTORIES=1 swift test --filter ConsensusTortureTests
                    """)
            }
        }
        // A single history may have had no majority for most of its seconds.
        #expect(appends >= 20 * Self.histories, "That is no load.")
    }

    private func play(seed: Int) async throws -> (summary: String, acknowledged: Int) {
        try await withEtcd(hasPeerLinks: true) { etcd in
            try await withGroup(count: 3, meeting: .none, etcd: etcd) { group in
                let load = TortureLoad()
                var faults = TortureFaults(group: group, etcd: etcd, seed: seed)
                do {
                    try await appendEverywhere("before", load, group)
                    async let running: Void = load.run(on: group, clients: 8, textSizeBytes: 100, seed: seed)
                    for _ in 0..<8 { try await faults.next() }
                    try await faults.heal()
                    try await appendEverywhere("after", load, group)
                    await load.end()
                    await running
                    let summary = try await check(load, group, forgetfulNodes: faults.forgetfulNodes)
                    return (summary, await load.calls.count(where: \.outcome.isAppended))
                } catch {
                    let told = faults.told.joined(separator: "\n")
                    throw TestSupportError("\(error)\n\(told)\n\(await logs(of: group, load))")
                }
            }
        }
    }

    /// What is acknowledged before and after stays, and what is refused meanwhile does not come to be, whether the nodes see
    /// it coming or learn it from etcd.
    @Test(.timeLimit(.minutes(10)), arguments: [true, false])
    func etcdAtItsQuota(isToldToNodes: Bool) async throws {
        let (etcdMegabytes, toldMegabytes) = isToldToNodes ? (64, 16) : (8, 2_048)
        try await withEtcd(arguments: ["--quota-backend-bytes", "\(etcdMegabytes << 20)"]) { etcd in
            let arguments = ["--etcd-quota-megabytes", "\(toldMegabytes)"]
            try await withGroup(count: 3, meeting: .none, etcd: etcd, arguments: arguments) { group in
                let load = TortureLoad()
                do {
                    print("etcd at its quota: \(try await fill(etcd, isToldToNodes: isToldToNodes, load, group))")
                } catch {
                    throw TestSupportError("\(error)\n\(await logs(of: group, load))")
                }
            }
        }
    }

    private func fill(
        _ etcd: EtcdCluster, isToldToNodes: Bool, _ load: TortureLoad, _ group: NodeGroup
    ) async throws -> String {
        try await appendEverywhere("before", load, group)
        async let running: Void = load.run(on: group, clients: 8, textSizeBytes: 60_000, seed: Self.first)
        try await eventually("etcd is full", timeoutSeconds: 60) { await load.wasRefused("etcd is full") }
        // Who begins while nothing can be written comes in later.
        let leader = try await group.leaderIndex() ?? 0
        _ = try await group.nodes[leader].end(SIGKILL)
        try await group.nodes[leader].start()
        try await Task.sleep(for: .seconds(4))
        // It would fill etcd again before every node has appended.
        await load.end()
        await running
        try await isToldToNodes ? etcd.compact(by: 0) : etcd.makeRoom()
        try await appendEverywhere("after", load, group)
        return try await check(load, group)
    }

    @Test(.timeLimit(.minutes(5)))
    func aLeaderThatIsKilledIsReplaced() async throws {
        try await withEtcd { etcd in
            try await withGroup(count: 3, meeting: .none, etcd: etcd) { group in
                let load = TortureLoad()
                try await appendEverywhere("before", load, group)
                let leader = try #require(try await group.leaderIndex())
                _ = try await group.nodes[leader].end(SIGKILL)
                let start = ContinuousClock.now
                // Its lease of 3 s, 5 s to find another one, and what a busy machine takes beyond that.
                try await load.appendOnce("after", on: (leader + 1) % 3, of: group, timeoutSeconds: 18)
                print("after a leader's end: \((ContinuousClock.now - start) / .seconds(1)) s")
                try await group.nodes[leader].start()
                try await appendEverywhere("again", load, group)
                _ = try await check(load, group)
            }
        }
    }

    /// Every node appends.
    func appendEverywhere(_ text: String, _ load: TortureLoad, _ group: NodeGroup) async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for node in group.nodes.indices {
                tasks.addTask {
                    try await load.appendOnce(
                        "\(text), node \(node)", on: node, of: group,
                        timeoutSeconds: Self.againSeconds)
                }
            }
            try await tasks.waitForAll()
        }
    }

    /// - Returns: what there was, in a line.
    func check(
        _ load: TortureLoad, _ group: NodeGroup, forgetfulNodes: Set<Int> = []
    ) async throws -> String {
        try await load.finish(on: group)
        try await group.waitUntilEqual(timeoutSeconds: 20)
        var lists: [[BlockAnswer]] = []
        var orphans: Set<String> = []
        for node in group.nodes {
            orphans.formUnion(try await node.orphanHashes())
            let validation: ValidationAnswer = try await node.client.get("/blocks/valid").json()
            guard validation.state == "valid" else { throw TestSupportError("invalid: \(validation)") }
        }
        // An append that nobody waits for any more may still come.
        try await eventually("the lists are equal", timeoutSeconds: 20) {
            lists = []
            for node in group.nodes { lists.append(try await node.wholeList()) }
            return Set(lists).count == 1
        }
        try GroupLedger.checkHashes(lists[0])
        let calls = await load.calls
        let violations = HistoryCheck.violations(
            of: calls, list: lists[0], orphans: orphans, forgetfulNodes: forgetfulNodes)
        guard violations.isEmpty else {
            throw TestSupportError(violations.prefix(10).map { $0.description.prefix(2_000) }.joined(separator: "\n"))
        }
        let acknowledged = calls.count(where: \.outcome.isAppended)
        return "\(calls.count) calls, \(acknowledged) appends acknowledged, \(lists[0].count) blocks"
    }

    /// What the nodes say at the end, of the last calls and in their logs.
    private func logs(of group: NodeGroup, _ load: TortureLoad) async -> String {
        var text = ""
        // Those that the end of the test cancelled say nothing.
        let calls = await load.calls.filter { $0.outcome != .unknown("\(CancellationError())") }
        for (index, node) in group.nodes.enumerated() {
            text += "node \(index), \(group.address(of: index)):\n"
            do {
                let state = try await group.view(of: index).consensus
                text += "  \(state?.state ?? "") \(state?.reason ?? ""), leader \(state?.leader ?? "none")\n"
            } catch {
                text += "  \(error)\n"
            }
            for call in calls.filter({ $0.node == index && !$0.outcome.isAppended }).suffix(5) {
                text += "  \(call.startSeconds) to \(call.endSeconds) s: \(call.outcome)\n"
            }
            text += node.error.suffix(4_000) + "\n"
        }
        return text
    }
}

extension NodeProcess {
    /// The hashes of all orphans of the node.
    fileprivate func orphanHashes() async throws -> [String] {
        var hashes: [String] = []
        var next: Int?
        repeat {
            let path = "/sync/orphans" + (next.map { "?before=\($0)" } ?? "")
            let page: OrphansAnswer = try await client.get(path).json()
            hashes += page.orphans.map(\.hash)
            next = page.next
        } while next != nil
        return hashes
    }
}
