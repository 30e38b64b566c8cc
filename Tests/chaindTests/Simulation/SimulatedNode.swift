// A machine of a simulated history: its disk, its wall clock, and the process that runs there or not.

import Chain
import Logging
import Synchronization
import TestSupport

@testable import chaind

/// A machine. The simulation owns it.
final class SimulatedNode {
    let number: Int
    let address: MemberAddress
    let files: DatabaseFiles
    /// How a crash left the files.
    let crashFiles: DatabaseFiles
    let wallClock: WallClock
    /// `nil` while it is down.
    var process: SimulatedProcess?
    /// When the timer of the process goes off.
    var dueSeconds = Double.infinity
    /// It is there from some time on only.
    let isLate: Bool
    /// Whether the others may know of it.
    var hasStarted = false
    /// It never comes back, and nor does its disk.
    var isLost = false
    /// Nodes that messages from this one do not reach.
    var unreachable: Set<Int> = []
    /// What was seen of its list, as far as the disk has it.
    var memory = NodeMemory()
    /// An earlier copy of its disk.
    var backup: (files: DatabaseFiles, memory: NodeMemory)?
    /// An operator adopts a list: settled blocks may be replaced.
    var mayUnsettle = false

    init(number: Int, isLate: Bool, directory: String, clock: VirtualClock) {
        self.isLate = isLate
        self.number = number
        address = chaindTests.address(number)
        files = DatabaseFiles(path: directory + "/\(number).db")
        crashFiles = DatabaseFiles(path: directory + "/\(number).crashed.db")
        wallClock = WallClock(clock)
    }
}

/// A process of a node, from its start to its end.
final class SimulatedProcess: Sendable {
    /// No two processes of a history have the same.
    let number: Int
    let list: BlockList
    let replica: Replica
    let time: GroupTime
    let crashPoint: CrashPoint
    let wakeUp: SimulatedWakeUp

    /// As `GET /` tells it.
    var nodeID: String { "process-\(number)" }

    init(
        number: Int, list: BlockList, replica: Replica, time: GroupTime, crashPoint: CrashPoint,
        wakeUp: SimulatedWakeUp
    ) {
        self.number = number
        self.list = list
        self.replica = replica
        self.time = time
        self.crashPoint = crashPoint
        self.wakeUp = wakeUp
    }
}

/// Whether something may be due earlier than was thought.
final class SimulatedWakeUp: Sendable {
    private let isWoken = Atomic(true)

    func wake() { isWoken.store(true, ordering: .relaxed) }

    /// Whether it was woken since the last call.
    func take() -> Bool { isWoken.exchange(false, ordering: .relaxed) }
}

extension Simulation {
    /// Starts a process on a machine where none runs.
    func start(_ node: SimulatedNode) async {
        guard node.process == nil, !node.isLost else { return }
        lastProcess += 1
        let number = lastProcess
        let time = GroupTime(
            ownClock: { [wallClock = node.wallClock] in wallClock.seconds }, nowSeconds: { [clock] in clock.nowSeconds }
        )
        let crashPoint = CrashPoint(path: node.files.path, imagePath: node.crashFiles.path)
        crashPoint.install()
        do {
            var options = BlockListOptions()
            options.readers = 1
            options.hashesMax = 1_000
            let list = try await BlockList.open(path: node.files.path, options: options) { time.seconds }
            let wakeUp = SimulatedWakeUp()
            let replica = try await Replica(
                list: list, ownAddress: node.address, nodeID: "process-\(number)", isTold: list.status.height == 0,
                transport: transport(of: number, node: node.number), time: time, settings: plan.settings,
                logger: logger(of: node.number),
                generator: SeededGenerator(seed: seed &* 1_000_003 &+ UInt64(number)),
                verification: Verification(now: { 0 }), onChange: { wakeUp.wake() })
            node.process = SimulatedProcess(
                number: number, list: list, replica: replica, time: time, crashPoint: crashPoint, wakeUp: wakeUp)
            node.dueSeconds = .infinity
            // As `sync.json` has it.
            node.hasStarted = true
            await replica.found(nodes.filter { $0.hasStarted || !$0.isLate }.map(\.address))
            trace("node \(node.number) starts at height \(list.status.height) as process \(number)")
        } catch {
            violate("node \(node.number) does not start: \(error)")
        }
    }
}

extension Simulation {
    /// Ends a process at once. Its disk is as it was before the commit that it crashed at, or else as it is now.
    func crash(_ node: SimulatedNode) async {
        guard let process = node.process else { return }
        node.process = nil
        do {
            if !process.crashPoint.isReached { try node.files.copy(to: node.crashFiles.path) }
            if let failure = process.crashPoint.failure { violate("the files cannot be copied: \(failure)") }
            try await process.list.close()
            await endTasks(of: process.number)
            process.crashPoint.remove()
            try node.crashFiles.copy(to: node.files.path)
            trace("node \(node.number) crashed" + (process.crashPoint.isReached ? " before a commit" : ""))
        } catch {
            violate("node \(node.number) cannot be ended: \(error)")
        }
        restart(node, afterSeconds: seconds(1...60))
    }

    /// Starts a node again, unless that happens before.
    func restart(_ node: SimulatedNode, afterSeconds seconds: Double) {
        after(seconds) { [number = node.number] simulation in await simulation.start(simulation.nodes[number]) }
    }
}
