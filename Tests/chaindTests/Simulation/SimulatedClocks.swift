// The clocks of a simulated history. Each is read from anywhere, and set by the simulation alone.

import Synchronization

/// Virtual monotonic time, which goes on only when the simulation says so.
final class VirtualClock: Sendable {
    private let seconds = Mutex(0.0)

    var nowSeconds: Double { seconds.withLock { $0 } }

    func set(_ nowSeconds: Double) { seconds.withLock { $0 = nowSeconds } }
}

/// The wall clock of one machine: right, or off by so much.
final class WallClock: Sendable {
    /// What a right clock says at the beginning of a history.
    static let startSeconds: Int64 = 1_700_000_000

    private let clock: VirtualClock
    private let offset = Mutex<Int64>(0)

    init(_ clock: VirtualClock) { self.clock = clock }

    var offsetSeconds: Int64 { offset.withLock { $0 } }

    /// Whole seconds since the Unix epoch.
    var seconds: Int64 { WallClock.startSeconds + Int64(clock.nowSeconds) + offsetSeconds }

    func set(offsetSeconds: Int64) { offset.withLock { $0 = offsetSeconds } }
}
