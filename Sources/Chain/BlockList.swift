// The engine's front: one open database, with its writer, its readers and its validation.

import Glibc
import Synchronization

/// A tamper-evident, append-only list of blocks in one SQLite database.
///
/// One process has a database open at a time. All members may be called from anywhere; what blocks, blocks threads of
/// the list's own. <doc:ThreadsAndLimits> says how many those are, and what bounds what waits.
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

    /// Opens a database, or creates one with the genesis. A long list takes no longer than a short one.
    ///
    /// Beside the database there are `PATH-wal` and `PATH-shm` while it is open, and `PATH.lock` from then on.
    ///
    /// - Parameters:
    ///   - path: the database. Its folder must exist.
    ///   - options: the limits of the list.
    ///   - now: gives the time, in whole seconds since the Unix epoch. It is called on threads of the list's own, and where
    ///     it goes back, blocks have the timestamp of the head.
    /// - Throws: ``OpenError``; a file that is refused is left as it was.
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

    /// Takes no more appends, answers those taken, and closes the database, which removes its WAL. Whatever is asked of the
    /// list after that is refused as closed. A process that ends without it loses nothing.
    ///
    /// - Throws: ``SQLiteError`` if the WAL could not be moved into the database; nothing is lost by that.
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
    /// Appends that wait at a time share a transaction, so many callers at once get far more done than one after the other.
    /// Cancelling the caller does not cancel the append.
    ///
    /// - Returns: a block for each text, in order; those that are there already, for a retry with an ``Idempotency``.
    /// - Throws: ``AppendError``. Only after ``AppendError/outcomeUnknown(_:)`` may the blocks be in the list.
    public func append(_ request: AppendRequest) async throws(AppendError) -> [Block] {
        try await withCheckedContinuation { continuation in
            append(request) { continuation.resume(returning: $0) }
        }.get()
    }

    /// Appends one text, whatever the head is, and answers with its block once that is on disk.
    ///
    /// - Throws: as ``append(_:)-(AppendRequest)``.
    @discardableResult
    public func append(_ text: String) async throws(AppendError) -> Block {
        // A request that is taken is answered with a block for each text.
        try await append(AppendRequest(drafts: [Draft(data: text)]))[0]
    }

    /// As ``append(_:)-(AppendRequest)``, for a caller that is no task. `answer` is called on any thread, also before this
    /// returns, and must not block it.
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

    /// The height of the head: how many blocks were appended to the genesis.
    public var height: Int { state.head.height }

    /// What is known of the list without reading it: nobody waits for the disk.
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
    ///
    /// - Throws: ``ReadError``; ``ReadError/damaged(height:)`` for a block that fails its check.
    public func block(at height: Int) async throws(ReadError) -> Block? {
        try await withCheckedContinuation { continuation in
            block(at: height) { continuation.resume(returning: $0) }
        }.get()
    }

    /// As ``block(at:)``, for a caller that is no task. `answer` is called on any thread, also before this returns, and must
    /// not block it.
    public func block(at height: Int, answer: @escaping @Sendable (Result<Block?, ReadError>) -> Void) {
        guard 0...state.head.height ~= height else { return answer(.success(nil)) }
        if let head = state.headBlock, head.height == height { return answer(.success(head)) }
        lookups.read(height, answer: answer)
    }

    /// The block of a hash, checked; `nil` if the list has none.
    ///
    /// - Throws: ``ReadError/hashesIncomplete`` for a hash that is not found before ``validateInBackground()`` has ended, and
    ///   ``ReadError/damaged(height:)`` for one that is not found while blocks are damaged: it may be theirs.
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
    ///
    /// - Parameter timestamp: whole seconds since the Unix epoch.
    /// - Throws: ``ReadError``.
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

    /// The pieces of the list from a height on, checked, and read as they are asked for:
    ///
    /// ```swift
    /// for try await slice in list.slices(from: 1) {
    ///     for block in slice.blocks { print(block.height, block.data) }
    /// }
    /// ```
    ///
    /// - Parameters:
    ///   - height: where they begin; none beyond the head.
    ///   - limit: how many blocks, at most; `nil` goes to the end of the list.
    public func slices(from height: Int, limit: Int? = nil) -> BlockSlices {
        BlockSlices(list: self, firstHeight: height, limit: limit)
    }

    /// Returns once the list has another head than the one of a hash, or the task is cancelled. Closing the list does not end
    /// it.
    ///
    /// - Parameter hash: as ``ListStatus/headHash`` was.
    public func headChange(from hash: Hash) async {
        await state.headWaiters.wait { [state] in state.head.hash == hash }
    }

    /// What the database has counted since it was made.
    ///
    /// - Throws: ``ReadError``.
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

    /// Validates the list up to the head of now, on all cores, of which it takes what nobody else wants. Callers that come
    /// while one runs share it, or the next. Appends and reads go on meanwhile.
    ///
    /// - Returns: what was found: <doc:Validation>.
    /// - Throws: ``ReadError`` if the file could not be read for a reason other than damage; `CancellationError`.
    public func validate() async throws -> ValidationReport {
        try await validation.report()
    }

    /// Reads the whole list once after it was opened, on half of the cores, and returns when it has: ``status`` says
    /// meanwhile how far it was found good, and ``block(hash:)`` then knows every hash. Call it once, in a task of its own.
    ///
    /// - Throws: as ``validate()``.
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
    /// - Parameters:
    ///   - path: the database.
    ///   - lanes: how the stored hashes are confirmed.
    ///   - onProgress: is told how far it is, on any thread, after every few thousand blocks.
    /// - Throws: ``OpenError`` for a file that is not a database of ours or is in use; ``ReadError`` if it can't be read at
    ///   all; `CancellationError`.
    public static func verify(
        path: String, lanes: HashLanes = .best,
        onProgress: @escaping @Sendable (ValidationProgress) -> Void = { _ in }
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

    /// What is wrong with the structure of a file that nobody has open, in a line; `nil` if nothing is. The blocks are not
    /// checked: that is ``verify(path:lanes:onProgress:)``.
    ///
    /// - Throws: ``OpenError``, ``ReadError``.
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
