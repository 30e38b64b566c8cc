// The table of hash prefixes, against a dictionary.

import TestSupport
import Testing

@testable import Chain

@Suite struct HashTableTests {
    @Test func everyHeightOfAPrefixIsFoundFromTheLowestHeightOn() {
        var random = SeededGenerator(seed: 1)
        let table = HashTable(hashesMax: 20_000)
        table.begin(endHeight: 0)
        var heights: [UInt64: [Int]] = [:]
        var height = 0
        while height < 90_000 {
            let prefixes = (0..<Int.random(in: 1...700, using: &random)).map { _ in
                // Some twice, some that differ where the table does not look.
                Int.random(in: 0..<10, using: &random) == 0
                    ? heights.keys.first ?? 0 : UInt64.random(in: .min ... .max, using: &random)
            }
            table.insert(prefixes, from: height)
            for (index, prefix) in prefixes.enumerated() { heights[prefix, default: []].append(height + index) }
            height += prefixes.count
        }
        let lowest = table.lowestHeight
        #expect(height - lowest <= 20_000)
        #expect(height - lowest >= 14_000)
        for (prefix, expected) in heights {
            let found = Set(table.candidates(prefix: prefix))
            #expect(found.isSuperset(of: expected.filter { $0 >= lowest }))
            #expect(found.allSatisfy { $0 >= lowest && $0 < height })
        }
        // Few candidates by chance, or each look-up would read the file many times.
        let chance = (0..<10_000).reduce(0) { sum, _ in
            sum + table.candidates(prefix: UInt64.random(in: .min ... .max, using: &random)).count
        }
        #expect(chance < 10)
        #expect(!table.isComplete)
        table.markComplete()
        #expect(table.isComplete)
    }

    @Test func aListThatIsTooLongIsLeftOutAtItsBeginning() {
        let table = HashTable(hashesMax: 1_000)
        table.begin(endHeight: 5_000)
        #expect(table.lowestHeight == 4_000)
        table.insert((0..<5_000).map { UInt64($0) << 40 }, from: 0)
        #expect(table.candidates(prefix: 3_999 << 40) == [])
        #expect(table.candidates(prefix: 4_000 << 40) == [4_000])
    }
}
