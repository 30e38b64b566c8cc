// The group's time, for right and wrong clocks.

import Testing

@testable import chaind

@Suite struct GroupClockTests {
    private static let ownTime: Int64 = 1_700_000_000
    private let ownTime = Self.ownTime

    /// A clock that has learnt, at second 100, of one member for each difference.
    private func clock(differences: [Int64]) -> GroupClock {
        var clock = GroupClock(ownNodeID: "own")
        for (number, difference) in differences.enumerated() {
            clock.learn(
                from: address(number), nodeID: "\(number)", time: ownTime + difference, roundTripSeconds: 0,
                nowSeconds: 100)
        }
        return clock
    }

    @Test(
        arguments: [
            ([], 0),
            // One other clock decides nothing.
            ([5_000], 0),
            ([30, 50], 30),
            ([-30, 50], 0),
            ([5_000, 5_000], 5_000),
            ([0, 5_000], 0),
            ([-5_000, 5_000], 0),
            ([10, 20, 30], 15),
            ([10, 20, 30, 40], 20),
            ([-7_200, -7_200, 0, 0], 0),
        ] as [([Int64], Int64)])
    func theTimeIsTheMedianOfAtLeastTwoMembersAndOneself(differences: [Int64], expected: Int64) {
        #expect(clock(differences: differences).time(ownTime: ownTime, nowSeconds: 100) == ownTime + expected)
    }

    @Test func clocksGoOnAfterTheyWereLearntAndCountForAMinute() {
        let clock = clock(differences: [40, 50])
        #expect(clock.time(ownTime: ownTime + 30, nowSeconds: 130) == ownTime + 30 + 40)
        #expect(clock.time(ownTime: ownTime + 60, nowSeconds: 160) == ownTime + 60 + 40)
        #expect(clock.time(ownTime: ownTime + 61, nowSeconds: 161) == ownTime + 61)
    }

    @Test func aJumpOfTheOwnClockDoesNotMoveTheGroups() {
        let clock = clock(differences: [0, 0])
        let time = clock.time(ownTime: ownTime + 36_000, nowSeconds: 110)
        #expect(time == ownTime + 10)
        #expect(clock.isOwnClockOff(ownTime: ownTime + 36_000, nowSeconds: 110))
    }

    @Test func halfOfTheRoundTripIsAdded() {
        var clock = GroupClock(ownNodeID: "own")
        for number in 1...2 {
            clock.learn(
                from: address(number), nodeID: "\(number)", time: ownTime + 100, roundTripSeconds: 8, nowSeconds: 0)
        }
        #expect(clock.time(ownTime: ownTime, nowSeconds: 0) == ownTime + 104)
    }

    @Test func theLastReadingOfAMemberCounts() {
        var clock = clock(differences: [5_000, 5_000])
        clock.learn(from: address(0), nodeID: "0", time: ownTime, roundTripSeconds: 0, nowSeconds: 100)
        clock.learn(from: address(1), nodeID: "1", time: ownTime, roundTripSeconds: 0, nowSeconds: 100)
        #expect(clock.time(ownTime: ownTime, nowSeconds: 100) == ownTime)
    }

    @Test func aNodeWithTwoAddressesCountsOnceAndTheNodeItselfNotAgain() {
        var clock = clock(differences: [5_000])
        clock.learn(from: address(7), nodeID: "0", time: ownTime + 5_000, roundTripSeconds: 0, nowSeconds: 101)
        clock.learn(from: address(8), nodeID: "own", time: ownTime + 5_000, roundTripSeconds: 0, nowSeconds: 101)
        #expect(clock.time(ownTime: ownTime, nowSeconds: 101) == ownTime)
        #expect(!clock.isOwnClockConfirmed(memberCount: 4, ownTime: ownTime + 5_000, nowSeconds: 101))
    }

    @Test func moreThanTenMinutesIsOff() {
        #expect(!clock(differences: [600, 600]).isOwnClockOff(ownTime: ownTime, nowSeconds: 100))
        #expect(clock(differences: [601, 601]).isOwnClockOff(ownTime: ownTime, nowSeconds: 100))
        #expect(clock(differences: [-601, -601]).isOwnClockOff(ownTime: ownTime, nowSeconds: 100))
        #expect(!clock(differences: [5_000]).isOwnClockOff(ownTime: ownTime, nowSeconds: 100))
        #expect(clock(differences: [600, -600]).farthest(ownTime: ownTime, nowSeconds: 100) == nil)
        #expect(clock(differences: [601, -602, 0]).farthest(ownTime: ownTime, nowSeconds: 100)?.aheadSeconds == -602)
    }

    @Test(
        arguments: [
            // Alone, nobody confirms.
            ([], 1, false),
            ([], 2, false),
            ([0], 2, true),
            ([600], 2, true),
            ([-600], 2, true),
            ([601], 2, false),
            ([0], 3, true),
            // Half is not more than half.
            ([0], 4, false),
            ([0, 0], 4, true),
            ([0, 0], 5, true),
            ([0, 0], 6, false),
            ([0, 9_999, 9_999], 4, false),
            ([0, 0, 9_999], 4, true),
        ] as [([Int64], Int, Bool)])
    func moreThanHalfConfirmTheOwnClock(differences: [Int64], memberCount: Int, isConfirmed: Bool) {
        let clock = clock(differences: differences)
        #expect(
            clock.isOwnClockConfirmed(memberCount: memberCount, ownTime: ownTime, nowSeconds: 100) == isConfirmed)
    }

    @Test func anOldReadingConfirmsNothing() {
        let clock = clock(differences: [0])
        #expect(clock.isOwnClockConfirmed(memberCount: 2, ownTime: ownTime + 60, nowSeconds: 160))
        #expect(!clock.isOwnClockConfirmed(memberCount: 2, ownTime: ownTime + 61, nowSeconds: 161))
    }

    @Test(arguments: [Int64.min, -1, .max])
    func absurdClocksMakeAnAbsurdTimeAtWorst(time: Int64) {
        var clock = GroupClock(ownNodeID: "own")
        for number in 1...2 {
            clock.learn(from: address(number), nodeID: "\(number)", time: time, roundTripSeconds: 0, nowSeconds: 0)
        }
        #expect(0...(1 << 53) ~= clock.time(ownTime: ownTime, nowSeconds: 0))
        #expect(clock.isOwnClockOff(ownTime: ownTime, nowSeconds: 0))
        clock.learn(from: address(3), nodeID: "3", time: ownTime, roundTripSeconds: 0, nowSeconds: 0)
        clock.learn(from: address(4), nodeID: "4", time: ownTime, roundTripSeconds: 0, nowSeconds: 0)
        #expect(clock.time(ownTime: ownTime, nowSeconds: 0) == ownTime)
    }
}
