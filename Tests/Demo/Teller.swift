// What the stories have in common: how they are told, and what is checked of a group at their end.

import Foundation
import TestSupport

/// Says what happens, and when.
struct Teller {
    private let start = ContinuousClock.now

    func say(_ line: String) {
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        // At once, also into a pipe.
        FileHandle.standardOutput.write(Data((String(format: "%5.1f s  ", seconds) + line + "\n").utf8))
    }
}

/// Ends the story if something is not as it should be.
func check(_ isSo: Bool, _ what: String) throws {
    guard isSo else { throw TestSupportError("this should hold: \(what)") }
}

/// Every node of a group stops in order, and has a valid list.
func stopAndVerify(_ group: NodeGroup) async throws {
    for (index, node) in group.nodes.enumerated() {
        let status = try await node.end(SIGTERM)
        try check(status == 0, "node \(index) stops in order")
        let verified = try await runChaind(["verify", node.databasePath])
        try check(verified.status == 0, "the list of node \(index) is valid: \(verified.output)\(verified.error)")
    }
}
