// The list that is measured.

import Chain
import Foundation

/// Blocks of one size, the same in every file.
struct Sample {
    let dataSizeBytes: Int

    /// The text of a block.
    func text(_ height: Int) -> String {
        var text = "block \(height) "
        while text.utf8.count < dataSizeBytes { text += text }
        return String(decoding: text.utf8.prefix(dataSizeBytes), as: UTF8.self)
    }

    /// Makes a list with this many blocks after the genesis.
    func makeList(at path: String, blocks: Int) async throws {
        let list = try await openList(path)
        for first in stride(from: 1, through: blocks, by: AppendRequest.draftsMax) {
            let end = min(blocks, first + AppendRequest.draftsMax - 1)
            _ = try await list.append(AppendRequest(drafts: (first...end).map { Draft(data: text($0)) }))
        }
        try await list.close()
    }
}

/// Opens a list with the clock of this machine.
func openList(_ path: String) async throws -> BlockList {
    try await BlockList.open(path: path) { Int64(Date().timeIntervalSince1970) }
}
