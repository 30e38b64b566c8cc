// A group in one process under a schedule that a seed repeats: the real replicas with the real store, and a network, clocks,
// disks and clients that are simulated.

import Chain
import TestSupport

@testable import chaind

/// One history of a group. Everything that is simulated belongs to this actor.
///
/// Tasks of the nodes take turns: one of them runs at a time, until it waits for the network or ends. So the order of all
/// that happens is that of the events, which chance decides by the seed.
actor Simulation {
    /// What happens at a moment.
    typealias Action = @Sendable (isolated Simulation) async -> Void

    /// More in one history are a loop without an end.
    private static let eventsMax = 1_000_000

    let seed: UInt64
    let plan: HistoryPlan
    let clock = VirtualClock()
    var generator: SeededGenerator
    let nodes: [SimulatedNode]
    var ledger = ClientLedger()
    let isTraced: Bool
    /// What must not be, in the order in which it was found.
    private(set) var violations: [String] = []
    /// Whether nothing goes wrong any more.
    var isHealed = false
    var lastProcess = 0

    private var events = EventQueue<Action>()
    private(set) var eventCount = 0

    /// - Parameter directory: for the databases.
    init(seed: UInt64, directory: String, isTraced: Bool) {
        self.seed = seed
        self.isTraced = isTraced
        var generator = SeededGenerator(seed: seed)
        plan = HistoryPlan(using: &generator)
        self.generator = generator
        let count = plan.nodes
        let clock = clock
        let founders = count - plan.lateNodes
        nodes = (0..<count).map {
            SimulatedNode(number: $0, isLate: $0 >= founders, directory: directory, clock: clock)
        }
    }

    // MARK: Events

    /// Has something happen after a while.
    func after(_ seconds: Double, _ action: @escaping Action) { events.add(action, at: clock.nowSeconds + seconds) }

    /// Lets time go by, until then or until something is wrong.
    func run(untilSeconds endSeconds: Double) async {
        while violations.isEmpty, let event = events.next(until: endSeconds) {
            clock.set(event.seconds)
            eventCount += 1
            if eventCount > Self.eventsMax { violate("more than \(Self.eventsMax) events: something never ends") }
            await event.action(self)
            for node in nodes { await lookAfter(node) }
        }
        clock.set(endSeconds)
    }

    /// Takes note of what a step did to a node.
    private func lookAfter(_ node: SimulatedNode) async {
        guard let process = node.process else { return }
        if process.crashPoint.isReached { return await crash(node) }
        await observe(node)
        guard process.wakeUp.take() else { return }
        await scheduleDue(node, process)
    }

    private func scheduleDue(_ node: SimulatedNode, _ process: SimulatedProcess) async {
        let seconds = max(clock.nowSeconds, await process.replica.nextDueSeconds)
        guard seconds < node.dueSeconds else { return }
        node.dueSeconds = seconds
        after(seconds - clock.nowSeconds) { [number = node.number] simulation in
            let node = simulation.nodes[number]
            guard node.process === process, node.dueSeconds == seconds else { return }
            node.dueSeconds = .infinity
            for work in await process.replica.due() {
                simulation.after(simulation.seconds(0...0.005)) { simulation in
                    await simulation.step(process) { await process.replica.perform(work) }
                }
            }
            await simulation.scheduleDue(node, process)
        }
    }

    // MARK: Turns

    private struct Wait {
        let process: Int
        let continuation: CheckedContinuation<Result<any Sendable, PeerError>, Never>
    }

    private var waits: [Int: Wait] = [:]
    private var lastWait = 0
    private var driver: CheckedContinuation<Void, Never>?

    /// Whether a process runs, and has not crashed within this step.
    func isRunning(_ process: Int) -> Bool { running(process) != nil }

    func running(_ process: Int) -> SimulatedProcess? {
        nodes.lazy.compactMap(\.process).first { $0.number == process && !$0.crashPoint.isReached }
    }

    /// Runs a task of a process until it waits or ends.
    func step(_ process: SimulatedProcess, _ body: @escaping @Sendable () async -> Void) async {
        guard isRunning(process.number) else { return }
        await takeTurn {
            Task {
                await body()
                self.endTurn()
            }
        }
    }

    private func takeTurn(_ start: () -> Void) async {
        await withCheckedContinuation { continuation in
            driver = continuation
            start()
        }
    }

    private func endTurn() {
        let driver = driver
        self.driver = nil
        driver?.resume()
    }

    /// A number for something that a task is about to wait for.
    func newWait() -> Int {
        lastWait += 1
        return lastWait
    }

    /// Waits in a task of a process until somebody ends the wait.
    func wait(_ number: Int, process: Int) async -> Result<any Sendable, PeerError> {
        await withCheckedContinuation { continuation in
            waits[number] = Wait(process: process, continuation: continuation)
            endTurn()
        }
    }

    func isWaiting(_ number: Int) -> Bool { waits[number] != nil }

    /// Ends a wait, unless it ended before.
    func endWait(_ number: Int, _ result: Result<any Sendable, PeerError>) async {
        guard let wait = waits.removeValue(forKey: number) else { return }
        await takeTurn { wait.continuation.resume(returning: result) }
    }

    /// Ends all tasks of a process that is gone.
    func endTasks(of process: Int) async {
        while let number = waits.filter({ $0.value.process == process }).keys.min() {
            await endWait(number, .failure(.cancelled))
        }
    }

    // MARK: Chance

    func chance(_ probability: Double) -> Bool { Double.random(in: 0..<1, using: &generator) < probability }

    func seconds(_ range: ClosedRange<Double>) -> Double { Double.random(in: range, using: &generator) }

    func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }

    func pick<Element>(_ elements: [Element]) -> Element? { elements.randomElement(using: &generator) }

    // MARK: What is told

    /// Says that something is as it must not be.
    func violate(_ what: String) {
        trace("VIOLATION: \(what)")
        violations.append("after \(clock.nowSeconds) s: \(what)")
    }

    func trace(_ what: @autoclosure () -> String) {
        guard isTraced else { return }
        let seconds = Double(Int(clock.nowSeconds * 1_000)) / 1_000
        print("\(seconds)\t\(what())")
    }
}
