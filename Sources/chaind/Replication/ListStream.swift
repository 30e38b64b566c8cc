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
    private let list: BlockList
    private var isOver = false
    /// The height from which on blocks have tags; `nil` until it is read.
    private var firstTagHeight: Int?
    /// A run whose tags were sent.
    private var held: BlockRun?

    init(list: BlockList, after point: BlockPoint, upTo head: BlockPoint) {
        self.list = list
        slices = list.slices(from: point.height + 1, limit: head.height - point.height).makeAsyncIterator()
        last = point
        self.head = head
    }

    func next() async -> StreamPart? {
        guard !isOver else { return nil }
        if let run = held {
            held = nil
            return .run(run)
        }
        do throws(ReadError) {
            if firstTagHeight == nil { firstTagHeight = try await list.firstTagHeight() ?? .max }
            var slices = slices
            let slice = try await slices.next()
            self.slices = slices
            guard let slice, last.height < head.height else { return end() }
            guard slice.previousHash == last.hash else { return end("the list changed while it was read") }
            last = BlockPoint(height: slice.endHeight - 1, hash: slice.lastHash)
            // With another head than the header names, the receiver would think that the sender lies.
            guard last.height < head.height || last == head else { return end("the list changed while it was read") }
            let run = BlockRun(slice)
            guard last.height >= firstTagHeight ?? .max else { return .run(run) }
            let tags = try await list.tags(run.firstHeight..<run.endHeight)
            guard !tags.isEmpty else { return .run(run) }
            held = run
            return .tags(tags)
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
