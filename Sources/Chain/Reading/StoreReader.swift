// Reads blocks from the file and checks them. One connection, on a thread of its own.

/// A reader of one database file. Its connection is opened at the first read, and belongs to this actor alone.
actor StoreReader {
    /// How a reader opens the file.
    enum Source: Sendable {
        /// Beside the writer of this process, which says when another file takes the place of this one.
        case live(ListState)
        /// A file that nobody in this process has open, with the parameters of `Connection.Access.offline`.
        case offline(parameters: String)
    }

    private let executor: ThreadExecutor
    private let path: String
    private let source: Source
    let lanes: HashLanes
    private var connection: Connection?
    /// The file that the connection has open, by how often it was replaced.
    private var replacement = 0
    private var isClosed = false

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Calls `body` on the actor's thread when it has done what came before.
    nonisolated func perform(_ body: @escaping @Sendable (isolated StoreReader) -> Void) {
        executor.perform { self.assumeIsolated(body) }
    }

    /// - Parameter isBackground: whether its thread gives way to others.
    init(path: String, source: Source, lanes: HashLanes = .none, isBackground: Bool = false) {
        executor = ThreadExecutor(isBackground: isBackground)
        self.path = path
        self.source = source
        self.lanes = lanes
    }

    /// Closes the connection for ever.
    func close() {
        connection?.close()
        connection = nil
        isClosed = true
    }

    private func opened() throws(SQLiteError) -> Connection {
        if case .live(let state) = source, replacement != state.fileReplacements {
            connection?.close()
            connection = nil
        }
        if let connection { return connection }
        let opened = try open()
        connection = opened
        return opened
    }

    private func open() throws(SQLiteError) -> Connection {
        switch source {
        case .live(let state):
            return try state.withFile { replacements throws(SQLiteError) in
                replacement = replacements
                return try Connection(path: path, access: .readOnly)
            }
        case .offline(let parameters):
            let opened = try Connection(path: path, access: .offline(parameters: parameters))
            try StoreFile.readAsCurrent(opened)
            return opened
        }
    }

    // MARK: Blocks

    /// The height after the last block, as the file says.
    func endHeight() throws(ReadError) -> Int {
        try reading(0) { connection throws(SQLiteError) in try RunStatements.endHeight(on: connection) }
    }

    /// Reads the blocks at heights that the list has.
    func blocks(at heights: [Int]) -> [Result<Block, ReadError>] {
        defer { endTransaction() }
        do throws(ReadError) {
            return try reading(heights[0]) { connection throws(SQLiteError) in
                // One read transaction, so that the file is locked once.
                if heights.count > 1 { try connection.execute("BEGIN") }
                return heights.map { height in
                    do throws(SQLiteError) {
                        return .success(try CheckedRead.block(at: height, on: connection))
                    } catch {
                        return .failure(ReadError(error, at: height))
                    }
                }
            }
        } catch {
            return heights.map { _ in .failure(error) }
        }
    }

    private func endTransaction() {
        guard let connection, connection.isInTransaction else { return }
        do throws(SQLiteError) {
            try connection.execute("COMMIT")
        } catch {
            // Nothing was written: the transaction goes with the connection, and the next read opens another one.
            connection.close()
            self.connection = nil
        }
    }

    /// Runs and bytes of a read ahead: enough that going to the reader's thread is free, few enough for many streams.
    private static let slicesMax = 16
    private static let slicesSizeBytesMax = 256 << 10

    /// The next pieces from a height that the list has, up to one that has a damaged block, or to before `end`.
    ///
    /// - Throws: `ReadError.damaged` if the first block is.
    func slices(from height: Int, below end: Int) throws(ReadError) -> [BlockSlice] {
        try reading(height) { connection throws(SQLiteError) in
            var slices: [BlockSlice] = []
            var sizeBytes = 0
            do throws(SQLiteError) {
                try RunStatements.forEachRun(from: height, below: end, on: connection) { row throws(SQLiteError) in
                    let first = slices.last?.endHeight ?? height
                    guard let view = row.view, row.height <= first, first < row.endHeight else { return false }
                    let slice = try slice(of: view, in: row, from: first, below: end, after: slices.last, connection)
                    guard let slice else { return false }
                    slices.append(slice)
                    sizeBytes += slice.content.count
                    return slice.endHeight == row.endHeight && slices.count < StoreReader.slicesMax
                        && sizeBytes < StoreReader.slicesSizeBytesMax
                }
            } catch {
                // What comes before a page that cannot be read is good.
                guard error.isDamage, !slices.isEmpty else { throw error }
            }
            if slices.isEmpty { throw RunStatements.damage(height) }
            return slices
        }
    }

    /// The blocks of a run from `first` on, up to one that is damaged; `nil` if that is the first one.
    private func slice(
        of view: RunView, in row: RunRow, from first: Int, below end: Int, after last: BlockSlice?,
        _ connection: Connection
    ) throws(SQLiteError) -> BlockSlice? {
        let firstIndex = first - row.height
        var originsBefore = view.origins(before: firstIndex)
        guard let block = view.block(firstIndex, originsBefore: originsBefore) else { return nil }
        var checker: BlockChecker
        let previousHash: Hash
        if let last {
            checker = BlockChecker(
                height: first, previous: .init(hash: last.lastHash, timestamp: last.lastTimestamp))
            let (fault, found) = checker.check(block)
            guard fault == nil else { return nil }
            previousHash = found
        } else {
            previousHash = try CheckedRead.previousHash(of: block, at: first, in: row, view, on: connection)
            checker = BlockChecker(
                height: first + 1, previous: .init(hash: block.hash, timestamp: block.timestamp))
        }
        let endIndex = min(view.count, end - row.height)
        if block.origin != nil { originsBefore += 1 }
        var index = firstIndex + 1
        if index < endIndex, checker.pass(index..<endIndex, of: view, by: lanes) { index = endIndex }
        while index < endIndex, let block = view.block(index, originsBefore: originsBefore),
            checker.check(block).fault == nil
        {
            if block.origin != nil { originsBefore += 1 }
            index += 1
        }
        return BlockSlice(
            firstHeight: first, count: index - firstIndex, previousHash: previousHash, content: [UInt8](row.content),
            runBlocks: row.blocks, firstIndex: firstIndex)
    }

    /// The first block below `end` that is not older than a timestamp, by bisection; `nil` if all are older.
    func firstHeight(notBefore timestamp: Int64, below end: Int) throws(ReadError) -> Int? {
        var low = 0
        var high = end
        while low < high {
            let middle = low + (high - low) / 2
            let isOlder = try reading(middle) { connection throws(SQLiteError) in
                try CheckedRead.withBlock(at: middle, on: connection) { _, block, _ in block.timestamp < timestamp }
            }
            if isOlder { low = middle + 1 } else { high = middle }
        }
        return low < end ? low : nil
    }

    /// The blocks from `first` to before `end` whose stored hash begins with one of these prefixes.
    func hashes(
        withPrefixes prefixes: Set<UInt64>, from first: Int, below end: Int
    ) throws(ReadError) -> [(height: Int, hash: Hash)] {
        try reading(first) { connection throws(SQLiteError) in
            var found: [(height: Int, hash: Hash)] = []
            try RunStatements.forEachRun(from: first, below: end, on: connection) { row throws(SQLiteError) in
                guard let view = row.view else { return true }
                for index in 0..<view.count where first..<end ~= row.height + index {
                    let hash = view.hash(index)
                    if prefixes.contains(hash.prefix) { found.append((row.height + index, hash)) }
                }
                return true
            }
            return found
        }
    }

    /// Checks the blocks from `first` to before `end`, or fewer of them if they are large. Damage is in the report.
    func check(from first: Int, below end: Int, keepsPrefixes: Bool) throws(ReadError) -> PieceReport {
        try reading(first) { connection throws(SQLiteError) in
            try PieceCheck.run(
                from: first, below: end, keepsPrefixes: keepsPrefixes, lanes: lanes, on: connection)
        }
    }

    /// Calls `body` with the connection. What cannot be read is damage at this height.
    func reading<Answer>(
        _ height: Int, _ body: (Connection) throws(SQLiteError) -> Answer
    ) throws(ReadError) -> Answer {
        if isClosed { throw .closed }
        do throws(SQLiteError) {
            return try body(opened())
        } catch {
            throw ReadError(error, at: height)
        }
    }
}

extension ReadError {
    /// Why a block cannot be read.
    fileprivate init(_ error: SQLiteError, at height: Int) {
        self = error.isDamage ? .damaged(height: height) : .database(error)
    }
}
