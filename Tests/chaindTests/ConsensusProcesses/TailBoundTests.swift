// What a group with an engine answers when etcd keeps as much as it may of what the members lack.

import Foundation
import TestSupport
import Testing

extension ConsensusTortureTests {
    /// While most members are away nothing is deleted from etcd, so appends end at its bound, and go on once one is back.
    @Test(.timeLimit(.minutes(5)))
    func tooFewMembersHaveWhatEtcdKeeps() async throws {
        try await withEtcd { etcd in
            let arguments = ["--etcd-tail-megabytes", "1"]
            try await withGroup(count: 3, meeting: .none, etcd: etcd, arguments: arguments) { group in
                let load = TortureLoad()
                try await appendEverywhere("before", load, group)
                for node in 1...2 { _ = try await group.nodes[node].end(SIGKILL) }
                let text = String(repeating: "é", count: 50_000)
                var number = 0
                try await eventually("etcd keeps as much as it may", timeoutSeconds: 60) {
                    number += 1
                    let outcome = await load.call(.append(["\(number) \(text)"]), on: 0, of: group)
                    guard case .refused(let reason) = outcome else { return false }
                    return (1...2).allSatisfy { reason.contains(group.address(of: $0)) }
                }
                #expect(number > 10)
                try await group.nodes[1].start()
                try await load.appendOnce("after", on: 0, of: group, timeoutSeconds: 20)
                try await group.nodes[2].start()
                try await appendEverywhere("again", load, group)
                _ = try await check(load, group)
            }
        }
    }
}
