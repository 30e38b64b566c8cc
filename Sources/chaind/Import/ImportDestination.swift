// Where an import of lines puts its blocks: a database, or a node that runs.

import Chain

/// A list that takes batches and can be read, for finding out where an import stopped.
protocol ImportDestination: Sendable {
    /// The height of the head.
    func headHeight() async throws -> Int

    /// Appends the batch, all or none. Cancelling the task does not cut a batch off that is on its way.
    ///
    /// - Parameter number: counts the batches of this import, from 0.
    /// - Returns: the heights that were filled.
    func append(_ batch: LineBatch, number: Int) async throws -> ClosedRange<Int>

    /// Gives the hash of each block's text, in order.
    func forEachTextHash(in heights: ClosedRange<Int>, _ body: (Hash) -> Void) async throws

    /// Ends the work with the list.
    func close() async throws
}

/// A database that no node runs on.
struct DatabaseDestination: ImportDestination {
    private let list: BlockList

    /// Opens the database, and makes it if there is none.
    init(path: String, dataSizeBytesMax: Int) async throws(CommandError) {
        var options = BlockListOptions()
        options.dataSizeBytesMax = dataSizeBytesMax
        do {
            list = try await BlockList.open(path: path, options: options, now: systemSeconds)
        } catch {
            guard case .inUse = error.reason else { throw CommandError(error.description) }
            throw CommandError("\(error); if that is a node, import through it with --url http://HOST:PORT")
        }
    }

    func headHeight() -> Int { list.status.height }

    func append(_ batch: LineBatch, number: Int) async throws -> ClosedRange<Int> {
        let blocks = try await list.append(AppendRequest(drafts: batch.texts.map { Draft(data: $0) }))
        guard let first = blocks.first, let last = blocks.last else { throw CommandError("nothing was appended") }
        return first.height...last.height
    }

    func forEachTextHash(in heights: ClosedRange<Int>, _ body: (Hash) -> Void) async throws {
        for try await slice in list.slices(from: heights.lowerBound, limit: heights.count) {
            slice.forEachBlock { body(Hash(sha256: $0.data)) }
        }
    }

    func close() async throws { try await list.close() }
}
