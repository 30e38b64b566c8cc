// The rule by which one of two valid lists is the better one, and how far a list counts.

/// What decides between two valid lists.
public struct ListRank: Comparable, Hashable, Sendable {
    /// Up to where an engine of consensus has committed the list; 0 without one.
    public var finalHeight: Int
    /// The height of the last block that counts.
    public var height: Int
    /// The hash of the last block that counts.
    public var headHash: Hash

    /// Makes a rank.
    public init(finalHeight: Int, height: Int, headHash: Hash) {
        self.finalHeight = finalHeight
        self.height = height
        self.headHash = headHash
    }

    /// The one with the greater final height is better, then the longer one, then the one with the smaller hash.
    public static func < (left: ListRank, right: ListRank) -> Bool {
        (left.finalHeight, left.height, right.headHash) < (right.finalHeight, right.height, left.headHash)
    }
}

/// How far a list counts: up to its last block that is not ahead of the group's clock, and to before a damaged head.
enum CountedHeight {
    /// The height of the last block that counts.
    ///
    /// - Parameter lowest: blocks up to here count in any case.
    static func find(
        latestTimestamp: Int64, head: Head, damagedHead: Int?, atLeast lowest: Int, on connection: Connection
    ) throws(SQLiteError) -> Int {
        var height = damagedHead == head.height ? head.height - 1 : head.height
        guard damagedHead == head.height || head.timestamp > latestTimestamp else { return height }
        // The lowest block that is too late, by bisection: times never decrease.
        var low = min(lowest, height)
        while low < height {
            let middle = low + (height - low + 1) / 2
            let timestamp = try RunStatements.withRun(at: middle, on: connection) { row, view in
                view.timestamp(middle - row.height)
            }
            if timestamp <= latestTimestamp { low = middle } else { height = middle - 1 }
        }
        return height
    }
}
