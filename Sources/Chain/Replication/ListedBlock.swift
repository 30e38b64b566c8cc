// A block of the list as the writer finds it when it looks for what is to be appended again.

/// A block with what it follows and whether this node acknowledged it.
struct ListedBlock {
    let height: Int
    /// The block if its hash is right, else `nil`.
    let checkedBlock: Block?
    /// Whether this node acknowledged it, or what it was appended again for, to a client.
    let isAcknowledged: Bool

    /// The blocks of the list at these heights, above the genesis; those that cannot be read are missing.
    static func read(_ heights: Range<Int>, on connection: Connection) throws(SQLiteError) -> [ListedBlock] {
        // From one block before: one whose predecessor's stored hash went bad is still a good one.
        let first = heights.lowerBound - 1
        let previousHash = try Lineage.list.storedHash(at: first - 1, on: connection)
        var checker = BlockChecker(height: first, previous: previousHash.map { .init(hash: $0) })
        var found: [ListedBlock] = []
        try RunStatements.forEachRun(from: first, below: heights.upperBound, on: connection) {
            row throws(SQLiteError) in
            checker.skip(to: row.height)
            guard let view = row.view else { return true }
            let acknowledged = try row.acknowledged()
            try view.forEachBlock { index, block throws(SQLiteError) in
                guard first..<heights.upperBound ~= row.height + index else { return }
                let (fault, before) = checker.check(block)
                guard row.height + index > first else { return }
                // An orphan that comes back, as it was or with an origin, is still one that was acknowledged.
                var isAcknowledged = acknowledged.contains(index)
                if !isAcknowledged {
                    isAcknowledged = try OrphanStatements.isAcknowledged(
                        block.origin?.hash ?? block.hash, on: connection)
                }
                found.append(
                    ListedBlock(
                        height: row.height + index,
                        checkedBlock: fault == nil
                            ? Block(block, height: row.height + index, previousHash: before) : nil,
                        isAcknowledged: isAcknowledged))
            }
            return true
        }
        return found
    }
}

extension Block {
    /// A block as it is stored; nothing is checked.
    init(_ stored: StoredBlock, height: Int, previousHash: Hash) {
        self.init(
            height: height, timestamp: stored.timestamp, data: String(decoding: stored.data, as: UTF8.self),
            previousHash: previousHash, hash: stored.hash, origin: stored.origin)
    }
}
