// The heights that an import prints.

import Testing

@testable import chaind

struct FilledHeightsTests {
    private func filled(_ ranges: [ClosedRange<Int>]) -> FilledHeights {
        var filled = FilledHeights()
        for range in ranges { filled.append(range) }
        return filled
    }

    @Test func areMergedWhereTheyMeet() {
        let heights = filled([1...1000, 1001...1500, 1503...1503, 1504...1600])
        #expect(heights.ranges == [1...1500, 1503...1600])
        #expect(heights.description == "1598 blocks: heights 1 to 1500, 1503 to 1600")
        #expect(heights.json == "[[1,1500],[1503,1600]]")
    }

    @Test func areNamedWhenThereAreFew() {
        #expect(filled([]).description == "0 blocks")
        #expect(filled([]).json == "[]")
        #expect(filled([7...7]).description == "1 block: height 7")
        #expect(filled([7...8, 10...10]).description == "3 blocks: heights 7 to 8, 10")
    }

    @Test func areCountedWhenThereAreMany() {
        let many = filled((0..<100).map { $0 * 10...($0 * 10 + 4) })
        #expect(many.description == "500 blocks: heights 0 to 994, in 100 ranges")
    }
}
