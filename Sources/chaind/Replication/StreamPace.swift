// How slow a stream may be. The time counts in which a receiver reads, also ahead of what it stores, and not that in which it
// has read enough.

/// The time that a sender has.
struct StreamLimits: Sendable {
    /// How long nothing may come.
    var idleSeconds = 10.0
    /// So much has to come in each window of waiting.
    var windowSeconds = 10.0
    var windowSizeBytesMin = 64 << 10
    /// How long the whole stream may take, the receiver's own time included. It goes on from there with another one.
    var totalSeconds = 3_600.0
}

/// Tells a trickle from a stream. The state belongs to whoever reads the stream.
struct StreamPace: Sendable {
    let limits: StreamLimits
    private var waitedSeconds = 0.0
    private var sizeBytes = 0

    init(_ limits: StreamLimits) {
        self.limits = limits
    }

    /// Counts what came after a wait.
    mutating func record(sizeBytes: Int, waitedSeconds: Double) throws(PeerError) {
        self.waitedSeconds += waitedSeconds
        self.sizeBytes += sizeBytes
        guard self.waitedSeconds >= limits.windowSeconds else { return }
        guard self.sizeBytes >= limits.windowSizeBytesMin else { throw .tooSlow }
        self.waitedSeconds = 0
        self.sizeBytes = 0
    }
}
