// Blocks settle where every member was found to have them lately, and only then.

import Testing

@testable import chaind

@Suite struct SettlementTests {
    private func point(_ height: Int, foundSeconds: Double = 0) -> CommonPoint {
        CommonPoint(height: height, foundSeconds: foundSeconds)
    }

    @Test func theLowestCommonHeightSettlesAndNothingYoung() {
        let points = [point(30), point(20), point(40)]
        #expect(Settlement.height(commonPoints: points, agedHeight: 100, nowSeconds: 0) == 20)
        #expect(Settlement.height(commonPoints: points, agedHeight: 20, nowSeconds: 0) == 20)
        #expect(Settlement.height(commonPoints: points, agedHeight: 7, nowSeconds: 0) == 7)
        #expect(Settlement.height(commonPoints: [point(0)], agedHeight: 7, nowSeconds: 0) == 0)
    }

    @Test func nothingSettlesWhileOneMemberIsAway() {
        let recent = point(30, foundSeconds: 1_000)
        #expect(Settlement.height(commonPoints: [recent, point(30)], agedHeight: 9, nowSeconds: 1_800) == 9)
        #expect(Settlement.height(commonPoints: [recent, point(30)], agedHeight: 9, nowSeconds: 1_800.5) == nil)
        #expect(Settlement.height(commonPoints: [recent, nil], agedHeight: 9, nowSeconds: 1_000) == nil)
    }

    @Test func aNodeAloneSettlesNothing() {
        #expect(Settlement.height(commonPoints: [], agedHeight: 9, nowSeconds: 0) == nil)
    }
}
