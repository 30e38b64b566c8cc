// How a history ends: the network heals, clocks are right, everybody is up; and what must hold then.

import Chain

@testable import chaind

extension Simulation {
    /// How long after the end of all accidents everything must be in order.
    private static let orderSecondsMax = 900.0

    /// Plays the history.
    func play() async -> HistoryOutcome {
        for node in nodes where !node.isLate { await start(node) }
        for node in nodes where node.isLate { restart(node, afterSeconds: seconds(0...plan.seconds)) }
        letThingsHappen()
        await run(untilSeconds: plan.seconds)
        await heal()
        if plan.endsEvenly { await partEvenly() }
        var conflicts = 0
        var isInOrder = await isInOrder()
        if !isInOrder, let chosen = await conflictingNodes(with: nil).first {
            // One decision a node ends it, whichever list is chosen.
            let others = await conflictingNodes(with: chosen.address)
            for node in others { await adopt(on: node, from: chosen.address) }
            conflicts = others.count
            isInOrder = await self.isInOrder()
        }
        if violations.isEmpty { await checkAll() }
        if !isInOrder { violate("there is no order, after \(conflicts) adoptions because of a conflict") }
        for node in nodes { await end(node) }
        return HistoryOutcome(
            seed: seed, violations: violations, conflicts: conflicts, events: eventCount,
            heights: nodes.map { $0.memory.entries.count - 1 }, fingerprint: generator.next())
    }

    /// Ends all accidents.
    private func heal() async {
        trace("everything heals")
        isHealed = true
        for node in nodes {
            node.unreachable = []
            setClock(of: node, offsetSeconds: 0)
            node.process?.crashPoint.disarm()
            await start(node)
            // As the file of the members tells in a while.
            await node.process?.replica.found(nodes.filter(\.hasStarted).map(\.address))
        }
    }

    /// When all is in order, two sides are parted, and each takes as many appends; then nothing happens any more. Only the
    /// rule for two lists of one length makes them equal.
    private func partEvenly() async {
        await run(untilSeconds: clock.nowSeconds + 60)
        let running = nodes.filter { $0.process != nil }
        guard running.count > 1 else { return }
        let side = running.prefix(number(1...running.count - 1))
        let other = running.dropFirst(side.count)
        trace("parted evenly: \(side.map(\.number)) from \(other.map(\.number))")
        for node in side { node.unreachable = Set(other.map(\.number)) }
        for node in other { node.unreachable = Set(side.map(\.number)) }
        let count = number(1...3)
        for node in [side[0], running[side.count]] {
            guard let process = node.process else { continue }
            let request = AppendRequest(drafts: (0..<count).map { _ in Draft(data: text()) })
            await send(request, to: process, on: node, keyed: nil)
        }
        await run(untilSeconds: clock.nowSeconds + 15)
        for node in nodes { node.unreachable = [] }
    }

    /// Lets time go by until the lists are equal and stay so, and no orphan is to be appended again.
    private func isInOrder() async -> Bool {
        let endSeconds = clock.nowSeconds + Self.orderSecondsMax
        var last: [Hash?] = []
        while clock.nowSeconds < endSeconds, violations.isEmpty {
            await run(untilSeconds: clock.nowSeconds + 10)
            let statuses = nodes.filter { !$0.isLost }.map { $0.process?.list.status }
            let heads = statuses.map { $0?.headHash }
            let areEqual = heads == last && Set(heads).count == 1 && heads[0] != nil
            let areWhole = statuses.allSatisfy { $0?.damagedHeights.isEmpty ?? false }
            if areEqual, areWhole, await !hasPendingOrphans() { return true }
            last = heads
        }
        return false
    }

    private func hasPendingOrphans() async -> Bool {
        for node in nodes {
            guard let list = node.process?.list else { continue }
            do {
                let pending = try await list.allOrphans().filter { $0.state == .pending }
                if pending.isEmpty { continue }
                // One that went bad on disk is only told of, and so is what was replaced before by the same.
                let damaged = try await ScrubFindings(of: list).orphans
                if !Set(pending.map(\.hash)).isSubset(of: node.memory.spoiltHashes.union(damaged)) { return true }
            } catch {
                violate("orphans cannot be read: \(error)")
            }
        }
        return false
    }

    /// The nodes that show a conflict, with a certain one or with any; in an order that chance decides.
    private func conflictingNodes(with address: MemberAddress?) async -> [SimulatedNode] {
        var conflicting: [SimulatedNode] = []
        for node in nodes.shuffled(using: &generator) {
            guard let replica = node.process?.replica else { continue }
            let view = await replica.group.view(ownHeight: 0, nowSeconds: clock.nowSeconds)
            let isConflicting = view.contains { $0.state == .conflict && (address == nil || $0.address == address) }
            if isConflicting { conflicting.append(node) }
        }
        return conflicting
    }

    /// Ends a process without a crash.
    private func end(_ node: SimulatedNode) async {
        guard let process = node.process else { return }
        node.process = nil
        do {
            try await process.list.close()
            let report = try await BlockList.verify(path: node.files.path) { _ in }
            if violations.isEmpty, let fault = report.fault {
                violate("the file of node \(node.number) is damaged: \(fault)")
            }
        } catch {
            violate("the file of node \(node.number) cannot be closed and verified: \(error)")
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
                let damaged = try await ScrubFindings(of: list).heights
                if !damaged.isEmpty { violate("node \(node.number) has damaged blocks: \(damaged)") }
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
            let present = Set(list.map(\.identity))
            for (index, keyed) in ledger.keyed.enumerated() where isKept(keyed) {
                // What a disk alone had and lost is still waited for.
                if present.isSuperset(of: keyed.identities ?? []) { await check(index, list) }
            }
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

extension BlockList {
    fileprivate func allOrphans() async throws(ReadError) -> [Orphan] {
        var orphans: [Orphan] = []
        while true {
            let page = try await self.orphans(before: orphans.last?.id, limit: 1_000)
            guard !page.isEmpty else { return orphans }
            orphans += page
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
