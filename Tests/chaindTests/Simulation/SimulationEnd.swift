// How a history ends: the network heals, clocks are right, everybody is up; and what must hold then.

import Chain

@testable import chaind

extension Simulation {
    /// How long after the end of all accidents everything must be in order.
    private static let orderSecondsMax = 900.0

    /// Plays the history.
    func play() async -> HistoryOutcome {
        for node in nodes { await start(node) }
        letThingsHappen()
        await run(untilSeconds: plan.seconds)
        trace("everything heals")
        isHealed = true
        for node in nodes {
            node.unreachable = []
            setClock(of: node, offsetSeconds: 0)
            node.process?.crashPoint.disarm()
            await start(node)
        }
        var conflicts = 0
        while await !isInOrder(), conflicts < nodes.count {
            guard let (node, other) = await conflict() else { break }
            conflicts += 1
            trace("node \(node.number) is in conflict with \(other)")
            await adopt(on: node, from: other)
        }
        if violations.isEmpty { await checkAll() }
        for node in nodes { await end(node) }
        return HistoryOutcome(
            seed: seed, violations: violations, conflicts: conflicts, events: eventCount,
            heights: nodes.map { $0.memory.entries.count - 1 }, fingerprint: generator.next())
    }

    /// Lets time go by until the lists are equal and stay so, and no orphan is to be appended again.
    private func isInOrder() async -> Bool {
        let endSeconds = clock.nowSeconds + Self.orderSecondsMax
        var last: [Hash?] = []
        while clock.nowSeconds < endSeconds, violations.isEmpty {
            await run(untilSeconds: clock.nowSeconds + 10)
            let heads = nodes.filter { !$0.isLost }.map { $0.process?.list.status.headHash }
            let areEqual = heads == last && Set(heads).count == 1 && heads[0] != nil
            if areEqual, await !hasPendingOrphans() { return true }
            last = heads
        }
        return false
    }

    private func hasPendingOrphans() async -> Bool {
        for list in nodes.compactMap(\.process?.list) {
            do throws(ReadError) {
                if try await list.orphans(before: nil, limit: 1_000).contains(where: { $0.state == .pending }) {
                    return true
                }
            } catch {
                violate("orphans cannot be read: \(error)")
            }
        }
        return false
    }

    /// A node that shows a conflict, and with whom.
    private func conflict() async -> (SimulatedNode, MemberAddress)? {
        for node in nodes {
            guard let replica = node.process?.replica else { continue }
            let view = await replica.group.view(ownHeight: 0, nowSeconds: clock.nowSeconds)
            if let member = view.first(where: { $0.state == .conflict }) { return (node, member.address) }
        }
        return nil
    }

    /// Ends a process without a crash.
    private func end(_ node: SimulatedNode) async {
        guard let process = node.process else { return }
        node.process = nil
        do {
            try await process.list.close()
        } catch {
            violate("node \(node.number) cannot be closed: \(error)")
        }
        await endTasks(of: process.number)
        process.crashPoint.remove()
    }

    // MARK: What must hold

    private func checkAll() async {
        do {
            var lists: [[Block]] = []
            for node in nodes {
                guard let list = node.process?.list else { continue }
                let report = try await list.validate()
                if let fault = report.fault { violate("node \(node.number) has an invalid list: \(fault)") }
                var blocks: [Block] = []
                for try await slice in list.slices(from: 1) { blocks += slice.blocks }
                lists.append(blocks)
                trace("node \(node.number) ends at height \(blocks.count)")
            }
            guard let list = lists.first else { return violate("no node runs") }
            if lists.contains(where: { $0 != list }) { violate("lists differ: heights \(lists.map(\.count))") }
            check(list)
            let lost = missing()
            if !lost.isEmpty { violate("\(lost.count) acknowledged blocks are not in the list: \(lost)") }
            for node in nodes { try await checkOrphans(of: node, list) }
            for index in ledger.keyed.indices where isKept(ledger.keyed[index]) { await check(index, list) }
        } catch {
            violate("a list cannot be read: \(error)")
        }
    }

    /// Nothing stands there twice, and nothing that nobody sent.
    private func check(_ list: [Block]) {
        var unknown: [String: Int] = [:]
        var identities: Set<Hash> = []
        for block in list {
            if !identities.insert(block.identity).inserted { violate("block \(block.height) is there twice") }
            if let text = ledger.acknowledged[block.identity] {
                if text != block.data { violate("block \(block.height) has another text than was acknowledged") }
            } else {
                unknown[block.data, default: 0] += 1
            }
        }
        for (text, count) in unknown where count > ledger.unknown[text, default: 0] {
            violate("there are \(count) blocks of '\(text)' that nobody sent")
        }
    }

    /// The identities that a client was told of, a surviving node had in its list, and the first list lacks.
    private func missing() -> [String] {
        guard let running = nodes.first(where: { $0.process != nil }) else { return [] }
        let present = Set(running.memory.entries.map(\.identity))
        var held: Set<Hash> = []
        for node in nodes where !node.isLost { held.formUnion(node.memory.identities.values) }
        return held.filter { !present.contains($0) && ledger.acknowledged[$0] != nil }.map { $0.hex }.sorted()
    }

    /// A node says of each block that was replaced in its list where what it stands for is now.
    private func checkOrphans(of node: SimulatedNode, _ list: [Block]) async throws {
        guard let process = node.process else { return }
        let places = Dictionary(list.map { ($0.identity, $0) }) { first, _ in first }
        let present = Set(node.memory.entries.map(\.hash))
        let orphans = node.memory.identities.filter { !present.contains($0.key) }
        for (hash, identity) in orphans.sorted(by: { $0.key.hex < $1.key.hex }) {
            guard let block = places[identity] else { continue }
            let state = try await process.list.orphan(hash)?.state
            if state != .moved(height: block.height, hash: block.hash) {
                violate("node \(node.number) does not know that \(hash.hex.prefix(8)) is block \(block.height) now")
            }
        }
    }

    /// A key that is sent again is answered with the blocks where they stand.
    private func check(_ index: Int, _ list: [Block]) async {
        let keyed = ledger.keyed[index]
        guard let identities = keyed.identities, let process = nodes[keyed.node].process else { return }
        do throws(AppendError) {
            let blocks = try await process.list.append(keyed.request)
            let found = blocks.map { $0.height <= list.count ? list[$0.height - 1] : nil }
            if blocks.map(\.identity) != identities || found != blocks {
                violate("the key of append \(index) is answered with other blocks")
            }
        } catch {
            violate("the key of append \(index) is refused: \(error)")
        }
    }
}

/// What came of a history.
struct HistoryOutcome: Sendable, Equatable {
    let seed: UInt64
    let violations: [String]
    /// How many adoptions by an operator it took.
    let conflicts: Int
    let events: Int
    let heights: [Int]
    /// The next random number: the same for the same history.
    let fingerprint: UInt64
}
