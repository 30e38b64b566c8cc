// What time it is for the list: the group's clock, as the replica last worked it out.

import Synchronization

/// Gives new blocks their time. Shared by the list, which asks, and the replica, which knows the members' clocks.
final class GroupTime: Sendable {
    /// How far a block may be ahead of the group's clock and still count, in seconds.
    static let aheadSecondsMax: Int64 = 7_200

    private let ownClock: @Sendable () -> Int64
    private let offsetSeconds = Mutex<Int64>(0)

    /// - Parameter ownClock: gives whole seconds since the Unix epoch.
    init(ownClock: @escaping @Sendable () -> Int64) {
        self.ownClock = ownClock
    }

    /// This machine's clock, in whole seconds since the Unix epoch.
    var ownSeconds: Int64 { ownClock() }

    /// The group's clock, in whole seconds since the Unix epoch.
    var seconds: Int64 { max(0, ownClock() + offsetSeconds.withLock { $0 }) }

    /// Blocks with a later timestamp do not count yet.
    var latestTimestamp: Int64 { seconds + GroupTime.aheadSecondsMax }

    /// Sets how far the group's clock is ahead of this machine's.
    func setOffset(_ seconds: Int64) { offsetSeconds.withLock { $0 = seconds } }
}
