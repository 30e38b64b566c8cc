// How far our list counts for a member that cannot get past one of our damaged blocks.

import Chain

extension BlockList {
    /// The lowest damaged block that a member lacks; `nil` if there is none.
    ///
    /// - Parameters:
    ///   - heights: blocks that are damaged, ascending.
    ///   - commonHeight: the member has the blocks up to here, as every member has the settled and final ones.
    func damagedHeight(among heights: [Int], above commonHeight: Int) -> Int? {
        let status = status
        let shared = max(commonHeight, status.settledHeight, status.finalHeight)
        return heights.first { $0 > shared }
    }

    /// The list up to before a block that is damaged.
    func counted(_ whole: ListRank, below damagedHeight: Int?) async throws(ReadError) -> ListRank {
        guard let damagedHeight, damagedHeight <= whole.height else { return whole }
        guard let hash = try await storedHashes(at: [damagedHeight - 1])[0] else {
            throw .damaged(height: damagedHeight - 1)
        }
        return ListRank(finalHeight: whole.finalHeight, height: damagedHeight - 1, headHash: hash)
    }
}
