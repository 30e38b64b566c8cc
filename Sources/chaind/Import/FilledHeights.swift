// The heights that an import filled: what it prints at its end.

/// Ranges of heights, in the order in which they were filled, neighbours merged.
struct FilledHeights: Equatable, Sendable, CustomStringConvertible {
    /// How many ranges are named one by one.
    private static let rangesShownMax = 8

    private(set) var ranges: [ClosedRange<Int>] = []

    /// How many blocks there are.
    var blocks: Int { ranges.reduce(0) { $0 + $1.count } }

    mutating func append(_ heights: ClosedRange<Int>) {
        if let last = ranges.last, last.upperBound + 1 == heights.lowerBound {
            ranges[ranges.count - 1] = last.lowerBound...heights.upperBound
        } else {
            ranges.append(heights)
        }
    }

    /// Such as `5000 blocks: heights 1 to 5000`.
    var description: String {
        guard let first = ranges.first, let last = ranges.last else { return "0 blocks" }
        let blocks = blocks
        let count = blocks == 1 ? "1 block" : "\(blocks) blocks"
        if blocks == 1 { return "\(count): height \(first.lowerBound)" }
        guard ranges.count <= FilledHeights.rangesShownMax else {
            return "\(count): heights \(first.lowerBound) to \(last.upperBound), in \(ranges.count) ranges"
        }
        return "\(count): heights "
            + ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound) to \($0.upperBound)" }
            .joined(separator: ", ")
    }

    /// An array of pairs, first and last height.
    var json: String { "[" + ranges.map { "[\($0.lowerBound),\($0.upperBound)]" }.joined(separator: ",") + "]" }
}
