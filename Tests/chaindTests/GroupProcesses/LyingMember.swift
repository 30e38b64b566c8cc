// A member of a group that sends what no node would send.

import Chain
import Hummingbird
import NIOCore
import Synchronization
import TestSupport

@testable import chaind

/// What a member says, and the blocks that it sends for it.
struct LyingMember: Sendable {
    /// The head that it claims to have.
    var head: BlockPoint
    /// Whether it says that it has our blocks; what it says for a list of its own is no part of them.
    var knowsOurGenesis = true
    /// Answers `GET /sync/stream`.
    var stream: @Sendable () -> Response

    /// Sends a stream of blocks after the genesis under their head.
    init(_ blocks: [Block], head: BlockPoint? = nil) {
        let header = StreamHeader(
            after: Block.genesis.point, head: head ?? blocks[blocks.count - 1].point, finalHeight: 0)
        let parts = (StreamSample.run(of: blocks).map { [StreamPart.run($0)] } ?? []) + [.end]
        self.init(head: header.head, bytes: StreamSample.bytes(header, parts))
    }

    /// Sends these bytes as a stream.
    init(head: BlockPoint, bytes: [UInt8]) {
        self.init(head: head) {
            .body {
                try await $0.write(ByteBuffer(bytes: bytes))
                try await $0.finish(nil)
            }
        }
    }

    init(head: BlockPoint, stream: @escaping @Sendable () -> Response) {
        self.head = head
        self.stream = stream
    }

    /// Consecutive blocks after the genesis.
    static func blocks(_ count: Int, _ name: String) -> [Block] {
        var blocks: [Block] = []
        while blocks.count < count {
            let last = blocks.last ?? .genesis
            blocks.append(
                Block(
                    height: last.height + 1, timestamp: 1_700_000_000 + Int64(last.height),
                    data: "\(name) \(last.height + 1)", previousHash: last.hash))
        }
        return blocks
    }

    /// Blocks of which one says another hash than it has; those after it follow that hash.
    static func blocks(_ count: Int, wrongAt height: Int, _ name: String) -> [Block] {
        var blocks = blocks(height - 1, name)
        while blocks.count < count {
            let last = blocks.last ?? .genesis
            let right = Block(
                height: last.height + 1, timestamp: last.timestamp, data: "\(name) \(last.height + 1)",
                previousHash: last.hash)
            let hash =
                right.height == height
                ? Block(height: 0, timestamp: 0, data: name, previousHash: .zero).hash : right.hash
            blocks.append(
                Block(
                    height: right.height, timestamp: right.timestamp, data: right.data,
                    previousHash: right.previousHash, hash: hash, origin: nil))
        }
        return blocks
    }
}

/// Serves a lying member as long as the body runs, which is given its address and the moments at which it was asked for
/// its blocks.
func withLyingMember(
    _ member: LyingMember,
    _ body: (MemberAddress, @escaping @Sendable () -> [ContinuousClock.Instant]) async throws -> Void
) async throws {
    let asked = AskedMoments()
    let ownAddress = Mutex<MemberAddress?>(nil)
    let respond: @Sendable (Request, ConnectionContext) async throws -> Response = { request, _ in
        if request.uri.path == SyncPath.stream, request.method == .get { asked.note() }
        guard let address = ownAddress.withLock({ $0 }) else { throw HTTPFailure.notFound }
        return try member.response(to: request, at: address)
    }
    try await withPeerServer(respond: respond) { address in
        ownAddress.withLock { $0 = address }
        try await body(address) { asked.moments }
    }
}

extension LyingMember {
    fileprivate func response(to request: Request, at address: MemberAddress) throws -> Response {
        let nodeID = "liar-\(head.hash.description.prefix(20))"
        switch request.uri.path {
        case "/":
            let text = """
                {"health": true, "node_id": "\(nodeID)", "height": \(head.height), "head_hash": "\(head.hash)"}
                """
            return .json(ByteBuffer(string: text))
        case SyncPath.status:
            return try .message(
                StatusMessage(
                    address: address, nodeID: nodeID, timeSeconds: Int(systemSeconds()), head: head, finalHeight: 0,
                    settledHeight: 0, members: []))
        case SyncPath.locate:
            return try .message(LocateAnswer(list: knowsOurGenesis ? Block.genesis.point : nil))
        case SyncPath.stream where request.method == .get: return stream()
        default: throw HTTPFailure.notFound
        }
    }
}

/// When something was asked for.
private final class AskedMoments: Sendable {
    private let noted = Mutex<[ContinuousClock.Instant]>([])

    var moments: [ContinuousClock.Instant] { noted.withLock { $0 } }

    func note() { noted.withLock { $0.append(.now) } }
}
