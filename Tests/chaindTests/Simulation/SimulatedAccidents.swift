// What happens to the machines, the network and the clients of a simulated group.

import Chain

@testable import chaind

extension Simulation {
    /// Has something happen now and then until the history is over.
    func letThingsHappen() {
        after(seconds(0...plan.pauseSecondsMax)) { simulation in
            guard !simulation.isHealed else { return }
            await simulation.happen(simulation.plan.happening(using: &simulation.generator))
            simulation.letThingsHappen()
        }
    }

    private func happen(_ happening: Happening) async {
        guard let node = pick(nodes), !node.isLost else { return }
        switch happening {
        case .append: await append(to: node)
        case .twins: await appendTwins()
        case .burst: for _ in 0..<number(10...80) { await append(to: node) }
        case .retry: await retry()
        case .part, .partOneWay: part(isOneWay: happening == .partOneWay)
        case .join: for node in nodes { node.unreachable = [] }
        case .crash: await crash(node)
        case .crashAtCommit: node.process?.crashPoint.arm(afterCommits: number(0...8))
        case .stop: await stop(node)
        case .clockJump: jump(node)
        case .clockRight: for node in nodes { setClock(of: node, offsetSeconds: 0) }
        case .backup: backUp(node)
        case .setBack: await setBack(node)
        case .loseDisk: await loseDisk(of: node)
        case .loseNode: await lose(node)
        case .forget: await forgetLost(on: node)
        case .adopt: await adopt(on: node)
        case .sendList: await sendList(to: node)
        case .flipBit: flipBit(on: node)
        }
    }

    // MARK: Network

    /// Some nodes are on one side, and the others on the other.
    private func part(isOneWay: Bool) {
        let side = Set(nodes.map(\.number).filter { _ in chance(0.5) })
        let other = Set(nodes.map(\.number)).subtracting(side)
        trace("parted: \(side.sorted()) \(isOneWay ? "does not reach" : "from") \(other.sorted())")
        for node in nodes {
            if side.contains(node.number) {
                node.unreachable = other
            } else {
                node.unreachable = isOneWay ? [] : side
            }
        }
    }

    // MARK: Clocks

    /// A wall clock jumps by seconds, hours or days.
    private func jump(_ node: SimulatedNode) {
        let size = pick([60, 1_800, 3 * 3_600, 30 * 3_600, 5 * 86_400]) ?? 60
        let seconds = number(1...size)
        setClock(of: node, offsetSeconds: Int64(chance(0.6) ? seconds : -seconds))
    }

    func setClock(of node: SimulatedNode, offsetSeconds: Int64) {
        if nodes.contains(where: { abs($0.wallClock.offsetSeconds) > 12 * 3_600 }) {
            // A node looks at its clock every few seconds.
            ledger.keysForgottenSeconds = clock.nowSeconds + 10
        }
        trace("the clock of node \(node.number) is off by \(offsetSeconds) s")
        node.wallClock.set(offsetSeconds: offsetSeconds)
    }

    // MARK: Machines

    /// A node stops in order: it syncs, says farewell, and closes its list.
    private func stop(_ node: SimulatedNode) async {
        guard let process = node.process else { return }
        trace("node \(node.number) stops")
        await step(process) { [self, address = node.address] in
            let replica = process.replica
            let members = await replica.group.records.keys.sorted()
            for member in members { _ = await replica.sync(with: member) }
            let farewell = LeaveMessage(address: address, nodeID: process.nodeID)
            for member in members {
                // Who does not hear it finds out.
                do { try await replica.transport.leave(member, farewell) } catch {}
            }
            await stopped(process.number)
        }
    }

    private func stopped(_ process: Int) {
        after(0) { simulation in
            guard let node = simulation.node(of: process) else { return }
            await simulation.crash(node)
        }
    }

    /// Somebody keeps a copy of the disk.
    private func backUp(_ node: SimulatedNode) {
        guard node.files.exists else { return }
        do {
            let copy = DatabaseFiles(path: node.files.path + ".backup")
            try node.files.copy(to: copy.path)
            node.backup = (copy, node.memory)
        } catch {
            violate("node \(node.number) cannot be backed up: \(error)")
        }
    }

    /// The disk is as it was once.
    private func setBack(_ node: SimulatedNode) async {
        guard let backup = node.backup else { return }
        await crash(node)
        trace("node \(node.number) is set back to height \(backup.memory.entries.count - 1)")
        replaceDisk(of: node, by: backup.files, memory: backup.memory)
    }

    /// The disk is an empty one.
    private func loseDisk(of node: SimulatedNode) async {
        await crash(node)
        trace("node \(node.number) loses its disk")
        replaceDisk(of: node, by: nil, memory: NodeMemory())
    }

    private func replaceDisk(of node: SimulatedNode, by files: DatabaseFiles?, memory: NodeMemory) {
        let era = node.memory.era + 1
        node.memory = memory
        node.memory.era = era
        do {
            if let files { try files.copy(to: node.files.path) } else { try node.files.remove() }
        } catch {
            violate("the disk of node \(node.number) cannot be replaced: \(error)")
        }
    }

    /// A node goes and never comes back.
    private func lose(_ node: SimulatedNode) async {
        guard !nodes.contains(where: \.isLost) else { return }
        node.isLost = true
        trace("node \(node.number) is lost")
        await crash(node)
    }

    // MARK: Operators

    /// An operator has a node forget the one that is lost.
    private func forgetLost(on node: SimulatedNode) async {
        guard let lost = nodes.first(where: \.isLost), let process = node.process else { return }
        trace("node \(node.number) is to forget node \(lost.number)")
        await step(process) { [address = lost.address] in
            // That it is no member any more is as good.
            do { try await process.replica.forget(address) } catch {}
        }
    }

    /// An operator has a node adopt another one's list.
    func adopt(on node: SimulatedNode) async {
        guard let other = pick(nodes.filter { $0 !== node }) else { return }
        await adopt(on: node, from: other.address)
    }

    func adopt(on node: SimulatedNode, from address: MemberAddress) async {
        guard let process = node.process else { return }
        trace("node \(node.number) is to adopt the list of \(address)")
        node.mayUnsettle = true
        await step(process) { [self, number = node.number] in
            do {
                let received = try await process.replica.adopt(from: address)
                await trace("adopted: \(received)")
            } catch {
                await trace("not adopted: \(error)")
            }
            await adoptionEnded(number)
        }
    }

    private func adoptionEnded(_ node: Int) {
        // What it did is looked at after the step.
        after(0) { simulation in simulation.nodes[node].mayUnsettle = false }
    }
}
