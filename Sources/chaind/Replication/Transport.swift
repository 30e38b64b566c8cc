// What a node can ask of a member, and the shapes that a block stream has on its way in and out. A struct of closures,
// so that the simulation of the tests can carry messages itself.

import Chain

/// How messages get to members.
struct Transport: Sendable {
    /// Whether the member answers as a node.
    var health: @Sendable (MemberAddress) async throws(PeerError) -> HealthMessage
    /// Compares heads, and exchanges what each knows of the members.
    var status: @Sendable (MemberAddress, StatusMessage) async throws(PeerError) -> StatusMessage
    /// Which of these points the member has.
    var locate: @Sendable (MemberAddress, [BlockPoint]) async throws(PeerError) -> LocateAnswer
    /// The member's blocks after a point of its list.
    var pull: @Sendable (MemberAddress, BlockPoint) async throws(PeerError) -> IncomingStream
    /// Sends blocks to the member.
    var push: @Sendable (MemberAddress, OutgoingStream) async throws(PeerError) -> PushAnswer
    /// Tells the member that this node stops.
    var leave: @Sendable (MemberAddress, LeaveMessage) async throws(PeerError) -> Void
    /// Sends appends to the leader of a group with an engine.
    var forward: @Sendable (MemberAddress, ForwardMessage) async throws(PeerError) -> [ForwardOutcome]
}

/// What a stream continues, and up to where it goes.
struct StreamHeader: Hashable, Sendable {
    /// The block before the first one of the stream.
    let after: BlockPoint
    /// The head of the sender's list as it was when the stream began: the last block of the stream.
    let head: BlockPoint
    /// The height up to which the sender's list is final.
    let finalHeight: Int
    /// The height up to which the sender's list is settled: only who adopts it by decision takes that over.
    var settledHeight = 0
}

/// A part of a stream, after its header.
enum StreamPart: Hashable, Sendable {
    case run(BlockRun)
    /// The appends that made blocks which follow: where an engine of consensus orders them.
    case tags([AppendTag])
    /// All blocks were sent.
    case end
    /// The sender cannot go on, which is nobody's fault; what it says why.
    case failed(String)
}

/// A stream that a member sends. What its parts say of heights was checked; the blocks were not.
struct IncomingStream: Sendable {
    let header: StreamHeader
    /// The next part, for one caller at a time; `nil` after the last one, and where the stream ended without a last one.
    let next: @Sendable () async throws(PeerError) -> StreamPart?
    /// Whether the next part has come, so that nothing has to be waited for.
    var isNextThere: @Sendable () async -> Bool = { false }
}

extension IncomingStream {
    /// The next run, for who needs only blocks; `nil` at the end.
    ///
    /// - Throws: `PeerError`, also where the stream ends without an end.
    func nextRun() async throws(PeerError) -> BlockRun? {
        while true {
            switch try await next() {
            case .run(let run): return run
            case .tags: continue
            case .end: return nil
            case .failed(let reason): throw .unreachable(reason: reason)
            case nil: throw .unreachable(reason: "the stream broke")
            }
        }
    }
}

/// A stream that is sent to a member.
struct OutgoingStream: Sendable {
    let header: StreamHeader
    /// The next part; `nil` after `.end` and `.failed`.
    let next: @Sendable () async -> StreamPart?
}
