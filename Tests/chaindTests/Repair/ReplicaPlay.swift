// Nodes of one process whose messages are calls, and whose time is moved by the test.

import Chain
import Logging
import Synchronization
import TestSupport

@testable import chaind

/// A group without a network. A node that is not in `replicas` is down.
final class ReplicaPlay: Sendable {
    let nowSeconds = Mutex(1_000.0)
    private let replicas = Mutex<[MemberAddress: Replica]>([:])
    /// What a member makes of the runs that it sends.
    let tampering = Mutex<@Sendable (BlockRun) -> BlockRun>({ $0 })
    /// Streams that were asked for.
    let pulls = Mutex<[MemberAddress: Int]>([:])

    /// Starts a node on an open list; the nodes of these numbers are its group.
    @discardableResult
    func start(_ number: Int, on list: ForkedList, members: [Int], pace: AtRestPace = AtRestPace()) async throws
        -> Replica
    {
        var settings = ReplicaSettings()
        settings.atRest = pace
        let time = GroupTime(
            ownClock: { list.clock.withLock { $0 } }, nowSeconds: { [self] in nowSeconds.withLock { $0 } })
        let replica = try await Replica(
            list: try list.list, ownAddress: address(number), nodeID: "\(number)", isTold: true, transport: transport,
            time: time, settings: settings, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            generator: SeededGenerator(seed: UInt64(number)), verification: Verification(now: { 0 }), onChange: {})
        try await replica.joinForTest(members.map(address))
        replicas.withLock { $0[address(number)] = replica }
        return replica
    }

    func stop(_ number: Int) { _ = replicas.withLock { $0.removeValue(forKey: address(number)) } }

    /// Lets time pass; each node does what is due when it is.
    func run(seconds: Double) async {
        let end = nowSeconds.withLock { $0 } + seconds
        while true {
            let nodes = replicas.withLock { $0.sorted { $0.key < $1.key }.map(\.value) }
            for node in nodes {
                for work in await node.due() { await node.perform(work) }
            }
            var next = Double.infinity
            for node in nodes { next = min(next, await node.nextDueSeconds) }
            guard next <= end else { break }
            nowSeconds.withLock { $0 = max($0 + 0.01, next) }
        }
        nowSeconds.withLock { $0 = max($0, end) }
    }

    private func replica(_ address: MemberAddress) throws(PeerError) -> Replica {
        guard let replica = replicas.withLock({ $0[address] }) else { throw .unreachable(reason: "down") }
        return replica
    }

    private func answer<Answer: Sendable>(
        of address: MemberAddress, _ body: (Replica) async throws -> Answer
    ) async throws(PeerError) -> Answer {
        let replica = try replica(address)
        do {
            return try await body(replica)
        } catch {
            throw PeerError.refused(status: 503, detail: "\(error)")
        }
    }

    private func tampered(_ stream: OutgoingStream) -> IncomingStream {
        IncomingStream(header: stream.header) { [self] in
            let part = await stream.next()
            guard case .run(let run) = part else { return part }
            return .run(tampering.withLock { $0 }(run))
        }
    }

    private var transport: Transport {
        Transport(
            health: { [self] to async throws(PeerError) in
                try await answer(of: to) { replica in
                    let status = await replica.list.status
                    return HealthMessage(
                        nodeID: await replica.group.nodeID,
                        head: BlockPoint(height: status.height, hash: status.headHash),
                        damagedHeights: status.damagedHeights)
                }
            },
            status: { [self] to, message async throws(PeerError) in
                try await answer(of: to) { try await $0.answer(message) }
            },
            locate: { [self] to, points async throws(PeerError) in
                try await answer(of: to) { try await $0.answer(LocateRequest(points: points)) }
            },
            pull: { [self] to, point async throws(PeerError) in
                pulls.withLock { $0[to, default: 0] += 1 }
                guard let stream = try await answer(of: to, { try await $0.stream(after: point) }) else {
                    throw .refused(status: 404, detail: "")
                }
                return tampered(stream)
            },
            push: { [self] to, stream async throws(PeerError) in
                try await answer(of: to) { [self] in try await $0.take(tampered(stream)) }
            },
            leave: { [self] to, message async throws(PeerError) in
                try await answer(of: to) { await $0.answer(message) }
            },
            forward: { _, _ async throws(PeerError) in throw .refused(status: 409, detail: "no engine") })
    }
}

extension Replica {
    /// Makes the group's other nodes members, as if they had been found.
    fileprivate func joinForTest(_ addresses: [MemberAddress]) async throws {
        for address in addresses where address != group.ownAddress && group.membership.isIn(address) == nil {
            try group.membership.join(address)
        }
    }
}
