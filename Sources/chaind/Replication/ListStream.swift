// Our list as a stream: what a member that lacks blocks is sent.

import Chain
import Synchronization

extension OutgoingStream {
    /// The blocks of a list after one of its own, up to a head. What is appended meanwhile does not matter; where a block
    /// of it is replaced, or cannot be read, the stream ends with the reason.
    ///
    /// - Parameter head: a block of the list at or above `point`.
    init(of list: BlockList, after point: BlockPoint, upTo head: BlockPoint, finalHeight: Int) {
        let reading = StreamReading(list: list, after: point, upTo: head)
        self.init(
            header: StreamHeader(
                after: point, head: head, finalHeight: min(finalHeight, head.height),
                settledHeight: min(list.status.settledHeight, head.height)),
            next: { await reading.next() })
    }
}

/// Where a stream is in the list.
private actor StreamReading {
    private var slices: BlockSlices.Iterator
    private var last: BlockPoint
    private let head: BlockPoint
    private var isOver = false

    init(list: BlockList, after point: BlockPoint, upTo head: BlockPoint) {
        slices = list.slices(from: point.height + 1, limit: head.height - point.height).makeAsyncIterator()
        last = point
        self.head = head
    }

    func next() async -> StreamPart? {
        guard !isOver else { return nil }
        do throws(ReadError) {
            var slices = slices
            let slice = try await slices.next()
            self.slices = slices
            guard let slice, last.height < head.height else { return end() }
            guard slice.previousHash == last.hash else { return end("the list changed while it was read") }
            last = BlockPoint(height: slice.endHeight - 1, hash: slice.lastHash)
            // With another head than the header names, the receiver would think that the sender lies.
            guard last.height < head.height || last == head else { return end("the list changed while it was read") }
            return .run(BlockRun(slice))
        } catch {
            return end(error.description)
        }
    }

    private func end(_ reason: String? = nil) -> StreamPart {
        isOver = true
        if let reason { return .failed(reason) }
        return last == head ? .end : .failed("the list changed while it was read")
    }
}
