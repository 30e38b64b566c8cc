// The engine's front: one open database, with its writer, its readers and its validation.

import Glibc
import Synchronization

/// A tamper-evident, append-only list of blocks in one SQLite database.
///
/// One process has a database open at a time. All members may be called from anywhere; what blocks, blocks threads of
/// the list's own.
public final class BlockList: Sendable {
    let path: String
    /// Held until the list is closed.
    let lock: StoreLock
    let state: ListState
    private let hashes: HashTable
    let writer: StoreWriter
    private let now: @Sendable () -> Int64
    private let sequencer: Sequencer
    private let readers: [StoreReader]
    private let nextReader = Atomic(0)
    private let lookups: Lookups
    /// Looks for hashes that are not in the table; one at a time, and not in the way of other reads.
    private let hashReader: StoreReader
    /// Checks what is at rest; not in the way of other reads.
    let scrubReader: StoreReader
    private let validation: SharedValidation
    private let lanes: HashLanes

    // MARK: Opening and closing

    /// Opens a database, or creates one with the genesis. The folder must exist.
    ///
    /// - Parameter now: gives the time, in whole seconds since the Unix epoch.
    /// - Throws: `OpenError`; a file that is refused is left as it was.
    public static func open(
        path: String, options: BlockListOptions = .init(), now: @escaping @Sendable () -> Int64
    ) async throws(OpenError) -> BlockList {
        // Before the lock, which leaves a file beside the database.
        var exists = try StoreFile.exists(path: path)
        let lock = try StoreLock(path: path)
        if !exists { exists = try StoreFile.exists(path: path) }
        if !exists { try StoreFile.create(path: path) }
        // What a kill left of a rebuilding.
        try StoreFile.remove(FileRebuild.newPath(path), for: path)
        let list = BlockList(path: path, options: options, lock: lock, now: now)
        do throws(SQLiteError) {
            try await list.writer.open()
        } catch {
            throw OpenError(path: path, reason: .database(error))
        }
        return list
    }

    private init(path: String, options: BlockListOptions, lock: StoreLock, now: @escaping @Sendable () -> Int64) {
        self.path = path
        self.lock = lock
        self.now = now
        let state = ListState()
        self.state = state
        hashes = HashTable(hashesMax: max(1_000, options.hashesMax))
        writer = StoreWriter(path: path, state: state, hashes: hashes, observer: options.commitObserver)
        sequencer = Sequencer(writer: writer, options: options, now: now)
        readers = (0..<max(1, options.readers)).map { _ in
            StoreReader(path: path, source: .live(state), lanes: options.lanes)
        }
        lookups = Lookups(reader: readers[0], state: state)
        hashReader = StoreReader(path: path, source: .live(state), lanes: options.lanes)
        scrubReader = StoreReader(path: path, source: .live(state), lanes: options.lanes, isBackground: true)
        lanes = options.lanes
        validation = SharedValidation(state: state) { end in
            try await BlockList.validate(path: path, end: end, state: state, lanes: options.lanes)
        }
    }

    /// Takes no more appends, answers those taken, and closes the database, which removes its WAL.
    ///
    /// - Throws: `SQLiteError` if the WAL could not be moved into the database; nothing is lost by that.
    public func close() async throws(SQLiteError) {
        defer { lock.release() }
        try await closeDatabase()
    }

    /// As `close`, but no other process can have the database yet.
    func closeDatabase() async throws(SQLiteError) {
        await sequencer.close()
        await validation.close()
        for reader in readers + [hashReader, scrubReader] { await reader.close() }
        try await writer.close()
    }

    // MARK: Appending

    /// Appends the texts of a request, all or none, and answers once they are on disk.
    ///
    /// Cancelling the caller does not cancel the append.
    ///
    /// - Throws: `AppendError`.
    public func append(_ request: AppendRequest) async throws(AppendError) -> [Block] {
        try await withCheckedContinuation { continuation in
            append(request) { continuation.resume(returning: $0) }
        }.get()
    }

    /// The same for a caller that is no task. `answer` is called on any thread, and must not block it.
    public func append(
        _ request: AppendRequest, answer: @escaping @Sendable (Result<[Block], AppendError>) -> Void
    ) {
        sequencer.append(request, answer: answer)
    }

    /// Calls `body` once the writer has done what it was asked before, on its thread, which it must not block.
    public func afterWrites(_ body: @escaping @Sendable () -> Void) {
        writer.perform { _ in body() }
    }

    // MARK: Reading

    /// The height of the head.
    public var height: Int { state.head.height }

    /// What is known of the list without reading it.
    public var status: ListStatus {
        let head = state.head
        return ListStatus(
            height: head.height, headHash: head.hash, headTimestamp: head.timestamp,
            validatedHeight: state.validatedHeight, settledHeight: state.settledHeight,
            finalHeight: state.finalHeight, damagedHeights: Array(state.damagedHeights.prefix(100)),
            structureFault: state.structureFault, repairs: state.repairs, reorganisations: state.reorganisations,
            replacements: state.replacements)
    }

    /// The block at a height, checked; `nil` beyond the head.
    public func block(at height: Int) async throws(ReadError) -> Block? {
        try await withCheckedContinuation { continuation in
            block(at: height) { continuation.resume(returning: $0) }
        }.get()
    }

    /// The same for a caller that is no task. `answer` is called on any thread, also before this returns, and must not block
    /// it.
    public func block(at height: Int, answer: @escaping @Sendable (Result<Block?, ReadError>) -> Void) {
        guard 0...state.head.height ~= height else { return answer(.success(nil)) }
        if let head = state.headBlock, head.height == height { return answer(.success(head)) }
        lookups.read(height, answer: answer)
    }

    /// The block of a hash, checked; `nil` if the list has none.
    ///
    /// - Throws: `ReadError.hashesIncomplete` for a hash that is not found before `validateInBackground` has ended, and
    ///   `ReadError.damaged` for one that is not found while blocks are damaged: it may be theirs.
    public func block(hash: Hash) async throws(ReadError) -> Block? {
        let lowestHeight = hashes.lowestHeight
        for height in hashes.candidates(prefix: hash.prefix) {
            if let block = try await block(at: height), block.hash == hash { return block }
        }
        // From the newest of those that the table has no room for.
        for first in stride(from: 0, to: lowestHeight, by: BlockList.scanBlocks).reversed() {
            let end = min(lowestHeight, first + BlockList.scanBlocks)
            for found in try await hashReader.hashes(withPrefixes: [hash.prefix], from: first, below: end)
            where found.hash == hash {
                return try await block(at: found.height)
            }
        }
        guard hashes.isComplete else { throw .hashesIncomplete }
        if let damaged = state.damagedHeights.first { throw .damaged(height: damaged) }
        return nil
    }

    private static let scanBlocks = 65_536

    /// The first block that is not older than a timestamp, by its height; `nil` if all are older.
    public func firstHeight(notBefore timestamp: Int64) async throws(ReadError) -> Int? {
        let end = state.head.height + 1
        return try await reading { reader throws(ReadError) in
            try await reader.firstHeight(notBefore: timestamp, below: end)
        }
    }

    /// The next pieces of the list from a height on, checked; none beyond the head, and for no blocks.
    func slices(from height: Int, blocksMax: Int) async throws(ReadError) -> [BlockSlice] {
        let end = state.head.height + 1
        guard 0..<end ~= height, blocksMax > 0 else { return [] }
        return try await reading { reader throws(ReadError) in
            try await reader.slices(from: height, below: min(end, height + min(blocksMax, end)))
        }
    }

    /// The pieces of the list from a height on, read as they are asked for.
    public func slices(from height: Int, limit: Int? = nil) -> BlockSlices {
        BlockSlices(list: self, firstHeight: height, limit: limit)
    }

    /// Returns once the list has another head than the one of a hash, or the task is cancelled.
    public func headChange(from hash: Hash) async {
        await state.headWaiters.wait { [state] in state.head.hash == hash }
    }

    /// What the database has counted.
    public func counts() async throws(ReadError) -> ListCounts {
        try await reading { reader throws(ReadError) in try await reader.counts() }
    }

    /// The time that the list is given.
    var nowSeconds: Int64 { now() }

    func reading<Answer: Sendable>(
        _ body: (StoreReader) async throws(ReadError) -> Answer
    ) async throws(ReadError) -> Answer {
        let turn = nextReader.wrappingAdd(1, ordering: .relaxed).newValue
        do throws(ReadError) {
            return try await body(readers[Int(UInt(bitPattern: turn) % UInt(readers.count))])
        } catch {
            if case .damaged(let height) = error { state.damaged(height) }
            throw error
        }
    }

    // MARK: Validating

    /// Validates the list up to the head of now, on all cores. Callers that come while one runs share it, or the next.
    ///
    /// - Throws: `ReadError` if the file could not be read for a reason other than damage; `CancellationError`.
    public func validate() async throws -> ValidationReport {
        try await validation.report()
    }

    /// Reads the whole list once after it was opened, on half of the cores: `status` says how far it was found good,
    /// and `block(hash:)` then knows every hash.
    ///
    /// - Throws: as `validate`.
    public func validateInBackground() async throws {
        let validation = ListValidation(
            end: state.openedEndHeight, state: state, stopsAtFirstFault: false,
            // Not in the background: until it has ended, hashes are not known.
            readers: BlockList.scanReaders(
                path: path, count: BlockList.coreCount / 2, source: .live(state), lanes: lanes, isBackground: false),
            hashes: hashes
        ) { [state] checkedEnd, firstFault in
            state.validated(upTo: min(checkedEnd, firstFault?.height ?? checkedEnd) - 1)
        }
        let (faults, end) = try await validation.run()
        state.validatedAll(upTo: end - 1, damaged: faults.map(\.height))
        if faults.count < ListState.damagedMax { hashes.markComplete() }
    }

    private static func validate(
        path: String, end: Int, state: ListState, lanes: HashLanes
    ) async throws -> ValidationReport {
        let validation = ListValidation(
            end: end, state: state, stopsAtFirstFault: true,
            readers: scanReaders(
                path: path, count: coreCount, source: .live(state), lanes: lanes, isBackground: true)
        ) { _, _ in }
        let (faults, end) = try await validation.run()
        let fault = faults.first
        if let fault { state.damaged(fault.height) } else { state.validatedAll(upTo: end - 1, damaged: []) }
        return ValidationReport(height: end - 1, blocks: fault?.height ?? end, fault: fault)
    }

    /// Validates a database that nobody has open, its WAL included, on all cores. Changes and leaves nothing.
    ///
    /// - Throws: `OpenError` for a file that is not a database of ours or is in use; `ReadError` if it can't be read at
    ///   all; `CancellationError`.
    public static func verify(
        path: String, lanes: HashLanes = .best, onProgress: @escaping @Sendable (ValidationProgress) -> Void
    ) async throws -> ValidationReport {
        let file = try OfflineFile(path: path)
        defer { file.close() }
        let readers = scanReaders(
            path: path, count: coreCount, source: .offline(parameters: file.parameters), lanes: lanes,
            isBackground: false)
        // An empty table lacks the genesis.
        let end = max(1, try await readers[0].endHeight())
        let validation = ListValidation(end: end, stopsAtFirstFault: true, readers: readers) { checkedEnd, _ in
            onProgress(ValidationProgress(blocks: checkedEnd, blocksTotal: end))
        }
        let fault = try await validation.run().faults.first
        return ValidationReport(height: end - 1, blocks: fault?.height ?? end, fault: fault)
    }

    /// What is wrong with the structure of a file that nobody has open; `nil` if nothing is.
    ///
    /// - Throws: `OpenError`, `ReadError`.
    public static func structureFault(path: String) async throws -> String? {
        let file = try OfflineFile(path: path)
        defer { file.close() }
        return try await StoreReader(path: path, source: .offline(parameters: file.parameters)).structureFault()
    }

    private static func scanReaders(
        path: String, count: Int, source: StoreReader.Source, lanes: HashLanes, isBackground: Bool
    ) -> [StoreReader] {
        (0..<max(1, count)).map { _ in
            StoreReader(path: path, source: source, lanes: lanes, isBackground: isBackground)
        }
    }

    private static var coreCount: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }
}
