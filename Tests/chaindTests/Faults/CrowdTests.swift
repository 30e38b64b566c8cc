// More clients at once than a node has threads, and more appends than it takes.

import Foundation
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(2)))
struct CrowdTests {
    @Test func aThousandConnectionsAppendAtOnce() async throws {
        try raiseOpenFileLimit(to: 4_096)
        try await withNode { node in
            let clients = 1_000
            let connections = try await withThrowingTaskGroup(of: RawConnection.self) { group in
                for _ in 0..<clients { group.addTask { try RawConnection(port: node.port) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            // All of them are connected before the first one sends.
            let answers = try await withThrowingTaskGroup(of: String.self) { group in
                for (number, connection) in connections.enumerated() {
                    group.addTask {
                        let body = "{\"data\": \"client \(number)\"}"
                        try await connection.send(
                            "POST /blocks/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                                + "Content-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)")
                        return String(decoding: try await connection.receiveToEnd(), as: UTF8.self)
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(answers.allSatisfy { $0.hasPrefix("HTTP/1.1 200") })
            let blocks = try await node.client.get("/blocks/?from=1").json(BlocksAnswer.self).blocks
            #expect(Set(blocks.map(\.data)) == Set((0..<clients).map { "client \($0)" }))
            #expect(blocks.count == clients)
        }
    }

    @Test func appendsBeyondTheQueueAreRefusedAndTheNodeGoesOn() async throws {
        try raiseOpenFileLimit(to: 4_096)
        try await withTemporaryDirectory { directory in
            let node = try NodeProcess(directory: directory.path, arguments: ["--queue-appends-max", "4"])
            defer { node.stop() }
            try await node.start()
            let ledger = Ledger()
            for round in 0..<5 {
                await withTaskGroup(of: Void.self) { group in
                    for number in 0..<200 {
                        group.addTask { await ledger.append(["round \(round), \(number)"], to: node) }
                    }
                }
            }
            let statuses = await ledger.statuses
            #expect(statuses[503, default: 0] > 0 && statuses[200, default: 0] > 0)
            #expect(statuses[200, default: 0] + statuses[503, default: 0] == 1_000)
            #expect(await ledger.refusalsWithoutRetryAfter == 0)
            #expect(await ledger.append(["at the end"], to: node) == 200)
            try await ledger.check(node)
        }
    }

    /// Each connection takes a descriptor of ours, and of the node, which inherits the limit.
    private func raiseOpenFileLimit(to count: UInt) throws {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0 else { throw TestSupportError("getrlimit") }
        guard limit.rlim_cur < count else { return }
        limit.rlim_cur = min(count, limit.rlim_max)
        guard setrlimit(resource, &limit) == 0, limit.rlim_cur == count else {
            throw TestSupportError("no more than \(limit.rlim_max) files may be open")
        }
    }
}
