// The clock of the machine, for lists and nodes, which are given theirs.

import Glibc

/// Whole seconds since the Unix epoch.
let systemSeconds: @Sendable () -> Int64 = { Int64(time(nil)) }

/// Seconds since the first call, also while the machine sleeps.
let monotonicSeconds: @Sendable () -> Double = {
    let start = ContinuousClock.now
    return { (ContinuousClock.now - start) / .seconds(1) }
}()
