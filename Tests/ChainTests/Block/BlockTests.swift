// The block's hash, against the golden vectors of the format.

import Chain
import Testing

@Suite struct BlockTests {
    /// Timestamp, data and hash of blocks that follow each other.
    static let golden: [(timestamp: Int64, data: String, hash: String)] = [
        (1_687_716_840, "Genesis Block", "89b5c2eadcfcdbc2661cab5212f78e701af68a8f4881a6272ad5429964fb14f4"),
        (1_700_000_000, "hello", "7e22ec18ff06c108481501ef01785f8d6247bfc3ac4ccbe8887246cd250a21d5"),
        (1_700_000_000, "", "c4fe264c79c1fc44f4399b66e681920c4d564e29dc06c492d5d3d8c7bb79bdf3"),
        (1_700_000_001, "olá, 世界 🌍", "fc86e48280ab543943016408be117481af86be3091e1c93d1192966b47bcb1b7"),
        (
            1_700_000_001, String(repeating: "a", count: 80),
            "551225ec3ecb3063f28f2b2249ed36cd4047504d6b4a06b1b69aec0193a003b8"
        ),
    ]

    @Test func hashesAreTheGoldenOnes() {
        var blocks: [Block] = []
        for (height, vector) in BlockTests.golden.enumerated() {
            let block = Block(
                height: height, timestamp: vector.timestamp, data: vector.data,
                previousHash: blocks.last?.hash ?? .zero)
            #expect(block.hash.hex == vector.hash)
            blocks.append(block)
        }
        let again = Block(
            height: 5, timestamp: 1_700_000_002, data: "hello", previousHash: blocks[4].hash,
            origin: Origin(of: blocks[1]))
        #expect(again.hash.hex == "ec455dbb72c586e1a87ae0c8676f65402bd8b00361c1f1b7ff934c1a9b871b10")
        #expect(again.identity == blocks[1].hash)
        #expect(Origin(of: again) == Origin(of: blocks[1]))
        #expect(Block.genesis == blocks[0])
    }
}
