// What clients ask of simulated nodes of a group with an engine, and what they were answered.

import Chain

@testable import chaind

/// What clients of all nodes know. The simulation owns it.
struct OrderLedger {
    /// A request to append, of one client or of several that repeat it.
    struct Request {
        let request: AppendRequest
        var texts: [String] { request.drafts.map(\.data) }
    }

    enum Outcome {
        case appended([Block])
        /// Nothing was appended, and will be.
        case refused(AppendError)
        case unknown
        /// The list of the node had this height.
        case read(height: Int)
        case notRead
    }

    /// Something that a client asked.
    struct Operation {
        let process: Int
        /// The request that it sends; `nil` for a read.
        let request: Int?
        let sentSeconds: Double
        var answeredSeconds: Double?
        var outcome: Outcome?
    }

    var requests: [Request] = []
    var operations: [Operation] = []
    var lastText = 0
}

extension ConsensusSimulation {
    /// A client appends some texts to a node, perhaps with a key or the hash of the head.
    func append(to node: ConsensusNode) {
        let count = chance(0.8) ? 1 : number(2...5)
        var request = AppendRequest(drafts: (0..<count).map { _ in Draft(data: text()) })
        if chance(0.15) { request.lastHash = pick(nodes)?.process?.list.status.headHash }
        if chance(0.3) {
            // Now and then two clients happen to use the same key.
            let number = chance(0.05) ? number(0...ledger.requests.count) : ledger.requests.count
            request.idempotency = Idempotency(
                key: "key-\(number)",
                requestHash: Block(height: 1, timestamp: 0, data: request.drafts[0].data, previousHash: .zero).hash)
        }
        ledger.requests.append(OrderLedger.Request(request: request))
        send(ledger.requests.count - 1, to: node)
    }

    /// A client sends an append with a key again, to whichever node.
    func retry() {
        let keyed = ledger.requests.indices.filter { ledger.requests[$0].request.idempotency != nil }
        guard let index = pick(keyed.suffix(20)), let node = pick(nodes) else { return }
        send(index, to: node)
    }

    /// A text that was not sent yet.
    private func text() -> String {
        ledger.lastText += 1
        let text = "text \(ledger.lastText)"
        return plan.hasLargeTexts && chance(0.1) ? text + String(repeating: "x", count: 700_000) : text
    }

    /// - Returns: the number of the operation; `nil` if nobody listens.
    @discardableResult
    func send(_ request: Int, to node: ConsensusNode) -> Int? {
        guard let process = node.process else { return nil }
        let operation = begin(process, request)
        after(0.001, of: process.number) { [mailbox] simulation in
            process.consensus.append(simulation.ledger.requests[request].request) {
                mailbox.put(.append(operation: operation, $0))
            }
        }
        return operation
    }

    /// A client asks for all that is in order by now.
    func read(from node: ConsensusNode) {
        guard let process = node.process else { return }
        let operation = begin(process, nil)
        after(0.001, of: process.number) { [mailbox] simulation in
            await simulation.step(process) {
                await process.consensus.awaitOrder { mailbox.put(.read(operation: operation, refusal: $0)) }
            }
        }
    }

    private func begin(_ process: ConsensusProcess, _ request: Int?) -> Int {
        ledger.operations.append(
            OrderLedger.Operation(process: process.number, request: request, sentSeconds: clock.nowSeconds))
        return ledger.operations.count - 1
    }

    /// Gives the answers of the last step to those who wait for them.
    func deliverMail() {
        for mail in mailbox.takeAll() {
            switch mail {
            case .append(let number, let result): answered(number, result)
            case .read(let number, let refusal): answered(number, refusal)
            case .forward(let number, let outcomes): answered(number, outcomes)
            }
        }
    }

    private func answered(_ number: Int, _ result: Result<[Block], AppendError>) {
        guard let process = running(ledger.operations[number].process), ledger.operations[number].outcome == nil else {
            return
        }
        trace("process \(process.number): operation \(number): \(description(of: number, result))")
        switch result {
        case .success(let blocks):
            if let last = blocks.last, process.list.height < last.height {
                violate("operation \(number) is answered before its node has the blocks")
            }
            end(number, .appended(blocks))
        case .failure(.orderUnknown): end(number, .unknown)
        case .failure(let error):
            switch error {
            case .notOrdered, .closed, .invalidLastHash, .idempotencyKeyReused, .queueFull: end(number, .refused(error))
            default: violate("operation \(number) fails: \(error)")
            }
        }
    }

    private func answered(_ number: Int, _ refusal: String?) {
        guard let process = running(ledger.operations[number].process) else { return }
        trace("process \(process.number): read \(number): \(refusal ?? "height \(process.list.height)")")
        end(number, refusal == nil ? .read(height: process.list.height) : .notRead)
    }

    private func end(_ number: Int, _ outcome: OrderLedger.Outcome) {
        ledger.operations[number].outcome = outcome
        ledger.operations[number].answeredSeconds = clock.nowSeconds
    }
}
