// A machine of a simulated group with an engine: its disk, its wall clock, and the process that runs there or not.

import Chain
import Logging
import TestSupport

@testable import chaind

/// A machine. The simulation owns it.
final class ConsensusNode {
    let number: Int
    let address: MemberAddress
    let files: DatabaseFiles
    /// How a crash left the files.
    let crashFiles: DatabaseFiles
    let wallClock: WallClock
    /// `nil` while it is down.
    var process: ConsensusProcess?
    /// When the timer of the process goes off.
    var dueSeconds = Double.infinity
    /// Until when nothing of its process runs.
    var frozenUntilSeconds = 0.0
    /// Nodes that messages from this one do not reach.
    var unreachable: Set<Int> = []
    var reachesEtcd = true
    /// Up to where its list was final.
    var finalHeight = 0
    /// An earlier copy of its disk.
    var backup: (files: DatabaseFiles, finalHeight: Int)?
    /// The final height that its disk had when it was lost or set back, until it has as much again.
    var lostHeight: Int?
    /// Whether it has not said yet what its disk has after that.
    var isLossUntold = false

    init(number: Int, directory: String, clock: VirtualClock) {
        self.number = number
        address = chaindTests.address(number)
        files = DatabaseFiles(path: directory + "/\(number).db")
        crashFiles = DatabaseFiles(path: directory + "/\(number).crashed.db")
        wallClock = WallClock(clock)
    }
}

/// A process of a node, from its start to its end.
final class ConsensusProcess: Sendable {
    /// No two processes of a history have the same.
    let number: Int
    let list: BlockList
    let consensus: Consensus
    let time: GroupTime
    let crashPoint: CrashPoint
    let wakeUp: SimulatedWakeUp

    init(
        number: Int, list: BlockList, consensus: Consensus, time: GroupTime, crashPoint: CrashPoint,
        wakeUp: SimulatedWakeUp
    ) {
        self.number = number
        self.list = list
        self.consensus = consensus
        self.time = time
        self.crashPoint = crashPoint
        self.wakeUp = wakeUp
    }
}

extension ConsensusSimulation {
    /// Starts a process on a machine where none runs.
    func start(_ node: ConsensusNode) async {
        guard node.process == nil else { return }
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
            options.queueAppendsMax = plan.queueAppendsMax
            let list = try await BlockList.open(path: node.files.path, options: options) { time.seconds }
            let wakeUp = SimulatedWakeUp()
            let consensus = Consensus(
                list: list, etcd: etcd(of: number), peers: transport(of: number), settings: plan.settings,
                options: options, ownAddress: node.address, nodeID: "process-\(number)", time: time,
                logger: logger(of: node.number),
                generator: SeededGenerator(seed: seed &* 1_000_003 &+ UInt64(number)),
                pause: { await self.pause($0, process: number) }, onChange: { wakeUp.wake() },
                onAppend: { _ in wakeUp.wake() })
            node.process = ConsensusProcess(
                number: number, list: list, consensus: consensus, time: time, crashPoint: crashPoint, wakeUp: wakeUp)
            node.dueSeconds = .infinity
            node.frozenUntilSeconds = 0
            trace("node \(node.number) starts at height \(list.status.height) as process \(number)")
            learnTime(of: number, afterSeconds: seconds(0.05...1))
        } catch {
            violate("node \(node.number) does not start: \(error)")
        }
    }

    /// Now and then a node learns from the others' clocks what time it is, as its replica does.
    private func learnTime(of process: Int, afterSeconds seconds: Double) {
        after(seconds, of: process) { simulation in
            guard let node = simulation.node(of: process) else { return }
            if node.unreachable.count < simulation.nodes.count - 1 {
                node.process?.time.set(WallClock.startSeconds + Int64(simulation.clock.nowSeconds))
            }
            simulation.learnTime(of: process, afterSeconds: 5)
        }
    }

    /// Ends a process at once. Its disk is as it was before the commit that it crashed at, or else as it is now.
    func crash(_ node: ConsensusNode) async {
        guard let process = node.process else { return }
        node.process = nil
        do {
            if !process.crashPoint.isReached { try node.files.copy(to: node.crashFiles.path) }
            if let failure = process.crashPoint.failure { violate("the files cannot be copied: \(failure)") }
            try await endTasks(of: process)
            try node.crashFiles.copy(to: node.files.path)
            trace("node \(node.number) crashed" + (process.crashPoint.isReached ? " before a commit" : ""))
        } catch {
            violate("node \(node.number) cannot be ended: \(error)")
        }
        connectionsBroke(to: process.number)
        let restartSeconds = seconds(0.2...(isHealed ? 1 : 30))
        after(restartSeconds) { [number = node.number] simulation in await simulation.start(simulation.nodes[number]) }
    }

    /// Ends the tasks of a process that is gone, and closes its list: nothing of that gets out any more.
    func endTasks(of process: ConsensusProcess) async throws {
        try await process.list.close()
        await process.consensus.stop(withinSeconds: 0)
        await endWaits(of: process.number)
        process.crashPoint.remove()
    }

    /// The logger of a node.
    nonisolated func logger(of node: Int) -> Logger {
        Logger(label: "\(node)") { [isTraced] label -> any LogHandler in
            if isTraced { TraceLog(node: label) } else { SwiftLogNoOpLogHandler() }
        }
    }
}
