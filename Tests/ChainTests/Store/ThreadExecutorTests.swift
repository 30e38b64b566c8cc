// Threads of the engine's own: in order, and those of the background give way.

import Glibc
import Testing

@testable import Chain

@Suite struct ThreadExecutorTests {
    /// SCHED_OTHER is 0, SCHED_IDLE is 5 (sched(7)).
    @Test(arguments: [(false, Int32(0)), (true, 5)])
    func aBackgroundThreadRunsOnlyWhereNobodyElseDoes(isBackground: Bool, policy: Int32) async {
        let executor = ThreadExecutor(isBackground: isBackground)
        let found = await withCheckedContinuation { continuation in
            executor.perform { continuation.resume(returning: sched_getscheduler(0)) }
        }
        #expect(found == policy)
    }

    @Test func whatIsToBeDoneIsDoneInOrder() async {
        let executor = ThreadExecutor()
        let (numbers, continuation) = AsyncStream<Int>.makeStream()
        for number in 0..<1_000 { executor.perform { continuation.yield(number) } }
        executor.perform { continuation.finish() }
        var found: [Int] = []
        for await number in numbers { found.append(number) }
        #expect(found == Array(0..<1_000))
    }
}
