// What time it is for the list: the group's clock, as the replica last worked it out.

import Synchronization

/// Gives new blocks their time. Shared by the list, which asks, and the replica, which knows the members' clocks.
final class GroupTime: Sendable {
    /// How far a block may be ahead of the group's clock and still count, in seconds.
    static let aheadSecondsMax: Int64 = 7_200

    private let ownClock: @Sendable () -> Int64
    /// Monotonic seconds.
    let nowSeconds: @Sendable () -> Double
    /// What time it was, and when that was found out. It goes on with the monotonic clock: were it kept as a difference to
    /// this machine's clock, a jump of that would move it until the next look at the members' clocks.
    private let known = Mutex<(seconds: Int64, foundSeconds: Double)?>(nil)

    /// - Parameters:
    ///   - ownClock: gives whole seconds since the Unix epoch.
    ///   - nowSeconds: gives monotonic seconds.
    init(ownClock: @escaping @Sendable () -> Int64, nowSeconds: @escaping @Sendable () -> Double) {
        self.ownClock = ownClock
        self.nowSeconds = nowSeconds
    }

    /// This machine's clock, in whole seconds since the Unix epoch.
    var ownSeconds: Int64 { ownClock() }

    /// The group's clock, in whole seconds since the Unix epoch.
    var seconds: Int64 {
        guard let known = known.withLock({ $0 }) else { return max(0, ownClock()) }
        return known.seconds + Int64(nowSeconds() - known.foundSeconds)
    }

    /// Blocks with a later timestamp do not count yet.
    var latestTimestamp: Int64 { seconds + GroupTime.aheadSecondsMax }

    /// Says what time it is now.
    func set(_ seconds: Int64) {
        let now = nowSeconds()
        known.withLock { $0 = (max(0, seconds), now) }
    }
}
