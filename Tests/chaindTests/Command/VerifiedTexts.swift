// What a database holds, as the tests of the commands compare it.

import Chain
import TestSupport
import Testing

/// The texts of a database after the genesis, once `chaind verify` finds it valid.
func verifiedTexts(_ path: String) async throws -> [String] {
    let verified = try await runChaind(["verify", path, "--json"])
    #expect(verified.status == 0, "\(verified.output)\(verified.error)")
    let list = try await BlockList.open(path: path, now: { 0 })
    var texts: [String] = []
    for try await slice in list.slices(from: 1) { slice.forEachBlock { texts.append($0.block.data) } }
    try await list.close()
    return texts
}
