// Drives a node's part in the consensus with real time: does what is due, and gives up its place in order.

import ServiceLifecycle

/// The consensus as a service.
struct ConsensusService: Service {
    private static let sleepSecondsMax = 5.0

    let consensus: Consensus
    let wakeUp: WakeUp
    /// Ends with an element once the node can be reached.
    let listening: AsyncStream<Void>
    /// How long what was sent may take at a stop.
    let stopSeconds: Double

    func run() async throws {
        let isStopped = AsyncStream.makeStream(of: Void.self)
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await drive() }
            tasks.addTask {
                // What was sent is answered while the work goes on.
                await withGracefulShutdownHandler {
                    for await _ in isStopped.stream { break }
                    await consensus.stop(withinSeconds: stopSeconds)
                } onGracefulShutdown: {
                    isStopped.continuation.finish()
                }
            }
            _ = await tasks.next()
            tasks.cancelAll()
        }
    }

    /// Does what an append has made due, while the driver sleeps.
    static func appendCame(_ consensus: Consensus) {
        Task {
            await withDiscardingTaskGroup { tasks in
                for work in await consensus.due() { tasks.addTask { await consensus.perform(work) } }
            }
        }
    }

    private func drive() async {
        var listening = listening.makeAsyncIterator()
        guard await listening.next() != nil else { return }
        await withDiscardingTaskGroup { tasks in
            while !Task.isCancelled {
                for work in await consensus.due() { tasks.addTask { await consensus.perform(work) } }
                let seconds = await consensus.nextDueSeconds - consensus.nowSeconds()
                await wakeUp.wait(seconds: min(max(0, seconds), Self.sleepSecondsMax))
            }
            tasks.cancelAll()
        }
    }
}
