// The way of a message from one simulated node to another and back: late, twice, or not at all.

import Chain
import Synchronization

@testable import chaind

extension Simulation {
    /// Whom a request goes to.
    enum Target: Sendable {
        case address(MemberAddress)
        /// The process that a connection leads to.
        case process(Int)
    }

    /// Sends a request of a process and waits for its answer.
    ///
    /// - Parameters:
    ///   - isRepeatable: it may arrive twice; the second answer is lost.
    ///   - answer: what the other process does with it.
    func call<Answer: Sendable>(
        _ name: String, from process: Int, to target: Target, number: Int? = nil, timeoutSeconds: Double,
        isRepeatable: Bool = true,
        answer: @escaping @Sendable (SimulatedProcess) async throws -> Answer
    ) async throws(PeerError) -> Answer {
        guard let caller = node(of: process), isRunning(process) else { throw .cancelled }
        let number = number ?? newWait()
        after(timeoutSeconds) { simulation in await simulation.endWait(number, .failure(.timedOut)) }
        let deliver: Action = { [caller = caller.number] simulation in
            await simulation.deliver(name, from: caller, to: target, number: number, answer: answer)
        }
        if !chance(rates.loss) { after(delaySeconds, deliver) }
        if isRepeatable, chance(rates.duplicate) { after(4 * delaySeconds, deliver) }
        let result = await wait(number, process: process)
        guard let answer = try result.get() as? Answer else { throw .invalid(reason: "another kind of answer") }
        return answer
    }

    private func deliver<Answer: Sendable>(
        _ name: String, from caller: Int, to target: Target, number: Int,
        answer: @escaping @Sendable (SimulatedProcess) async throws -> Answer
    ) async {
        guard let node = node(at: target), !nodes[caller].unreachable.contains(node.number) else { return }
        guard let process = node.process, isMeant(process, target) else {
            // Nobody listens there, and the machine says so.
            return reply(from: node, to: caller, number, .failure(.unreachable(reason: "refused")))
        }
        await step(process) { [self] in
            let result: Result<any Sendable, PeerError>
            do {
                result = .success(try await answer(process))
            } catch let error as PeerError {
                result = .failure(error)
            } catch {
                result = .failure(.refused(status: 503, detail: "\(error)"))
            }
            await replied(name, process, to: caller, number, result)
        }
    }

    private func replied(
        _ name: String, _ process: SimulatedProcess, to caller: Int, _ number: Int,
        _ result: Result<any Sendable, PeerError>
    ) {
        guard isRunning(process.number), let node = node(of: process.number) else { return }
        trace(name, from: caller, to: node.number, result)
        reply(from: node, to: caller, number, result)
    }

    private func reply(
        from node: SimulatedNode, to caller: Int, _ number: Int, _ result: Result<any Sendable, PeerError>
    ) {
        guard !chance(rates.loss) else { return }
        after(delaySeconds) { [node = node.number] simulation in
            guard !simulation.nodes[node].unreachable.contains(caller) else { return }
            await simulation.endWait(number, result)
        }
    }

    private func isMeant(_ process: SimulatedProcess, _ target: Target) -> Bool {
        if case .process(let number) = target { return process.number == number }
        return true
    }

    private func node(at target: Target) -> SimulatedNode? {
        switch target {
        case .address(let address): nodes.first { $0.address == address }
        case .process(let process): node(of: process)
        }
    }

    /// The node of a process that runs.
    func node(of process: Int) -> SimulatedNode? { nodes.first { $0.process?.number == process } }

    /// How long a message is on its way: mostly not long.
    private var delaySeconds: Double {
        if isHealed { return seconds(0.001...0.01) }
        return chance(plan.slowRate) ? seconds(0.1...8) : seconds(0.001...0.05)
    }

    private var rates: NetworkRates { isHealed ? NetworkRates() : plan.rates }
}

/// How often what happens to messages.
struct NetworkRates {
    var loss = 0.0
    var duplicate = 0.0
    /// Parts of streams that arrive with a byte that is another one.
    var corruption = 0.0
    /// Streams that a faulty node has put a block to that is none.
    var forgery = 0.0
    /// Streams whose receiver crashes soon after their end.
    var crash = 0.0
}

// MARK: What a replica is given

extension Simulation {
    /// The way of a process to the other nodes.
    nonisolated func transport(of process: Int, node: Int) -> Transport {
        Transport(
            health: { address async throws(PeerError) in
                try await self.call("health", from: process, to: .address(address), timeoutSeconds: 4) { other in
                    let status = other.list.status
                    return HealthMessage(
                        nodeID: other.nodeID, head: BlockPoint(height: status.height, hash: status.headHash),
                        damagedHeights: status.damagedHeights)
                }
            },
            status: { address, message async throws(PeerError) in
                try await self.call("status", from: process, to: .address(address), timeoutSeconds: 10) { other in
                    try await other.replica.answer(message)
                }
            },
            locate: { address, points async throws(PeerError) in
                try await self.call("locate", from: process, to: .address(address), timeoutSeconds: 10) { other in
                    try await other.replica.answer(LocateRequest(points: points))
                }
            },
            pull: { address, point async throws(PeerError) in
                let (stream, sender) = try await self.call(
                    "pull", from: process, to: .address(address), timeoutSeconds: 10
                ) { other in
                    guard let stream = try await other.replica.stream(after: point) else {
                        throw PeerError.refused(status: 404, detail: "")
                    }
                    return (await self.forgedOrNot(stream, by: other), other.number)
                }
                return self.incoming(stream, from: sender, to: process)
            },
            push: { address, stream async throws(PeerError) in
                try await self.push(stream, from: process, to: address)
            },
            leave: { address, message async throws(PeerError) in
                try await self.call("leave", from: process, to: .address(address), timeoutSeconds: 10) { other in
                    await other.replica.answer(message)
                }
            },
            forward: { _, _ async throws(PeerError) in throw .refused(status: 409, detail: "no engine") })
    }

    private func push(
        _ stream: OutgoingStream, from process: Int, to address: MemberAddress
    ) async throws(PeerError) -> PushAnswer {
        guard let sender = running(process) else { throw .cancelled }
        let stream = await forgedOrNot(stream, by: sender)
        let number = newWait()
        let sent = SentParts()
        return try await call(
            "push", from: process, to: .address(address), number: number, timeoutSeconds: 60
        ) { other in
            // A request that arrives twice brings what the first one brought.
            let first = sent.begin()
            let incoming = IncomingStream(header: stream.header) { () async throws(PeerError) in
                guard first else { return sent.repeated() }
                // With the request the connection ends.
                guard await self.isWaiting(number) else { return nil }
                let part = try await self.part(of: stream, from: process, to: other.number)
                sent.add(part)
                return part
            }
            return try await other.replica.take(incoming)
        }
    }

    private nonisolated func incoming(_ stream: OutgoingStream, from sender: Int, to receiver: Int) -> IncomingStream {
        IncomingStream(header: stream.header) { () async throws(PeerError) in
            try await self.part(of: stream, from: sender, to: receiver)
        }
    }

    private func forgedOrNot(_ stream: OutgoingStream, by process: SimulatedProcess) async -> OutgoingStream {
        chance(rates.forgery) ? await forged(stream, by: process) : stream
    }

    /// The next part of a stream, as it arrives.
    private func part(
        of stream: OutgoingStream, from sender: Int, to receiver: Int
    ) async throws(PeerError) -> StreamPart? {
        let part = try await call(
            "part", from: receiver, to: .process(sender), timeoutSeconds: 10, isRepeatable: false
        ) { _ in await stream.next() }
        // The crashes that matter most are those within an adoption: one of the first commits after the end.
        if part == .end, let process = running(receiver), process.list.status.height > stream.header.after.height,
            chance(rates.crash)
        {
            process.crashPoint.arm(afterCommits: number(0...4))
        }
        guard case .run(let run) = part else { return part }
        return chance(rates.corruption) ? try corrupted(run) : part
    }
}

/// The parts of a push, for when it arrives again. The transport of one request owns it.
private final class SentParts: Sendable {
    private struct State {
        var hasBegun = false
        var parts: [StreamPart] = []
    }

    private let state = Mutex(State())

    /// - Returns: whether this is the first time.
    func begin() -> Bool {
        state.withLock { state in
            defer { state.hasBegun = true }
            return !state.hasBegun
        }
    }

    func add(_ part: StreamPart?) {
        if let part { state.withLock { $0.parts.append(part) } }
    }

    /// The next part again.
    func repeated() -> StreamPart? {
        state.withLock { $0.parts.isEmpty ? nil : $0.parts.removeFirst() }
    }
}
