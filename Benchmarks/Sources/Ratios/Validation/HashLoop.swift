// The loop that hashes the same bytes in memory, with OpenSSL's fastest calls and nothing else.

import CBaselines
import Foundation

enum HashLoop {
    /// Hashes messages as long as those of blocks: the hash before, the time, the data.
    ///
    /// - Returns: nanoseconds a block.
    static func nanoseconds(blocks: Int, dataSizeBytes: Int) async -> Double {
        await nanoseconds(dataSizesBytes: [Int](repeating: dataSizeBytes, count: blocks))
    }

    /// The same for blocks of several sizes.
    static func nanoseconds(dataSizesBytes: [Int]) async -> Double {
        let sizesBytes = dataSizesBytes.map { 8 + $0 }
        let messages = [UInt8](repeating: 1, count: sizesBytes.reduce(0, +))
        return await seconds { _ = sha256_loop(messages, sizesBytes, sizesBytes.count) } * 1e9
            / Double(sizesBytes.count)
    }
}
