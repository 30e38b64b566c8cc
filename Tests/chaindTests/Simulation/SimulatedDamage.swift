// What a faulty network makes of the blocks of others, and what a faulty node sends.

import Synchronization

@testable import Chain
@testable import chaind

extension Simulation {
    /// What a faulty node puts to the end of its list.
    private enum Forgery: CaseIterable {
        /// A block whose origin is the hash of something else.
        case wrongOrigin
        /// A block that stands in the list already, appended again.
        case repeatedIdentity
        /// A block older than the one before.
        case timeGoesBack
    }

    /// A run of which one bit is another one.
    func corrupted(_ run: BlockRun) throws(PeerError) -> StreamPart {
        trace("a part is corrupted at height \(run.firstHeight)")
        var content = run.content
        content[number(0...content.count - 1)] ^= UInt8(1 << number(0...7))
        guard let corrupted = BlockRun(firstHeight: run.firstHeight, count: run.count, content: content) else {
            throw .invalid(reason: "the part at height \(run.firstHeight) is not whole")
        }
        return .run(corrupted)
    }

    /// A stream as a faulty node sends it: with one more block that breaks a rule.
    func forged(_ stream: OutgoingStream, by process: SimulatedProcess) async -> OutgoingStream {
        let header = stream.header
        guard header.head.height > 0, let kind = pick(Forgery.allCases) else { return stream }
        let last: Block?
        let earlier: Block?
        do throws(ReadError) {
            last = try await process.list.block(at: header.head.height)
            earlier = try await process.list.block(at: number(1...header.head.height))
        } catch {
            return stream
        }
        guard let last, let earlier, last.hash == header.head.hash else { return stream }
        trace("a stream is forged: \(kind)")
        let block: Block
        switch kind {
        case .wrongOrigin:
            let origin = Origin(
                hash: last.previousHash, previousHash: last.hash, timestamp: last.timestamp, height: last.height)
            block = last.followed(by: earlier.data, origin: origin, timestamp: last.timestamp)
        case .repeatedIdentity:
            block = last.followed(by: earlier.data, origin: Origin(of: earlier), timestamp: last.timestamp)
        case .timeGoesBack:
            block = last.followed(by: "forged", origin: nil, timestamp: last.timestamp - 1)
        }
        let rest = Mutex([StreamPart.end] + BlockRun.runs(of: [block]).map(StreamPart.run))
        return OutgoingStream(
            header: StreamHeader(
                after: header.after, head: BlockPoint(height: block.height, hash: block.hash),
                finalHeight: header.finalHeight)
        ) {
            let part = await stream.next()
            guard part == .end || part == nil else { return part }
            return rest.withLock { $0.popLast() }
        }
    }
}

extension Block {
    fileprivate func followed(by data: String, origin: Origin?, timestamp: Int64) -> Block {
        Block(height: height + 1, timestamp: timestamp, data: data, previousHash: hash, origin: origin)
    }
}
