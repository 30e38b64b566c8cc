// The way of a message from one simulated node to another and back, in a group with an engine: late, or not at all. None
// arrives twice, since HTTP over TCP does not do that; one may arrive after its sender has given up.

import Chain
import NIOCore

@testable import chaind

/// A forwarded message that is not answered.
struct UnansweredForward {
    let receiver: Int
    let caller: Int
}

extension ConsensusSimulation {
    private static let requestSeconds = 10.0

    /// The way of a process to the other nodes, as far as the consensus uses it.
    nonisolated func transport(of process: Int) -> Transport {
        Transport(
            health: { address async throws(PeerError) in
                try await self.call(from: process, to: .address(address)) { other in
                    let status = other.list.status
                    return HealthMessage(
                        nodeID: "process-\(other.number)",
                        head: BlockPoint(height: status.height, hash: status.headHash), damagedHeights: [])
                }
            },
            status: { _, _ async throws(PeerError) in throw .unreachable(reason: "not simulated") },
            locate: { address, points async throws(PeerError) in
                try await self.call(from: process, to: .address(address)) { other in
                    let hashes = try await other.list.storedHashes(at: points.map(\.height))
                    let known = zip(points, hashes).filter { $0.hash == $1 }.last?.0
                    let staged = try await other.list.stagedHeads().max { $0.height < $1.height }
                    return LocateAnswer(
                        list: known, staged: staged.map { BlockPoint(height: $0.height, hash: $0.hash) }, isBusy: false)
                }
            },
            pull: { address, point async throws(PeerError) in
                let (stream, sender) = try await self.call(from: process, to: .address(address)) { other in
                    guard try await other.list.storedHashes(at: [point.height]) == [point.hash] else {
                        throw PeerError.refused(status: 404, detail: "")
                    }
                    let status = other.list.status
                    let stream = OutgoingStream(
                        of: other.list, after: point, upTo: BlockPoint(height: status.height, hash: status.headHash),
                        finalHeight: status.finalHeight)
                    return (stream, other.number)
                }
                return IncomingStream(header: stream.header) { () async throws(PeerError) in
                    try await self.call(from: process, to: .process(sender)) { _ in await stream.next() }
                }
            },
            push: { _, _ async throws(PeerError) in throw .unreachable(reason: "not simulated") },
            leave: { _, _ async throws(PeerError) in throw .unreachable(reason: "not simulated") },
            forward: { address, message async throws(PeerError) in
                try await self.forward(message, from: process, to: address)
            })
    }

    private enum Target: Sendable {
        case address(MemberAddress)
        /// The process that a connection leads to.
        case process(Int)
    }

    private func call<Answer: Sendable>(
        from process: Int, to target: Target, answer: @escaping @Sendable (ConsensusProcess) async throws -> Answer
    ) async throws(PeerError) -> Answer {
        try await send(from: process, to: target) { [self] number, caller, other in
            let result: Result<any Sendable, any Error>
            do {
                result = .success(try await answer(other))
            } catch let error as PeerError {
                result = .failure(error)
            } catch {
                result = .failure(PeerError.refused(status: 503, detail: "\(error)"))
            }
            await reply(from: other.number, to: caller, number, result)
        }
    }

    private func forward(
        _ message: ForwardMessage, from process: Int, to address: MemberAddress
    ) async throws(PeerError) -> [ForwardOutcome] {
        let bytes = message.encoded
        return try await send(from: process, to: .address(address)) { [self, mailbox] number, caller, other in
            await begin(number, UnansweredForward(receiver: other.number, caller: caller))
            do throws(StreamError) {
                let message = try ForwardMessage(decoding: bytes)
                await other.consensus.forwarded(message) { mailbox.put(.forward(number: number, $0)) }
            } catch {
                await violate("a forwarded message cannot be read: \(error)")
            }
        }
    }

    private func begin(_ number: Int, _ forward: UnansweredForward) { unanswered[number] = forward }

    /// A process has decided on a message that was forwarded to it.
    func answered(_ number: Int, _ outcomes: [ForwardOutcome]) {
        guard let forward = unanswered.removeValue(forKey: number), running(forward.receiver) != nil else { return }
        do throws(StreamError) {
            let decoded = try ForwardAnswer.decode(ForwardAnswer.encode(outcomes), count: outcomes.count)
            trace("process \(forward.receiver) answers \(forward.caller): \(decoded)")
            reply(from: forward.receiver, to: forward.caller, number, .success(decoded))
        } catch {
            violate("an answer to forwarded appends cannot be read: \(error)")
        }
    }

    /// A process is gone, and so are the connections to it.
    func connectionsBroke(to process: Int) {
        for (number, forward) in unanswered.sorted(by: { $0.key < $1.key }) where forward.receiver == process {
            unanswered[number] = nil
            after(delaySeconds, of: forward.caller) { simulation in
                await simulation.endWait(number, .failure(PeerError.unreachable(reason: "the connection broke")))
            }
        }
    }

    /// Sends a message of a process and waits for the answer.
    ///
    /// - Parameter deliver: what the other process does with it, given the number of the answer and the caller.
    private func send<Answer: Sendable>(
        from process: Int, to target: Target,
        deliver: @escaping @Sendable (_ number: Int, _ caller: Int, ConsensusProcess) async -> Void
    ) async throws(PeerError) -> Answer {
        guard running(process) != nil, let caller = node(of: process) else { throw .cancelled }
        let number = newWait()
        after(Self.requestSeconds, of: process) { simulation in
            await simulation.endWait(number, .failure(PeerError.timedOut))
        }
        if !chance(lossRate) {
            after(delaySeconds) { [caller = caller.number] simulation in
                guard let node = simulation.node(at: target) else { return }
                guard !simulation.nodes[caller].unreachable.contains(node.number) else { return }
                guard let other = node.process else {
                    // Nobody listens there, and the machine says so.
                    simulation.after(simulation.delaySeconds, of: process) { simulation in
                        await simulation.endWait(number, .failure(PeerError.unreachable(reason: "refused")))
                    }
                    return
                }
                simulation.after(0, of: other.number) { simulation in
                    await simulation.step(other) { await deliver(number, process, other) }
                }
            }
        }
        switch await wait(number, process: process) {
        case .success(let answer as Answer): return answer
        case .failure(let error as PeerError): throw error
        case .success, .failure: throw .invalid(reason: "another kind of answer")
        }
    }

    private func reply(from process: Int, to caller: Int, _ number: Int, _ result: Result<any Sendable, any Error>) {
        guard running(process) != nil, let node = node(of: process)?.number, !chance(lossRate) else { return }
        after(delaySeconds, of: caller) { simulation in
            guard let callerNode = simulation.node(of: caller)?.number,
                !simulation.nodes[node].unreachable.contains(callerNode)
            else { return }
            await simulation.endWait(number, result)
        }
    }

    private func node(at target: Target) -> ConsensusNode? {
        switch target {
        case .address(let address): nodes.first { $0.address == address }
        case .process(let process): node(of: process)
        }
    }

    private var lossRate: Double { isHealed ? 0 : plan.lossRate }

    private var delaySeconds: Double {
        !isHealed && chance(plan.slowRate) ? seconds(0.1...8) : seconds(0.001...0.02)
    }
}
