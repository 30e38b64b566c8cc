// What must hold in a group with an engine: after each step, and in the end, once everything has healed.

import Chain
import TestSupport

@testable import chaind

extension ConsensusSimulation {
    /// How long after the end of all accidents every node takes appends.
    private static let livelySecondsMax = 30.0
    /// How long it takes until all is quiet.
    private static let quietSeconds = 40.0

    /// Plays the history.
    func play() async -> ConsensusOutcome {
        for node in nodes { await start(node) }
        letThingsHappen()
        letClientsAsk()
        await run(untilSeconds: plan.seconds)
        await heal()
        await checkAllTakeAppends()
        await run(untilSeconds: clock.nowSeconds + Self.quietSeconds)
        if violations.isEmpty { await checkAll() }
        for node in nodes { await end(node) }
        return ConsensusOutcome(
            seed: seed, violations: violations, events: eventCount, revision: etcd.model.revision,
            appended: appended.count, heights: nodes.map(\.finalHeight), fingerprint: generator.next())
    }

    private func end(_ node: ConsensusNode) async {
        guard let process = node.process else { return }
        node.process = nil
        do {
            try await endTasks(of: process)
        } catch {
            violate("the file of node \(node.number) cannot be closed: \(error)")
        }
    }

    // MARK: After each step

    /// A node's list is never before etcd, and what is final there stays so.
    func observe(_ node: ConsensusNode, _ process: ConsensusProcess) async {
        let status = process.list.status
        guard status.finalHeight != node.finalHeight || status.height != status.finalHeight else { return }
        if status.finalHeight < node.finalHeight {
            violate("node \(node.number) was final up to \(node.finalHeight), and is up to \(status.finalHeight)")
        }
        node.finalHeight = status.finalHeight
        if let height = node.lostHeight, status.finalHeight >= height { node.lostHeight = nil }
        guard status.height == status.finalHeight else {
            return violate("node \(node.number) has \(status.height) blocks, and only \(status.finalHeight) are final")
        }
        guard status.height == 0 || etcd.headHashes[status.height] == status.headHash else {
            return violate("node \(node.number) has a block \(status.height) that etcd has not committed")
        }
    }

    /// The order never forks and never goes back; nothing is deleted that a majority does not have.
    func check(_ event: EtcdEvent) {
        let keys = ConsensusKeys(prefix: plan.settings.prefix)
        guard case .put(let entry) = event else {
            if event.key == keys.head || event.key == keys.members { violate("\(event.key) is deleted") }
            return
        }
        switch entry.key {
        case keys.head:
            guard let head = Kept<HeadRecord>(entry)?.record else { return violate("the head cannot be read") }
            trace("the head is \(head.height), \(head.hash.hex.prefix(8))")
            if head.height <= etcd.headHeight, !etcd.headHashes.isEmpty {
                violate("the head goes from \(etcd.headHeight) to \(head.height)")
            }
            etcd.headHeight = head.height
            etcd.headHashes[head.height] = head.hash
        case keys.members:
            guard let members = Kept<MembersRecord>(entry)?.record else { return violate("the members cannot be read") }
            check(members)
        default: break
        }
    }

    private func check(_ members: MembersRecord) {
        trace("members \(members.members.map(\.text.last)), kept up to \(members.keptHeight)")
        if members.keptHeight < etcd.keptHeight { violate("what is deleted goes back to \(members.keptHeight)") }
        let having = nodes.filter { node in
            let process = node.process.flatMap { running($0.number) }
            // Of a disk that was lost nobody can know before its node says so.
            return node.isLossUntold || process?.list.status.finalHeight ?? node.finalHeight >= members.keptHeight
        }.map(\.address)
        let lacking = members.members.filter { !having.contains($0) }
        if members.keptHeight > etcd.keptHeight, 2 * lacking.count >= members.members.count {
            violate("\(lacking) of \(members.members.count) members lack what is deleted up to \(members.keptHeight)")
        }
        // One that has it does no harm even where another one has lost it meanwhile.
        for address in lacking where !etcd.members.contains(address) && members.keptHeight > 0 {
            violate("\(address) joins without what is deleted up to \(members.keptHeight)")
        }
        etcd.keptHeight = members.keptHeight
        etcd.members = members.members
    }

    // MARK: Whether the group goes on

    /// Every node takes appends soon.
    private func checkAllTakeAppends() async {
        let endSeconds = clock.nowSeconds + Self.livelySecondsMax
        var rest = nodes
        while !rest.isEmpty, violations.isEmpty {
            var sent: [(node: ConsensusNode, operation: Int)] = []
            for node in rest {
                ledger.lastText += 1
                let text = "after all \(ledger.lastText)"
                ledger.requests.append(OrderLedger.Request(request: AppendRequest(drafts: [Draft(data: text)])))
                if let operation = send(ledger.requests.count - 1, to: node) { sent.append((node, operation)) }
            }
            await run(untilSeconds: clock.nowSeconds + 2)
            let taken = sent.filter {
                if case .appended = ledger.operations[$0.operation].outcome { true } else { false }
            }
            rest.removeAll { node in taken.contains { $0.node === node } }
            if clock.nowSeconds > endSeconds, !rest.isEmpty {
                let refusals = sent.map { "\(String(describing: ledger.operations[$0.operation].outcome))" }
                violate("nodes \(rest.map(\.number)) take no appends after \(Self.livelySecondsMax) s: \(refusals)")
            }
        }
    }

    // MARK: In the end

    private func checkAll() async {
        do {
            var lists: [[Block]] = []
            for node in nodes {
                guard let list = node.process?.list else { return violate("node \(node.number) does not run") }
                let report = try await list.validate()
                if let fault = report.fault { violate("node \(node.number) has an invalid list: \(fault)") }
                if list.status.finalHeight != list.height {
                    violate("node \(node.number) has blocks that are not final")
                }
                var blocks: [Block] = []
                for try await slice in list.slices(from: 1) { blocks += slice.blocks }
                lists.append(blocks)
            }
            if lists.contains(where: { $0 != lists[0] }) { violate("lists differ: heights \(lists.map(\.count))") }
            if etcd.headHeight != lists[0].count {
                violate("etcd's head is \(etcd.headHeight), the list's \(lists[0].count)")
            }
            if etcd.keptHeight != etcd.headHeight {
                violate("etcd keeps what is above \(etcd.keptHeight), and all have \(etcd.headHeight)")
            }
            check(lists[0])
            checkRealTime()
            await checkLeader()
        } catch {
            violate("a list cannot be read: \(error)")
        }
    }

    private func checkLeader() async {
        var leading: [Int] = []
        for node in nodes { if await node.process?.consensus.leadership != nil { leading.append(node.number) } }
        if leading.count != 1 { violate("nodes \(leading) lead") }
    }

    private var appended: [(operation: OrderLedger.Operation, blocks: [Block])] {
        ledger.operations.compactMap { operation in
            if case .appended(let blocks) = operation.outcome { (operation, blocks) } else { nil }
        }
    }

    /// What was answered is so, and nothing stands there that must not.
    private func check(_ list: [Block]) {
        let heights = Dictionary(grouping: list, by: \.data)
        for (text, blocks) in heights where blocks.count > 1 {
            violate("'\(text.prefix(20))' stands at \(blocks.map(\.height))")
        }
        let texts = Set(ledger.requests.flatMap(\.texts))
        for block in list where !texts.contains(block.data) { violate("nobody sent block \(block.height)") }
        for (operation, blocks) in appended {
            guard let request = operation.request.map({ ledger.requests[$0] }) else { continue }
            if blocks.map(\.data) != request.texts { violate("\(request.texts) is answered with other texts") }
            for block in blocks where block.height > list.count || list[block.height - 1] != block {
                violate("block \(block.height), '\(block.data.prefix(20))', was acknowledged, and is not in the list")
            }
            if request.request.idempotency == nil, let lastHash = request.request.lastHash,
                blocks.first?.previousHash != lastHash
            {
                violate("\(request.texts) does not follow the hash that the client named")
            }
        }
        var keys: [String: [String]] = [:]
        for (index, request) in ledger.requests.enumerated() {
            let present = request.texts.compactMap { heights[$0]?.first?.height }
            if let key = request.request.idempotency?.key, let text = request.texts.first, !present.isEmpty {
                keys[key, default: []].append(text)
            }
            guard !present.isEmpty else { continue }
            let isWhole = present.count == request.texts.count
            if !isWhole || zip(present, present.dropFirst()).contains(where: { $0 + 1 != $1 }) {
                violate("\(request.texts) is not there as a whole: \(present)")
            }
            let outcomes = ledger.operations.filter { $0.request == index }.map(\.outcome)
            let areRefused = outcomes.allSatisfy { if case .refused = $0 { true } else { false } }
            if areRefused { violate("\(request.texts) was refused, and is at \(present)") }
        }
        for (key, texts) in keys where texts.count > 1 { violate("the key \(key) stands for \(texts)") }
    }

    /// Each operation takes effect at one moment between its question and its answer: the list says at which place among the
    /// others, so it is enough to compare that with the moments.
    private func checkRealTime() {
        // The height that an operation saw or made at least, and at most.
        var begun: [(seconds: Double, operation: Int)] = []
        var ended: [(seconds: Double, height: Int)] = []
        for (index, operation) in ledger.operations.enumerated() {
            switch operation.outcome {
            case .appended(let blocks):
                ended.append((operation.answeredSeconds ?? 0, blocks.last?.height ?? 0))
                begun.append((operation.sentSeconds, index))
            case .read(let height):
                ended.append((operation.answeredSeconds ?? 0, height))
                begun.append((operation.sentSeconds, index))
            case nil where running(operation.process) != nil: violate("operation \(index) is never answered")
            case .refused, .unknown, .notRead, nil: break
            }
        }
        begun.sort { $0.seconds < $1.seconds }
        ended.sort { $0.seconds < $1.seconds }
        var seen = 0
        var next = 0
        for (seconds, index) in begun {
            while next < ended.count, ended[next].seconds < seconds {
                seen = max(seen, ended[next].height)
                next += 1
            }
            let operation = ledger.operations[index]
            switch operation.outcome {
            case .appended(let blocks):
                let isRepeated = operation.request.map { ledger.requests[$0].request.idempotency != nil } ?? false
                if !isRepeated, let first = blocks.first, first.height <= seen {
                    violate("operation \(index) made block \(first.height) after \(seen) was answered")
                }
            case .read(let height) where height < seen:
                violate("read \(index) saw the list up to \(height) after \(seen) was answered")
            default: break
            }
        }
    }
}

/// What came of a history.
struct ConsensusOutcome: Sendable, Equatable {
    let seed: UInt64
    let violations: [String]
    let events: Int
    /// How often etcd was written.
    let revision: Int
    let appended: Int
    let heights: [Int]
    /// The next random number: the same for the same history.
    let fingerprint: UInt64
}
