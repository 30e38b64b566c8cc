// What counts as a trickle.

import Testing

@testable import chaind

@Suite struct StreamPaceTests {
    @Test func aTrickleIsFoundWhenItsWindowIsOver() throws {
        var pace = StreamPace(StreamLimits())
        for _ in 0..<9 { try pace.record(sizeBytes: 1, waitedSeconds: 1) }
        #expect(throws: PeerError.tooSlow) { try pace.record(sizeBytes: 1, waitedSeconds: 1) }
    }

    @Test func enoughInEachWindowIsFastEnough() throws {
        var pace = StreamPace(StreamLimits())
        for _ in 0..<1_000 { try pace.record(sizeBytes: 64 << 10, waitedSeconds: 10) }
    }

    @Test func whatCameInOneWindowDoesNotCountInTheNext() throws {
        var pace = StreamPace(StreamLimits())
        try pace.record(sizeBytes: 100 << 20, waitedSeconds: 10)
        #expect(throws: PeerError.tooSlow) { try pace.record(sizeBytes: 65_535, waitedSeconds: 10) }
    }

    @Test func timeThatTheReceiverNeedsDoesNotCount() throws {
        var pace = StreamPace(StreamLimits())
        for _ in 0..<1_000 { try pace.record(sizeBytes: 1, waitedSeconds: 0) }
    }
}
