// What clients send to simulated nodes, and what they were answered.

import Chain

@testable import chaind

/// What clients of all nodes know. The simulation owns it.
struct ClientLedger {
    /// An append with an idempotency key, which is sent again.
    struct Keyed {
        let request: AppendRequest
        let node: Int
        /// The disk that knows the key.
        let era: Int
        let seconds: Double
        /// What it was answered with.
        var identities: [Hash]?
        var isUnknown = false
    }

    /// The texts of all blocks that were acknowledged, by their identity.
    var acknowledged: [Hash: String] = [:]
    /// How many blocks of a text there may be that nobody knows of: the node crashed before it answered.
    var unknown: [String: Int] = [:]
    var keyed: [Keyed] = []
    /// Until when a clock was off by so much that keys may be forgotten.
    var keysForgottenSeconds = -1.0
    var lastText = 0
}

extension Simulation {
    /// A client appends some texts to a node, perhaps with a key or the hash of the head.
    func append(to node: SimulatedNode) async {
        guard let process = node.process else { return }
        let count = chance(0.8) ? 1 : number(2...4)
        var request = AppendRequest(drafts: (0..<count).map { _ in Draft(data: text()) })
        if chance(0.2) { request.lastHash = process.list.status.headHash }
        guard chance(0.3) else { return await send(request, to: process, on: node, keyed: nil) }
        request.idempotency = Idempotency(
            key: "key-\(ledger.keyed.count)", requestHash: Block.genesis.hash)
        ledger.keyed.append(
            ClientLedger.Keyed(
                request: request, node: node.number, era: node.memory.era, seconds: clock.nowSeconds))
        await send(request, to: process, on: node, keyed: ledger.keyed.count - 1)
    }

    /// Two clients append the same text to two nodes at the same moment.
    func appendTwins() async {
        let request = AppendRequest(drafts: [Draft(data: text())])
        for node in nodes.filter({ $0.process != nil }).shuffled(using: &generator).prefix(2) {
            guard let process = node.process else { continue }
            await send(request, to: process, on: node, keyed: nil)
        }
    }

    /// A client sends an append with a key again.
    func retry() async {
        let indices = ledger.keyed.indices.filter { isKept(ledger.keyed[$0]) }
        guard let index = pick(indices) else { return }
        await retry(index)
    }

    func retry(_ index: Int) async {
        let node = nodes[ledger.keyed[index].node]
        guard let process = node.process else { return }
        await send(ledger.keyed[index].request, to: process, on: node, keyed: index)
    }

    /// Whether the node has to remember the key.
    func isKept(_ keyed: ClientLedger.Keyed) -> Bool {
        nodes[keyed.node].memory.era == keyed.era && keyed.seconds > ledger.keysForgottenSeconds
            && !nodes.contains { abs($0.wallClock.offsetSeconds) > 12 * 3_600 }
    }

    /// A text that was not sent yet, or one of a few.
    func text() -> String {
        if chance(plan.commonTextRate) { return pick(["a", "b", "c"]) ?? "a" }
        ledger.lastText += 1
        return "text \(ledger.lastText)"
    }

    /// Sends an append to a node.
    func send(
        _ request: AppendRequest, to process: SimulatedProcess, on node: SimulatedNode, keyed: Int?
    ) async {
        // Nobody appends to a new node before it has the list.
        guard isRunning(process.number), !node.isLate || process.list.status.height > 0 else { return }
        await step(process) { [self] in
            do throws(AppendError) {
                let blocks = try await process.list.append(request)
                process.replica.listChanged()
                await answered(request, .success(blocks), by: process, keyed: keyed)
            } catch {
                await answered(request, .failure(error), by: process, keyed: keyed)
            }
        }
        await observe(node)
    }

    private func answered(
        _ request: AppendRequest, _ result: Result<[Block], AppendError>, by process: SimulatedProcess, keyed: Int?
    ) {
        let texts = request.drafts.map(\.data)
        guard isRunning(process.number) else { return unknown(texts, keyed) }
        switch result {
        case .success(let blocks):
            trace("process \(process.number) appended \(texts) at \(blocks.map(\.height))")
            acknowledge(blocks, request, keyed)
        case .failure(.invalidLastHash), .failure(.pending): break
        case .failure(.closed), .failure(.outcomeUnknown): unknown(texts, keyed)
        case .failure(.damagedHead),
            .failure(.damaged) where isSpoilt(process):
            break
        case .failure(let error): violate("process \(process.number) refuses an append: \(error)")
        }
    }

    private func isSpoilt(_ process: SimulatedProcess) -> Bool {
        node(of: process.number).map { !$0.memory.spoiltHeights.isEmpty } ?? false
    }

    private func acknowledge(_ blocks: [Block], _ request: AppendRequest, _ keyed: Int?) {
        if blocks.map(\.data) != request.drafts.map(\.data) { violate("an append is answered with other texts") }
        if keyed == nil, let lastHash = request.lastHash, blocks.first?.previousHash != lastHash {
            violate("block \(blocks[0].height) does not follow the hash that the client named")
        }
        for block in blocks { ledger.acknowledged[block.identity] = block.data }
        guard let keyed else { return }
        let identities = blocks.map(\.identity)
        if let known = ledger.keyed[keyed].identities, known != identities {
            violate("the key of append \(keyed) is answered with other blocks than before")
        }
        ledger.keyed[keyed].identities = identities
        guard ledger.keyed[keyed].isUnknown else { return }
        ledger.keyed[keyed].isUnknown = false
        for block in blocks { ledger.unknown[block.data, default: 0] -= 1 }
    }

    private func unknown(_ texts: [String], _ keyed: Int?) {
        if let keyed {
            guard !ledger.keyed[keyed].isUnknown, ledger.keyed[keyed].identities == nil else { return }
            ledger.keyed[keyed].isUnknown = true
        }
        for text in texts { ledger.unknown[text, default: 0] += 1 }
    }
}
