// What time it is for the group: one wrong clock must not give blocks their time, nor refuse everybody else's.

/// The clocks of the members reached in the last minute, and what follows from them.
///
/// What a member's clock says is kept with the monotonic time at which it said so and not with the own clock's, so
/// that a jump of the own clock changes nothing. That monotonic clock goes on while the machine sleeps.
struct GroupClock: Sendable {
    /// How long a member's clock counts after it was learnt.
    static let readingAgeSecondsMax = 60.0
    /// How far apart two clocks may be and still agree.
    static let differenceSecondsMax = 600.0

    private struct Reading {
        let nodeID: String
        let timeSeconds: Double
        let learntSeconds: Double
    }

    private let ownNodeID: String
    private var readings: [MemberAddress: Reading] = [:]

    /// Knows no other clock yet.
    ///
    /// - Parameter ownNodeID: the random id of this process, so that a node does not count itself twice.
    init(ownNodeID: String) {
        self.ownNodeID = ownNodeID
    }

    /// Learns what a member's clock says.
    ///
    /// - Parameters:
    ///   - address: the member.
    ///   - nodeID: the random id of the member's process: one with two addresses counts once.
    ///   - time: what its clock says, in seconds since the Unix epoch.
    ///   - roundTripSeconds: how long question and answer took together; 0 if it spoke unasked.
    ///   - nowSeconds: the monotonic time of the reception.
    mutating func learn(
        from address: MemberAddress, nodeID: String, time: Int64, roundTripSeconds: Double, nowSeconds: Double
    ) {
        readings = readings.filter { nowSeconds - $0.value.learntSeconds <= Self.readingAgeSecondsMax }
        guard nodeID != ownNodeID else { return }
        readings[address] = Reading(
            nodeID: nodeID, timeSeconds: Double(time) + roundTripSeconds / 2, learntSeconds: nowSeconds)
    }

    /// The time for new blocks, and to judge others' by: with two members or more the median of all clocks, else the
    /// own one.
    ///
    /// - Parameters:
    ///   - ownTime: what the own clock says, in seconds since the Unix epoch.
    ///   - nowSeconds: the monotonic time.
    func time(ownTime: Int64, nowSeconds: Double) -> Int64 {
        let differences = differences(ownTime: ownTime, nowSeconds: nowSeconds).map(\.aheadSeconds)
        guard differences.count >= 2 else { return ownTime }
        let sorted = (differences + [0]).sorted()
        let median = (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
        // Whatever a member claims, the sum is a time that a block may have, and a `Double` holds it exactly.
        return Int64(min(max((Double(ownTime) + median).rounded(), 0), 0x1p53))
    }

    /// Whether the own clock is more than ten minutes from the group's.
    func isOwnClockOff(ownTime: Int64, nowSeconds: Double) -> Bool {
        abs(Double(time(ownTime: ownTime, nowSeconds: nowSeconds)) - Double(ownTime)) > Self.differenceSecondsMax
    }

    /// Whether more than half of the members, at least one beside this node, agree with its clock within ten minutes.
    ///
    /// - Parameter memberCount: how many members the group has, reached or not, this node counted.
    func isOwnClockConfirmed(memberCount: Int, ownTime: Int64, nowSeconds: Double) -> Bool {
        let agreeing = differences(ownTime: ownTime, nowSeconds: nowSeconds)
            .count { abs($0.aheadSeconds) <= Self.differenceSecondsMax }
        return agreeing >= 1 && 2 * (agreeing + 1) > memberCount
    }

    /// The member whose clock is farthest from the own one, if that is more than ten minutes: with one member alone
    /// nobody can tell which of both is wrong.
    func farthest(ownTime: Int64, nowSeconds: Double) -> (address: MemberAddress, aheadSeconds: Double)? {
        differences(ownTime: ownTime, nowSeconds: nowSeconds)
            .filter { abs($0.aheadSeconds) > Self.differenceSecondsMax }
            .max { abs($0.aheadSeconds) < abs($1.aheadSeconds) }
    }

    /// How far the clock of each member reached in the last minute is ahead of the own one.
    private func differences(
        ownTime: Int64, nowSeconds: Double
    ) -> [(address: MemberAddress, aheadSeconds: Double)] {
        let recent = readings.filter { nowSeconds - $0.value.learntSeconds <= Self.readingAgeSecondsMax }
        let nodes = Dictionary(recent.map { ($0.value.nodeID, $0) }) {
            $0.value.learntSeconds > $1.value.learntSeconds ? $0 : $1
        }
        return nodes.values.map { address, reading in
            (address, reading.timeSeconds + (nowSeconds - reading.learntSeconds) - Double(ownTime))
        }
    }
}
