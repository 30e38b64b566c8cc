// A list of a test's own that takes what other lists have, as nodes do, without a network.

import Chain
import Synchronization

/// A list with a clock that the test sets, which can be opened again.
public final class ForkedList: Sendable {
    public let path: String
    /// The time that the list is given.
    public let clock = Mutex<Int64>(1_700_000_000)
    private let opened = Mutex<BlockList?>(nil)

    public init(path: String) { self.path = path }

    /// The list as it is open now.
    public var list: BlockList {
        get throws {
            guard let list = opened.withLock({ $0 }) else { throw TestSupportError("\(path) is not open") }
            return list
        }
    }

    public func open() async throws {
        let list = try await BlockList.open(path: path) { [self] in clock.withLock { $0 } }
        opened.withLock { $0 = list }
    }

    public func close() async throws {
        let list = opened.withLock { opened in
            defer { opened = nil }
            return opened
        }
        try await list?.close()
    }

    public func restart() async throws {
        try await close()
        try await open()
    }

    /// Takes what `other` has after the last common block, and adopts it if it is better.
    @discardableResult
    public func pull(from other: ForkedList, _ terms: AdoptionTerms = AdoptionTerms()) async throws -> AdoptionResult? {
        let common = try await commonHeight(with: other)
        let hash = try await list.block(at: common)?.hash ?? .zero
        var reception = try await list.reception(after: common, hash: hash)
        let runs = try await other.runs(from: common + 1)
        _ = try await reception.take(runs, latestTimestamp: .max)
        return try await reception.adopt(terms)
    }

    /// As `pull`, if the other list is better.
    public func pullIfBetter(from other: ForkedList) async throws {
        let ours = try await list.rank(latestTimestamp: .max)
        guard try await other.list.rank(latestTimestamp: .max) > ours else { return }
        try await pull(from: other)
    }

    private func commonHeight(with other: ForkedList) async throws -> Int {
        for height in stride(from: try list.status.height, through: 0, by: -1) {
            if let ours = try await list.block(at: height)?.hash, try await other.list.block(at: height)?.hash == ours {
                return height
            }
        }
        throw TestSupportError("two geneses")
    }

    /// The list from a height on, as it is sent.
    public func runs(from height: Int) async throws -> [BlockRun] {
        var runs: [BlockRun] = []
        for try await slice in try list.slices(from: height) { runs.append(BlockRun(slice)) }
        return runs
    }

    /// The texts of the list but the genesis.
    public func texts() async throws -> [String] {
        var texts: [String] = []
        for try await slice in try list.slices(from: 1) { texts += slice.blocks.map(\.data) }
        return texts
    }

    public func tidyAll() async throws {
        while try await list.tidy() != .done {}
    }
}

/// Runs a body with open lists in a folder of their own, and closes them.
public func withLists<Result>(
    _ count: Int, isolation: isolated (any Actor)? = #isolation,
    _ body: ([ForkedList]) async throws -> sending Result
) async throws -> sending Result {
    try await withTemporaryDirectory { directory in
        let lists = (0..<count).map { ForkedList(path: directory.path("list-\($0).db")) }
        for list in lists { try await list.open() }
        do {
            let result = try await body(lists)
            for list in lists { try await list.close() }
            return result
        } catch {
            for list in lists { try await list.close() }
            throw error
        }
    }
}
