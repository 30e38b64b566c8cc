// What happens to the machines, the network, etcd and the clients of a simulated group with an engine.

import Chain

@testable import chaind

extension ConsensusSimulation {
    /// Has something happen now and then until the history is over.
    func letThingsHappen() {
        after(seconds(0...plan.pauseSecondsMax)) { simulation in
            guard !simulation.isHealed else { return }
            await simulation.happen(simulation.plan.accident(using: &simulation.generator))
            simulation.letThingsHappen()
        }
    }

    /// Has clients ask something now and then until the history is over.
    func letClientsAsk() {
        after(seconds(0...plan.requestPauseSecondsMax)) { simulation in
            guard !simulation.isHealed, let node = simulation.pick(simulation.nodes) else { return }
            switch simulation.number(0...99) {
            case 0...69: simulation.append(to: node)
            case 70...71: for _ in 0..<simulation.number(5...40) { simulation.append(to: node) }
            case 72...84: simulation.retry()
            default: simulation.read(from: node)
            }
            simulation.letClientsAsk()
        }
    }

    private func happen(_ accident: Accident) async {
        guard let node = chance(0.4) ? leader ?? pick(nodes) : pick(nodes) else { return }
        switch accident {
        case .part: part()
        case .cutOff: cutOffFromEtcd(node)
        case .join: join()
        case .crash: await crash(node)
        case .crashAtCommit: node.process?.crashPoint.arm(afterCommits: number(0...8))
        case .crashAll: for node in nodes { await crash(node) }
        case .freeze: freeze(node)
        case .stop: await stop(node)
        case .clockJump: jump(node)
        case .clockRight: for node in nodes { node.wallClock.set(offsetSeconds: 0) }
        case .backup: backUp(node)
        case .setBack: await setBack(node)
        case .loseDisk: await loseDisk(of: node)
        case .loseMajority: loseMajority(forSeconds: seconds(0.5...25))
        case .endLease: endLease()
        case .endWatch: breakWatches(of: node, isSilent: false)
        case .silenceWatch: breakWatches(of: node, isSilent: true)
        case .compact: etcd.model.compact(etcd.model.revision - number(0...20))
        case .fill: fill()
        }
    }

    /// The node that the leader key names.
    private var leader: ConsensusNode? {
        guard let entry = etcd.model.entry(ConsensusKeys(prefix: plan.settings.prefix).leader),
            let address = Kept<LeaderRecord>(entry)?.record.address
        else { return nil }
        return nodes.first { $0.address == address }
    }

    /// How many members the group has: those that have not joined yet need not have anything.
    private var memberCount: Int {
        let entry = etcd.model.entry(ConsensusKeys(prefix: plan.settings.prefix).members)
        return entry.flatMap { Kept<MembersRecord>($0) }?.record.members.count ?? 0
    }

    // MARK: Network

    /// Some nodes are on one side, and the others on the other.
    private func part() {
        let side = Set(nodes.map(\.number).filter { _ in chance(0.5) })
        let other = Set(nodes.map(\.number)).subtracting(side)
        trace("parted: \(side.sorted()) from \(other.sorted())")
        for node in nodes { node.unreachable = side.contains(node.number) ? other : side }
    }

    private func cutOffFromEtcd(_ node: ConsensusNode) {
        trace("node \(node.number) does not reach etcd")
        node.reachesEtcd = false
        breakWatches(of: node, isSilent: true)
    }

    private func join() {
        trace("all reach each other")
        for node in nodes {
            node.unreachable = []
            node.reachesEtcd = true
        }
    }

    // MARK: Processes

    private func freeze(_ node: ConsensusNode) {
        guard node.process != nil, node.frozenUntilSeconds <= clock.nowSeconds else { return }
        let wantedSeconds = chance(0.5) ? seconds(0.5...12) : seconds(12...40)
        let frozenSeconds = min(wantedSeconds, plan.seconds - clock.nowSeconds)
        trace("node \(node.number) is frozen for \(frozenSeconds) s")
        node.frozenUntilSeconds = clock.nowSeconds + frozenSeconds
    }

    private func stop(_ node: ConsensusNode) async {
        guard let process = node.process else { return }
        trace("node \(node.number) stops")
        after(0, of: process.number) { simulation in
            await simulation.step(process) { [simulation] in
                await process.consensus.stop(withinSeconds: 5)
                await simulation.stopped(process.number)
            }
        }
    }

    private func stopped(_ process: Int) {
        after(0) { simulation in
            guard let node = simulation.node(of: process) else { return }
            await simulation.crash(node)
        }
    }

    /// A wall clock jumps by seconds, hours or days; those of most nodes are right.
    private func jump(_ node: ConsensusNode) {
        guard !nodes.contains(where: { $0.wallClock.offsetSeconds != 0 }) else { return }
        let size = pick([60, 1_800, 3 * 3_600, 30 * 3_600, 5 * 86_400]) ?? 60
        let offsetSeconds = Int64(chance(0.6) ? number(1...size) : -number(1...size))
        trace("the clock of node \(node.number) is off by \(offsetSeconds) s")
        node.wallClock.set(offsetSeconds: offsetSeconds)
    }

    // MARK: Disks

    /// Somebody keeps a copy of the disk.
    private func backUp(_ node: ConsensusNode) {
        guard node.files.exists, node.process?.crashPoint.isReached != true else { return }
        do {
            let copy = DatabaseFiles(path: node.files.path + ".backup")
            try node.files.copy(to: copy.path)
            node.backup = (copy, node.finalHeight)
        } catch {
            violate("node \(node.number) cannot be backed up: \(error)")
        }
    }

    private func setBack(_ node: ConsensusNode) async {
        guard let backup = node.backup else { return }
        await replaceDisk(of: node, by: backup.files, finalHeight: backup.finalHeight)
    }

    private func loseDisk(of node: ConsensusNode) async {
        await replaceDisk(of: node, by: nil, finalHeight: 0)
    }

    /// The disk is another one: of no more nodes at a time than the group can do without.
    private func replaceDisk(of node: ConsensusNode, by files: DatabaseFiles?, finalHeight: Int) async {
        let lost = nodes.filter { $0 !== node && $0.lostHeight != nil }
        guard 2 * (lost.count + 1) < memberCount else { return }
        await crash(node)
        trace("node \(node.number) has a disk of height \(finalHeight)")
        node.lostHeight = max(etcd.headHeight, node.lostHeight ?? 0)
        node.isLossUntold = true
        node.finalHeight = finalHeight
        do {
            if let files { try files.copy(to: node.files.path) } else { try node.files.remove() }
        } catch {
            violate("the disk of node \(node.number) cannot be replaced: \(error)")
        }
    }

    // MARK: etcd

    /// A lease is over before its time.
    private func endLease() {
        guard etcd.hasMajority, let leaseID = pick(etcd.model.leases.keys.sorted()) else { return }
        trace("lease \(leaseID) is over before its time")
        revokeLease(leaseID)
    }

    /// Other users fill etcd, and make room after a while.
    private func fill() {
        guard !etcd.model.isFull else { return }
        trace("etcd is full")
        etcd.model.isFull = true
        after(seconds(1...30)) { simulation in
            simulation.trace("etcd has room again")
            simulation.etcd.model.isFull = false
        }
    }

    private func compactNowAndThen() {
        etcd.model.compact(etcd.model.revision)
        after(5) { simulation in simulation.compactNowAndThen() }
    }

    // MARK: The end of all accidents

    func heal() async {
        trace("everything heals")
        isHealed = true
        join()
        regainMajority()
        etcd.model.isFull = false
        // A group that may not do so itself has somebody who does.
        if !plan.settings.mayCompact { compactNowAndThen() }
        for node in nodes {
            node.wallClock.set(offsetSeconds: 0)
            node.process?.crashPoint.disarm()
            await start(node)
        }
    }
}
