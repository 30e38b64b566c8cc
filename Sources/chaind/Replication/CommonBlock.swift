// Finds where two lists part, in a number of questions that grows with the logarithm of their length.

import Chain

/// A search for the last block that our list shares with a member's.
enum CommonBlock {
    /// Points in one question.
    private static let pointsMax = 48

    /// The last block that both lists have; `nil` if they do not even share the genesis.
    ///
    /// - Parameters:
    ///   - height: not higher than the lower one of the two heads.
    ///   - ask: which of some points of our list is the highest that the member's list has.
    static func find(
        in list: BlockList, upTo height: Int, ask: ([BlockPoint]) async throws -> BlockPoint?
    ) async throws -> BlockPoint? {
        // First close to the end and ever farther away from it, since most forks are short; then evenly.
        var heights = [0] + (0..<41).map { height - (1 << $0) / 2 }.filter { $0 > 0 }.reversed()
        var found: BlockPoint?
        while true {
            let points = try await self.points(heights, of: list)
            guard let answer = try await ask(points) else { return found }
            guard points.contains(answer) else { throw PeerError.invalid(reason: "a point that was not asked for") }
            found = answer
            guard let above = heights.first(where: { $0 > answer.height }), above > answer.height + 1 else {
                return found
            }
            heights = evenly(after: answer.height, before: above)
        }
    }

    /// The blocks of our list at these heights; without those that cannot be read.
    private static func points(_ heights: [Int], of list: BlockList) async throws -> [BlockPoint] {
        let hashes = try await list.storedHashes(at: heights)
        return zip(heights, hashes).compactMap { height, hash in hash.map { BlockPoint(height: height, hash: $0) } }
    }

    /// At most `pointsMax` heights between two, the last one next to the upper.
    private static func evenly(after low: Int, before high: Int) -> [Int] {
        let step = max(1, (high - low - 1 + pointsMax - 1) / pointsMax)
        return stride(from: high - 1, to: low, by: -step).reversed()
    }
}
