// A group whose order comes from an engine, in one process, under a schedule that a seed repeats: the real state machine of
// the consensus with the real store, and an etcd, a network, clocks, disks and clients that are simulated.

import Chain
import Synchronization
import TestSupport

@testable import chaind

/// One history of a group with an engine. Everything that is simulated belongs to this actor.
///
/// As in `Simulation`, tasks of the nodes take turns: one of them runs at a time, until it waits or ends.
actor ConsensusSimulation {
    /// What happens at a moment.
    typealias Action = @Sendable (isolated ConsensusSimulation) async -> Void

    /// More in one history are a loop without an end.
    private static let eventsMax = 300_000

    let seed: UInt64
    let plan: ConsensusPlan
    let clock = VirtualClock()
    var generator: SeededGenerator
    let nodes: [ConsensusNode]
    var etcd = EtcdWorld()
    var ledger = OrderLedger()
    /// Answers that came while a task had its turn.
    let mailbox = Mailbox()
    /// Messages of members that the one who got them has not answered.
    var unanswered: [Int: UnansweredForward] = [:]
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
        plan = ConsensusPlan(using: &generator)
        self.generator = generator
        nodes = (0..<plan.nodes).map { [clock] in ConsensusNode(number: $0, directory: directory, clock: clock) }
    }

    // MARK: Events

    /// Has something happen after a while.
    func after(_ seconds: Double, _ action: @escaping Action) { events.add(action, at: clock.nowSeconds + seconds) }

    /// Has something happen to a process after a while, if it is still there; once it is woken, if it is frozen.
    func after(_ seconds: Double, of process: Int, _ action: @escaping Action) {
        after(seconds) { simulation in
            guard let node = simulation.node(of: process) else { return }
            let frozenSeconds = node.frozenUntilSeconds - simulation.clock.nowSeconds
            guard frozenSeconds > 0 else { return await action(simulation) }
            // What came meanwhile is there at once, in no certain order.
            simulation.after(frozenSeconds + simulation.seconds(0...0.01), of: process, action)
        }
    }

    /// Lets time go by, until then or until something is wrong.
    func run(untilSeconds endSeconds: Double) async {
        while violations.isEmpty, let event = events.next(until: endSeconds) {
            clock.set(event.seconds)
            eventCount += 1
            if eventCount > Self.eventsMax { violate("more than \(Self.eventsMax) events: something never ends") }
            await event.action(self)
            deliverMail()
            for node in nodes { await lookAfter(node) }
        }
        clock.set(max(clock.nowSeconds, endSeconds))
    }

    /// Takes note of what a step did to a node.
    private func lookAfter(_ node: ConsensusNode) async {
        guard let process = node.process else { return }
        if process.crashPoint.isReached { return await crash(node) }
        await observe(node, process)
        guard process.wakeUp.take() else { return }
        await scheduleDue(node, process)
    }

    private func scheduleDue(_ node: ConsensusNode, _ process: ConsensusProcess) async {
        let seconds = max(clock.nowSeconds, await process.consensus.nextDueSeconds)
        guard seconds < node.dueSeconds else { return }
        node.dueSeconds = seconds
        after(seconds - clock.nowSeconds, of: process.number) { [number = node.number] simulation in
            let node = simulation.nodes[number]
            guard node.process === process, node.dueSeconds == seconds else { return }
            node.dueSeconds = .infinity
            for work in await process.consensus.due() {
                simulation.after(simulation.seconds(0...0.002), of: process.number) { simulation in
                    await simulation.step(process) { await process.consensus.perform(work) }
                }
            }
            await simulation.scheduleDue(node, process)
        }
    }

    // MARK: Turns

    private struct Wait {
        let process: Int
        let continuation: CheckedContinuation<Result<any Sendable, any Error>, Never>
    }

    private var waits: [Int: Wait] = [:]
    private var lastWait = 0
    private var driver: CheckedContinuation<Void, Never>?

    func running(_ process: Int) -> ConsensusProcess? {
        nodes.lazy.compactMap(\.process).first { $0.number == process && !$0.crashPoint.isReached }
    }

    /// The node of a process that runs.
    func node(of process: Int) -> ConsensusNode? { nodes.first { $0.process?.number == process } }

    /// Runs a task of a process until it waits or ends.
    func step(_ process: ConsensusProcess, _ body: @escaping @Sendable () async -> Void) async {
        guard running(process.number) != nil else { return }
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
    func wait(_ number: Int, process: Int) async -> Result<any Sendable, any Error> {
        await withCheckedContinuation { continuation in
            waits[number] = Wait(process: process, continuation: continuation)
            endTurn()
        }
    }

    func isWaiting(_ number: Int) -> Bool { waits[number] != nil }

    /// Ends a wait, unless it ended before.
    func endWait(_ number: Int, _ result: Result<any Sendable, any Error>) async {
        guard let wait = waits.removeValue(forKey: number) else { return }
        await takeTurn { wait.continuation.resume(returning: result) }
    }

    /// Ends all waits of a process that is gone.
    func endWaits(of process: Int) async {
        while let number = waits.filter({ $0.value.process == process }).keys.min() {
            await endWait(number, .failure(PeerError.cancelled))
        }
    }

    /// Waits in a task of a process for some seconds.
    func pause(_ seconds: Double, process: Int) async {
        let number = newWait()
        if running(process) != nil {
            after(seconds, of: process) { simulation in await simulation.endWait(number, .success(())) }
        }
        _ = await wait(number, process: process)
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

/// Answers that the consensus gives on its own threads, until the simulation takes them.
final class Mailbox: Sendable {
    /// An answer of a process.
    enum Mail: Sendable {
        case append(operation: Int, Result<[Block], AppendError>)
        case read(operation: Int, refusal: String?)
        case forward(number: Int, [ForwardOutcome])
    }

    private let mail = Mutex<[Mail]>([])

    func put(_ mail: Mail) { self.mail.withLock { $0.append(mail) } }

    func takeAll() -> [Mail] { mail.withLock { exchange(&$0, with: []) } }
}
