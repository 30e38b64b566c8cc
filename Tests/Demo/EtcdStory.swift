// The story of a group with an engine: its leader is killed, another one is frozen and woken, etcd loses its majority, and a
// node its disk, while clients append to all nodes.

import Foundation
import TestSupport

/// The steps, one after the other.
struct EtcdStory {
    private let group: NodeGroup
    private let etcd: EtcdCluster
    private let clients: Clients
    private let teller = Teller()
    /// The lease of 3 s, and 5 s to find another leader.
    private let replacedSeconds = 8.0
    private let frozenSeconds = 30.0

    init(group: NodeGroup, etcd: EtcdCluster) {
        self.group = group
        self.etcd = etcd
        clients = Clients(group: group)
    }

    func play() async throws {
        try await begin()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for number in 0..<6 {
                tasks.addTask { try await clients.run("client \(number)", first: number % group.nodes.count) }
            }
            tasks.addTask {
                try await appendToAll()
                try await killLeader()
                try await freezeLeader()
                try await loseMajority()
                try await loseDisk()
                await clients.end()
            }
            // One that fails ends the others.
            for try await _ in tasks {}
        }
        try await end()
    }

    // MARK: Steps

    private func begin() async throws {
        try await group.waitUntilTogether()
        say("three members of etcd, and three nodes that know each other: \(group.addresses.joined(separator: ", "))")
    }

    private func appendToAll() async throws {
        try await waitUntilAppended(withinSeconds: 30)
        try await Task.sleep(for: .seconds(3))
        let leader = try await leader()
        say(
            "six clients append to all nodes, and \(name(leader)) node puts it in order; \(await clients.acknowledgedCount) "
                + "texts so far")
    }

    private func killLeader() async throws {
        let leader = try await leader()
        try await group.nodes[leader].end(SIGKILL)
        let seconds = try await waitUntilAppended(withinSeconds: replacedSeconds)
        say("kill -9 of the leader, \(name(leader)) node; an append to another one was acknowledged after \(seconds)")
        try await group.nodes[leader].start()
        try await waitUntilThere(leader)
        say("\(name(leader)) node is back, and has all that was acknowledged")
    }

    private func freezeLeader() async throws {
        let leader = try await leader()
        let node = group.nodes[leader]
        let head: BlockAnswer = try await node.client.get("/blocks/head").json()
        node.signal(SIGSTOP)
        let start = ContinuousClock.now
        async let late = clients.append("to the frozen leader", to: leader, timeoutSeconds: 60)
        async let outdated = clients.append(
            "after its head", lastHash: head.hash, to: leader, timeoutSeconds: 60)
        async let abandoned = clients.append("to the frozen leader, and given up", to: leader, timeoutSeconds: 1)
        let seconds = try await waitUntilAppended(withinSeconds: replacedSeconds)
        say("the leader, \(name(leader)) node, is frozen; an append to another one was acknowledged after \(seconds)")
        try check(await abandoned == nil, "a frozen node does not answer")
        try await Task.sleep(until: start + .seconds(frozenSeconds))
        node.signal(SIGCONT)
        async let atOnce = clients.append("as it wakes", to: leader, timeoutSeconds: 60)
        let answers = try await [late, outdated, atOnce].map { $0?.status ?? 0 }
        try check(answers.allSatisfy { [200, 400, 503, 504].contains($0) }, "each append is answered: \(answers)")
        try check(answers[1] != 200, "nothing is put after a head that others have put blocks after")
        try await waitUntilThere(leader)
        say(
            "woken after \(Int(frozenSeconds)) s, it answered what had waited with \(answers[0]), what was to follow its old "
                + "head with \(answers[1]), and what came then with \(answers[2])")
    }

    private func loseMajority() async throws {
        let etcdLeader = try await etcd.leaderIndex()
        let lost = [etcdLeader, (etcdLeader + 1) % etcd.endpoints.count]
        for member in lost { etcd.kill(member) }
        let statuses = try await appendToEach("as etcd is lost", timeoutSeconds: 15).map(\.status)
        try check(statuses.allSatisfy { $0 == 503 || $0 == 504 }, "no append is acknowledged without etcd: \(statuses)")
        let acknowledgedCount = await clients.acknowledgedCount
        let start = ContinuousClock.now
        let later = try await appendToEach("without etcd", timeoutSeconds: 15)
        try check(ContinuousClock.now - start < .seconds(1), "appends are refused at once")
        try check(
            later.allSatisfy { $0.status == 503 && $0.fields["retry-after"] != nil },
            "appends are refused with 503 and Retry-After: \(later.map(\.status))")
        for node in group.nodes {
            let read = try await node.client.get("/blocks/head")
            try check(read.status == 200, "reads go on: \(read.status)")
            let newest = try await node.client.get("/blocks/head?consistency=linearizable")
            try check(newest.status == 503, "nobody says that it has the newest block: \(newest.status)")
        }
        say(
            "kill -9 of two of etcd's three members: appends get \(Set(statuses).sorted()), and then 503 at once; reads go on"
        )
        try check(await clients.acknowledgedCount == acknowledgedCount, "nothing was acknowledged meanwhile")
        for member in lost { try etcd.start(member) }
        try await etcd.waitUntilReady()
        let seconds = try await waitUntilAppended(withinSeconds: 10)
        for index in group.nodes.indices { try await waitUntilThere(index) }
        say("etcd is back, and \(seconds) later appends are acknowledged")
    }

    /// The node that is after the leader loses its disk.
    private func loseDisk() async throws {
        let index = (try await leader() + 1) % group.nodes.count
        let node = group.nodes[index]
        try await node.end(SIGKILL)
        try FileManager.default.removeItem(atPath: node.dataDirectory)
        try await node.start()
        try await waitUntilThere(index)
        let keptHeight = try await group.view(of: index).consensus?.keptHeight ?? 0
        try check(keptHeight > 0, "etcd does not have the first blocks any more")
        say(
            "kill -9 of \(name(index)) node, and its disk deleted: it is back with the whole list, of which etcd has only what "
                + "comes after \(keptHeight)")
    }

    private func end() async throws {
        let status = try await group.waitUntilEqual()
        var lists: Set<[BlockAnswer]> = []
        for node in group.nodes { lists.insert(try await node.client.get("/blocks/").json(BlocksAnswer.self).blocks) }
        try check(lists.count == 1, "all lists are equal")
        for list in lists { try await clients.verify(list) }
        say(
            "all nodes have the same list, height \(status.height), with each of \(await clients.acknowledgedCount) "
                + "acknowledged texts once, where it was acknowledged, and in the order of time")
        try await stopAndVerify(group)
        say("all three stopped in order, and chaind verify finds each list valid")
    }

    // MARK: What steps are made of

    private func leader() async throws -> Int {
        var leader: Int?
        try await eventually("there is a leader") {
            leader = try await group.leaderIndex()
            return leader != nil
        }
        guard let leader else { throw TestSupportError("there is no leader") }
        return leader
    }

    /// Waits until an append is acknowledged that is sent from now on.
    ///
    /// - Returns: how long it took.
    @discardableResult
    private func waitUntilAppended(withinSeconds seconds: Double) async throws -> String {
        let start = ContinuousClock.now
        try await eventually("an append is acknowledged", timeoutSeconds: seconds) { await clients.lastStart > start }
        return String(format: "%.1f s", (ContinuousClock.now - start) / .seconds(1))
    }

    /// Waits until a node has all that is acknowledged by now, and acknowledges an append itself.
    private func waitUntilThere(_ index: Int) async throws {
        let height = await clients.height
        var head: BlockAnswer?
        try await eventually("\(name(index)) node answers a linearizable read") {
            let answer = try await group.nodes[index].client.get("/blocks/head?consistency=linearizable")
            if answer.status == 200 { head = try answer.json() }
            return head != nil
        }
        try check(head.map { $0.height >= height } ?? false, "it shows all that was acknowledged before")
        let text = "to \(name(index)) node after \(height)"
        try await eventually("\(name(index)) node takes appends") {
            try await clients.append(text, key: text, to: index)?.status == 200
        }
    }

    /// Appends to all nodes at once.
    private func appendToEach(_ text: String, timeoutSeconds: Int64) async throws -> [HTTPAnswer] {
        try await withThrowingTaskGroup(of: HTTPAnswer?.self) { tasks in
            for index in group.nodes.indices {
                tasks.addTask {
                    try await clients.append("\(text), to node \(index)", to: index, timeoutSeconds: timeoutSeconds)
                }
            }
            return try await tasks.reduce(into: []) { answers, answer in
                guard let answer else { throw TestSupportError("\(text): a node does not answer") }
                answers.append(answer)
            }
        }
    }

    private func name(_ index: Int) -> String { "the " + ["first", "second", "third"][index] }

    private func say(_ line: String) { teller.say(line) }
}
