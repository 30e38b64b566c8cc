// Random lists for property tests.

import Chain

/// Makes texts and appends of all sizes.
public struct RandomList {
    private var random: SeededGenerator
    private var timestamp: Int64 = 1_700_000_000

    public init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
    }

    /// A text of mostly a few characters, sometimes none, sometimes some kilobytes, of any script.
    public mutating func text() -> String {
        let length =
            switch Int.random(in: 0..<10, using: &random) {
            case 0: 0
            case 1: Int.random(in: 900...1_100, using: &random)
            case 2 where Int.random(in: 0..<20, using: &random) == 0: 40_000
            default: Int.random(in: 1...80, using: &random)
            }
        let alphabet: [Character] = ["a", "b", " ", "0", "\"", "\\", "\n", "\0", "é", "世", "🌍", "\u{202E}"]
        return String((0..<length).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &random)] })
    }

    /// A request of one or some drafts, a few of them with an origin, at times that never go back.
    public mutating func request(draftsMax: Int) -> AppendRequest {
        let count = Int.random(in: 0..<4, using: &random) > 0 ? 1 : Int.random(in: 1...draftsMax, using: &random)
        return AppendRequest(
            drafts: (0..<count).map { _ in
                let text = text()
                timestamp += Int64.random(in: 0...2, using: &random)
                guard Int.random(in: 0..<8, using: &random) == 0 else { return Draft(data: text, timestamp: timestamp) }
                let before = Hash(bytes: (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }) ?? .zero
                let first = Block(
                    height: Int.random(in: 1...1_000_000, using: &random), timestamp: timestamp, data: text,
                    previousHash: before)
                return Draft(data: text, timestamp: timestamp, origin: Origin(of: first))
            })
    }

    /// Appends random requests until the list has at least so many blocks.
    public mutating func fill(_ list: BlockList, blocks: Int, draftsMax: Int = 40) async throws {
        while list.status.height + 1 < blocks { _ = try await list.append(request(draftsMax: draftsMax)) }
    }
}
