// Reads blocks from the file and checks them. One connection, on a thread of its own.

/// A reader of one database file. Its connection is opened at the first read, and belongs to this actor alone.
actor StoreReader {
    /// How a reader opens the file.
    enum Source: Sendable {
        /// Beside the writer of this process, which says when another file takes the place of this one.
        case live(ListState)
        /// A file that nobody has open, with the parameters of `Connection.Access.offline`.
        case offline(parameters: String)
    }

    private let executor = QueueExecutor(label: "chain.reader")
    private let path: String
    private let source: Source
    private var connection: Connection?
    /// The file that the connection has open, by how often it was replaced.
    private var replacement = 0
    private var isClosed = false

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(path: String, source: Source) {
        self.path = path
        self.source = source
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

    /// The block at a height that the list has.
    func block(at height: Int) throws(ReadError) -> Block {
        try reading(height) { connection throws(SQLiteError) in
            try CheckedRead.block(at: height, on: connection)
        }
    }

    /// The blocks from a height that the list has to the end of their run, or to before one that is damaged.
    ///
    /// - Throws: `ReadError.damaged` if the first one is.
    func slice(from height: Int, limit: Int) throws(ReadError) -> BlockSlice {
        try reading(height) { connection throws(SQLiteError) in
            try CheckedRead.withBlock(at: height, on: connection) { row, first, previousHash throws(SQLiteError) in
                let firstIndex = height - row.height
                guard let view = row.view else { throw RunStatements.damage(height) }
                var checker = BlockChecker(
                    height: height + 1, previous: .init(hash: first.hash, timestamp: first.timestamp))
                var originsBefore = view.origins(before: firstIndex + 1)
                var count = 1
                while count < limit, firstIndex + count < view.count,
                    let block = view.block(firstIndex + count, originsBefore: originsBefore),
                    checker.check(block).fault == nil
                {
                    if block.origin != nil { originsBefore += 1 }
                    count += 1
                }
                return BlockSlice(
                    firstHeight: height, count: count, previousHash: previousHash, content: [UInt8](row.content),
                    runBlocks: row.blocks, firstIndex: firstIndex)
            }
        }
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
            try PieceCheck.run(from: first, below: end, keepsPrefixes: keepsPrefixes, on: connection)
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
            throw error.isDamage ? .damaged(height: height) : .database(error)
        }
    }
}
