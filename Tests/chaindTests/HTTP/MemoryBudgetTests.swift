// Memory that is shared is given back.

import NIOCore
import Testing

@testable import chaind

@Suite struct MemoryBudgetTests {
    @Test func sharesGrowUpToTheBudgetAndGiveBackWhatTheyTook() {
        let budget = MemoryBudget(sizeBytesMax: 100)
        var first: MemoryBudget.Share? = budget.share()
        let second = budget.share()
        #expect(first?.grow(by: 60) == true)
        #expect(second.grow(by: 40) == true)
        #expect(second.grow(by: 1) == false)
        #expect(budget.takenBytes == 100)
        first = nil
        #expect(budget.takenBytes == 40)
        #expect(second.grow(by: 61) == false)
        #expect(second.grow(by: 60) == true)
    }

    @Test func manyTakersNeverTakeMoreThanThereIs() async {
        let budget = MemoryBudget(sizeBytesMax: 1_000)
        let takenBytesMax = await withTaskGroup { group in
            for _ in 0..<50 {
                group.addTask {
                    var takenBytesMax = 0
                    for _ in 0..<100 {
                        let share = budget.share()
                        for _ in 0..<200 where share.grow(by: 7) { await Task.yield() }
                        takenBytesMax = max(takenBytesMax, budget.takenBytes)
                    }
                    return takenBytesMax
                }
            }
            return await group.reduce(0, max)
        }
        #expect(900...1_000 ~= takenBytesMax)
        #expect(budget.takenBytes == 0)
    }

    @Test func oneClientHasHalfOfIt() throws {
        let budget = MemoryBudget(sizeBytesMax: 100)
        let client = try #require(ClientAddress(try SocketAddress(ipAddress: "192.0.2.1", port: 1)))
        var first: MemoryBudget.Share? = budget.share(for: client)
        let second = budget.share(for: client)
        #expect(first?.grow(by: 40) == true)
        #expect(!second.grow(by: 11) && second.grow(by: 10) && !second.grow(by: 1))
        #expect(budget.share().grow(by: 50) && budget.takenBytes == 50)
        first = nil
        #expect(budget.takenBytes == 10 && second.grow(by: 40) && !second.grow(by: 1))
    }
}
