// Up to which height blocks may be settled: never to be replaced again but by an operator.

/// What the last sync with a member that ended well has found.
struct CommonPoint: Hashable, Sendable {
    /// The height of the last block that both lists had.
    let height: Int
    /// The monotonic time at which that was found.
    let foundSeconds: Double
}

/// The rule by which blocks are settled.
enum Settlement {
    /// How old the last sync with a member may be.
    static let syncAgeSecondsMax = 1_800.0

    /// The height up to which blocks may be settled now; `nil` if nothing more may be. What is settled already stays so.
    ///
    /// A node without other members settles nothing, although "every member has it" would hold: it could never join
    /// a group later without a conflict, and nobody but itself would be there to replace its blocks anyway.
    ///
    /// - Parameters:
    ///   - commonPoints: of every known member beside this node; `nil` for one with which no sync has ended well.
    ///   - agedHeight: the height of the last block that is older than the settling age.
    ///   - nowSeconds: the monotonic time.
    static func height(commonPoints: [CommonPoint?], agedHeight: Int, nowSeconds: Double) -> Int? {
        guard !commonPoints.isEmpty else { return nil }
        var height = agedHeight
        for point in commonPoints {
            guard let point, nowSeconds - point.foundSeconds <= syncAgeSecondsMax else { return nil }
            height = min(height, point.height)
        }
        return height
    }
}
