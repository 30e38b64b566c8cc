// Members as the rebuilding of a file asks them, and what is told of it.

import Chain
import Logging

extension RebuildSource {
    /// Asks a member for the blocks of its list.
    init(_ address: MemberAddress, transport: Transport) {
        self.init(name: address.description) { after in
            let stream = try await transport.pull(address, BlockPoint(height: after.height, hash: after.hash))
            return { try await stream.nextRun() }
        }
    }
}

extension Logger {
    /// Tells of a file that was rebuilt; loudly if anything is lost.
    func tell(_ report: RebuildReport) {
        let metadata: Metadata = [
            "height": "\(report.height)", "from_members": "\(report.filledHeights)", "old_file": "\(report.keptPath)",
        ]
        notice("the file was rebuilt", metadata: metadata)
        guard !report.incompleteTables.isEmpty else { return }
        error(
            "not all beside the list could be read, and what is lost is in no member",
            metadata: ["tables": "\(report.incompleteTables.joined(separator: ", "))"])
    }
}
