// The etcd of a simulated group with what etcd 3.4 is known to do wrong: requests that are lost, or made although nobody says
// so, now or much later; reads of old states; leases that are renewed although they are over; watches that leave things out.

import Chain

@testable import chaind

/// etcd with what goes wrong in it. The simulation owns it.
struct EtcdWorld {
    /// A watch of a process.
    struct Watch {
        let process: Int
        let range: EtcdRange
        var nextRevision: Int
        /// Changes that have come and were not asked for yet.
        var ready: [[EtcdEvent]] = []
        /// Who waits for the next ones.
        var waiter: Int?
        var isSilent = false
        var isOver = false
    }

    var model = EtcdModel()
    /// Whether most of its members are there.
    var hasMajority = true
    /// Requests that wait for a majority.
    var held: [ConsensusSimulation.Action] = []
    var watches: [Int: Watch] = [:]
    /// The processes that leases were made for.
    var leaseholders: [Int: Int] = [:]
    /// Where the group's list ended after each batch.
    var headHashes: [Int: Hash] = [:]
    var headHeight = 0
    var keptHeight = 0
    var members: [MemberAddress] = []
}

/// How often what goes wrong with requests to etcd.
struct EtcdRates {
    var loss = 0.0
    /// Made, and the answer is lost.
    var answerLoss = 0.0
    /// Made much later.
    var late = 0.0
    /// How much later, at most.
    var lateSecondsMax = 30.0
    /// Of those that are late, how many have the lease of their sender end meanwhile: the member of etcd that it asks stands
    /// still.
    var lateEndsLease = 0.0
    /// Answered at once by an error that says nothing.
    var failure = 0.0
    var staleRead = 0.0
    /// Leases that are said to go on although they are over.
    var falseRenewal = 0.0
    var droppedEvent = 0.0
}

/// What a watch has for who waits.
private struct WatchedChanges {
    let events: [EtcdEvent]?
}

extension ConsensusSimulation {
    private static let attemptSeconds = 2.0
    private static let watchIdleSeconds = 60.0

    private var rates: EtcdRates { isHealed ? EtcdRates() : plan.etcdRates }

    /// What a process asks etcd by.
    nonisolated func etcd(of process: Int) -> Etcd {
        Etcd(
            transact: { transaction async throws(EtcdError) in
                try await self.ask(process) { simulation throws(EtcdError) in
                    try simulation.apply(transaction, of: process)
                }
            },
            range: { range, limit async throws(EtcdError) in
                try await self.ask(process) { simulation throws(EtcdError) in
                    let found = simulation.etcd.model.entries(range, revisionsAgo: simulation.staleness)
                    return EtcdRangeAnswer(entries: Array(found.entries.prefix(limit)), revision: found.revision)
                }
            },
            grantLease: { seconds async throws(EtcdError) in
                try await self.ask(process) { simulation throws(EtcdError) in
                    let leaseID = try simulation.etcd.model.grantLease(seconds, at: simulation.clock.nowSeconds)
                    simulation.etcd.leaseholders[leaseID] = process
                    simulation.expireLease(leaseID)
                    return leaseID
                }
            },
            keepAlive: { leaseID async throws(EtcdError) in
                try await self.ask(process) { simulation throws(EtcdError) in
                    simulation.etcd.model.keepAlive(leaseID, at: simulation.clock.nowSeconds)
                        || simulation.chance(simulation.rates.falseRenewal)
                }
            },
            revokeLease: { leaseID async throws(EtcdError) in
                try await self.ask(process) { simulation throws(EtcdError) in simulation.revokeLease(leaseID) }
            },
            watch: { range, revision async throws(EtcdError) in
                let number = try await self.ask(process) { simulation throws(EtcdError) in
                    try simulation.beginWatch(range, from: revision, process)
                }
                return EtcdWatch { () async throws(EtcdError) in try await self.nextChanges(of: number) }
            },
            status: {
                do throws(EtcdError) {
                    return try await self.ask(process) { simulation throws(EtcdError) in
                        let sizeBytes = simulation.etcd.model.usedSizeBytes
                        return [
                            EtcdStatus(
                                endpoint: "model", version: "3.4.23", sizeBytes: sizeBytes, usedSizeBytes: sizeBytes)
                        ]
                    }
                } catch {
                    return []
                }
            },
            compact: { revision async throws(EtcdError) in
                try await self.ask(process) { simulation throws(EtcdError) in
                    simulation.etcd.model.compact(revision)
                }
            })
    }

    // MARK: Requests

    /// Sends a request of a process to etcd, once, and waits for its answer.
    ///
    /// - Parameter apply: what etcd does with it.
    private func ask<Answer: Sendable>(
        _ process: Int,
        apply: @escaping @Sendable (isolated ConsensusSimulation) throws(EtcdError) -> Answer
    ) async throws(EtcdError) -> Answer {
        guard running(process) != nil, let node = node(of: process) else { throw .unknown("the process is gone") }
        let number = newWait()
        after(Self.attemptSeconds, of: process) { simulation in
            await simulation.endWait(number, .failure(EtcdError.unknown("nothing came in time")))
        }
        let isLost = !node.reachesEtcd || chance(rates.loss)
        let isAnswered = !chance(rates.answerLoss)
        let isFailed = chance(rates.failure)
        let isLate = chance(rates.late)
        let delaySeconds = isLate ? seconds(0.5...rates.lateSecondsMax) : seconds(0.001...0.02)
        if isLate, chance(rates.lateEndsLease) { endLeases(of: process) }
        if !isLost {
            after(delaySeconds) { simulation in
                simulation.arrive { simulation in
                    let result: Result<any Sendable, any Error>
                    do throws(EtcdError) {
                        result = .success(try apply(simulation))
                    } catch {
                        result = .failure(error)
                    }
                    guard isAnswered, simulation.node(of: process)?.reachesEtcd == true else { return }
                    simulation.answer(number, of: process, result)
                }
            }
        }
        if isFailed { answer(number, of: process, .failure(EtcdError.unknown("etcdserver: leader changed"))) }
        switch await wait(number, process: process) {
        case .success(let answer as Answer): return answer
        case .failure(let error as EtcdError): throw error
        case .success, .failure: throw .unknown("the process is gone")
        }
    }

    private func answer(_ number: Int, of process: Int, _ result: Result<any Sendable, any Error>) {
        after(seconds(0.001...0.02), of: process) { simulation in await simulation.endWait(number, result) }
    }

    /// A request is made as soon as there is a majority, or never.
    private func arrive(_ action: @escaping @Sendable (isolated ConsensusSimulation) -> Void) {
        if etcd.hasMajority { return action(self) }
        if chance(0.6) { etcd.held.append(action) }
    }

    /// Most of etcd's members go, and come back after a while.
    func loseMajority(forSeconds lostSeconds: Double) {
        guard etcd.hasMajority else { return }
        trace("etcd has no majority")
        etcd.hasMajority = false
        after(lostSeconds) { simulation in simulation.regainMajority() }
    }

    func regainMajority() {
        guard !etcd.hasMajority else { return }
        trace("etcd has a majority again")
        etcd.hasMajority = true
        for action in exchange(&etcd.held, with: []).shuffled(using: &generator) {
            after(chance(0.7) ? seconds(0...0.5) : seconds(0...8), action)
        }
    }

    private var staleness: Int { chance(rates.staleRead) ? number(1...25) : 0 }

    // MARK: Changes

    private func apply(_ transaction: EtcdTransaction, of process: Int) throws(EtcdError) -> EtcdTransactionAnswer {
        let revision = etcd.model.revision
        let keys = ConsensusKeys(prefix: plan.settings.prefix)
        let leader = etcd.model.entry(keys.leader).flatMap { Kept<LeaderRecord>($0)?.record }
        let answer = try etcd.model.apply(transaction, revisionsAgo: staleness)
        if answer.isSucceeded, transaction.success.contains(where: { $0.writes(keys.head) }), !etcd.headHashes.isEmpty,
            leader?.nodeID != "process-\(process)"
        {
            violate("process \(process) writes the head, and \(leader?.nodeID ?? "nobody") leads")
        }
        if isTraced { trace("etcd, of process \(process): \(description(transaction, answer))") }
        if let node = node(of: process), transaction.success.contains(where: { $0.writes(keys.stored(node.address)) }),
            answer.isSucceeded
        {
            node.isLossUntold = false
        }
        changed(since: revision)
        return answer
    }

    /// Tells watches of changes, and looks at whether they may be.
    private func changed(since revision: Int) {
        guard etcd.model.revision > revision, let events = etcd.model.events(from: revision + 1) else { return }
        for event in events { check(event) }
        for number in etcd.watches.keys.sorted() { bring(etcd.model.revision, to: number) }
    }

    func revokeLease(_ leaseID: Int) {
        let revision = etcd.model.revision
        etcd.model.revokeLease(leaseID)
        changed(since: revision)
    }

    private func endLeases(of process: Int) {
        for leaseID in etcd.model.leases.keys.sorted() where etcd.leaseholders[leaseID] == process {
            after(seconds(0...0.1)) { simulation in
                if simulation.etcd.hasMajority { simulation.revokeLease(leaseID) }
            }
        }
    }

    /// Ends a lease when its time is over, or somewhat later.
    private func expireLease(_ leaseID: Int) {
        guard let lease = etcd.model.leases[leaseID] else { return }
        let lateSeconds = isHealed ? 0.5 : plan.leaseLateSecondsMax
        after(max(0, lease.endSeconds - clock.nowSeconds) + seconds(0...lateSeconds)) { simulation in
            guard let lease = simulation.etcd.model.leases[leaseID] else { return }
            guard simulation.etcd.hasMajority, lease.endSeconds <= simulation.clock.nowSeconds else {
                simulation.after(0.5) { simulation in simulation.expireLease(leaseID) }
                return
            }
            simulation.trace("lease \(leaseID) is over")
            simulation.revokeLease(leaseID)
        }
    }

    // MARK: Watches

    private func beginWatch(_ range: EtcdRange, from revision: Int, _ process: Int) throws(EtcdError) -> Int {
        guard revision >= etcd.model.compactedRevision else {
            throw .compacted(revision: etcd.model.compactedRevision)
        }
        let number = newWait()
        etcd.watches[number] = EtcdWorld.Watch(process: process, range: range, nextRevision: revision)
        bring(etcd.model.revision, to: number)
        return number
    }

    /// Brings changes up to a revision to a watch, after a while.
    private func bring(_ revision: Int, to number: Int) {
        guard let watch = etcd.watches[number] else { return }
        guard node(of: watch.process) != nil else {
            etcd.watches[number] = nil
            return
        }
        let delaySeconds = !isHealed && chance(plan.slowWatchRate) ? seconds(0.1...5) : seconds(0.001...0.03)
        after(delaySeconds, of: watch.process) { simulation in
            guard let watch = simulation.etcd.watches[number], revision >= watch.nextRevision, !watch.isSilent,
                simulation.node(of: watch.process)?.reachesEtcd == true
            else { return }
            simulation.etcd.watches[number]?.nextRevision = revision + 1
            // What is compacted away before it is sent is left out without a word.
            let first = max(watch.nextRevision, simulation.etcd.model.compactedRevision)
            let events = simulation.etcd.model.events(from: first) ?? []
            let told = events.filter {
                $0.revision <= revision && watch.range.contains($0.key)
                    && !simulation.chance(simulation.rates.droppedEvent)
            }
            guard !told.isEmpty else { return }
            simulation.etcd.watches[number]?.ready.append(told)
            await simulation.wakeWatcher(of: number)
        }
    }

    private func wakeWatcher(of number: Int) async {
        guard let watch = etcd.watches[number], let waiter = watch.waiter else { return }
        etcd.watches[number]?.waiter = nil
        await endWait(waiter, .success(takeChanges(of: number)))
    }

    private func takeChanges(of number: Int) -> WatchedChanges {
        guard let watch = etcd.watches[number], let events = watch.ready.first else {
            etcd.watches[number] = nil
            return WatchedChanges(events: nil)
        }
        etcd.watches[number]?.ready.removeFirst()
        return WatchedChanges(events: events)
    }

    private func nextChanges(of number: Int) async throws(EtcdError) -> [EtcdEvent]? {
        guard let watch = etcd.watches[number] else { return nil }
        if !watch.ready.isEmpty || watch.isOver { return takeChanges(of: number).events }
        let waiter = newWait()
        etcd.watches[number]?.waiter = waiter
        after(Self.watchIdleSeconds, of: watch.process) { simulation in
            guard simulation.isWaiting(waiter) else { return }
            simulation.etcd.watches[number] = nil
            await simulation.endWait(waiter, .success(WatchedChanges(events: nil)))
        }
        switch await wait(waiter, process: watch.process) {
        case .success(let changes as WatchedChanges): return changes.events
        case .success, .failure: throw .unknown("the process is gone")
        }
    }

    /// The watches of a node end, or go on without ever telling anything.
    func breakWatches(of node: ConsensusNode, isSilent: Bool) {
        guard let process = node.process?.number else { return }
        for number in etcd.watches.keys.sorted() where etcd.watches[number]?.process == process {
            if isSilent {
                etcd.watches[number]?.isSilent = true
            } else {
                etcd.watches[number]?.isOver = true
                after(0, of: process) { simulation in await simulation.wakeWatcher(of: number) }
            }
        }
    }
}

extension EtcdEvent {
    var key: String {
        switch self {
        case .put(let entry): entry.key
        case .deleted(let key, _): key
        }
    }

    var revision: Int {
        switch self {
        case .put(let entry): entry.modRevision
        case .deleted(_, let revision): revision
        }
    }
}

extension EtcdTransaction.Operation {
    fileprivate func writes(_ key: String) -> Bool {
        if case .put(key, _, _) = self { true } else { false }
    }
}
