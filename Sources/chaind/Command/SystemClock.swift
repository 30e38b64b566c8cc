// The clock of the machine, for lists and nodes, which are given theirs.

import Glibc

/// Whole seconds since the Unix epoch.
let systemSeconds: @Sendable () -> Int64 = { Int64(time(nil)) }
