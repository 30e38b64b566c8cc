// The loop that hashes the same bytes in memory, with OpenSSL's fastest calls and nothing else.

import CBaselines
import Foundation

enum HashLoop {
    /// Hashes messages as long as those of blocks: the hash before, the time, the data.
    ///
    /// - Returns: nanoseconds a block.
    static func nanoseconds(blocks: Int, dataSizeBytes: Int) async -> Double {
        let sizeBytes = 8 + dataSizeBytes
        let messages = [UInt8](repeating: 1, count: blocks * sizeBytes)
        return await seconds { _ = sha256_loop(messages, sizeBytes, blocks) } * 1e9 / Double(blocks)
    }
}
