// Real nodes with addresses that are wrong: two nodes with one, one node with two, one that leads elsewhere. It is told,
// and everything else goes on.

import Foundation
import Hummingbird
import TestSupport
import Testing

@testable import chaind

@Suite(.serialized, .timeLimit(.minutes(3)))
struct SharedAddressTests {
    @Test func twoNodesWithOneAddressAreToldOfAndLoseNothing() async throws {
        try await withTemporaryDirectory { directory in
            try await withGroup(count: 2) { group in
                let address = group.address(of: 0)
                // Found by the others under the address of node 0, and itself at a port of which nobody knows.
                let second = try NodeProcess(
                    directory: directory.path,
                    arguments: [
                        "--url", address, "--sync-file", group.syncFilePath, "--interval-seconds", "1", "--log-level",
                        "notice",
                    ])
                defer { second.stop() }
                try await second.start()
                try await eventually("the second node knows its group") {
                    try await second.client.get("/sync/").json(TestSupport.GroupAnswer.self).members.count == 1
                }
                let nodes = group.nodes + [second]
                let ledger = GroupLedger()
                for index in 0..<9 { await ledger.append(["text \(index)"], to: nodes[index % 3]) }
                try await eventually("the member that both talk to tells of it") {
                    try await group.view(of: 1).member(address)?.lastError == "two nodes answer for this address"
                }
                #expect(group.nodes[1].error.contains("two nodes answer for one address"), "\(group.nodes[1].error)")
                try await eventually("all three have the same list") {
                    let lists = [
                        try await nodes[0].wholeList(), try await nodes[1].wholeList(), try await nodes[2].wholeList(),
                    ]
                    return lists[0].count == 10 && lists.allSatisfy { $0 == lists[0] }
                }
                try await ledger.check(group)
                try await group.waitUntilTogether()
                // Its farewell is not taken for the other one's, or not for long.
                #expect(try await second.end(SIGTERM) == 0)
                try await group.waitUntilTogether()
            }
        }
    }

    @Test func aNodeThatIsFoundUnderTwoNamesIsToldOf() async throws {
        try await withGroup(count: 2, started: 0) { group in
            let alias = group.address(of: 0).replacing("127.0.0.1", with: "localhost")
            try Self.write([alias], to: group.syncFilePath)
            for node in group.nodes { try await node.start() }
            try await eventually("the node itself tells of it") {
                let view = try await group.view(of: 0)
                return view.member(alias)?.lastError == "is this node itself" && view.syncAddresses == group.addresses
            }
            #expect(group.nodes[0].error.contains("an address leads to this node itself"))
            try await eventually("the other node tells of it") {
                try await group.view(of: 1).member(alias)?.lastError?.contains("is the same node as") == true
            }
            #expect(group.nodes[1].error.contains("two addresses lead to one node"))

            let ledger = GroupLedger()
            for index in 0..<6 { await ledger.append(["text \(index)"], to: group.nodes[index % 2]) }
            #expect(try await ledger.check(group).count == 7)
            try await Self.expectFileIsLeftAlone(group)
        }
    }

    @Test func anAddressThatRedirectsIsNoMember() async throws {
        let asked = RequestLog()
        let respond: @Sendable (Request, ConnectionContext) async throws -> Response = { request, _ in
            await asked.note("\(request.method) \(request.uri.path)")
            return Response(status: .found, headers: [.location: "http://127.0.0.1:1/"])
        }
        try await withPeerServer(respond: respond) { address in
            try await withGroup(count: 2, started: 0) { group in
                try Self.write(["\(address)"], to: group.syncFilePath)
                for node in group.nodes { try await node.start() }
                try await group.waitUntilTogether()
                for (index, node) in group.nodes.enumerated() {
                    let member = try #require(try await group.view(of: index).member("\(address)"))
                    #expect(member.state == "removed" && member.lastError?.contains("redirects to") == true)
                    #expect(node.error.contains("a member is off the list") && node.error.contains("redirects to"))
                }
                let ledger = GroupLedger()
                for index in 0..<6 { await ledger.append(["text \(index)"], to: group.nodes[index % 2]) }
                #expect(try await ledger.check(group).count == 7)
                try await Self.expectFileIsLeftAlone(group)
                #expect(await asked.lines.count < 60, "it is asked too often")
            }
        }
    }

    private static func write(_ addresses: [String], to path: String) throws {
        try JSONEncoder().encode(["addresses": addresses]).write(to: URL(fileURLWithPath: path))
    }

    /// Expects that the nodes agree about their file, and do not write it again and again.
    private static func expectFileIsLeftAlone(_ group: NodeGroup) async throws {
        let path = group.syncFilePath
        try await eventually("the file names both nodes") {
            let text = try String(contentsOfFile: path, encoding: .utf8)
            return group.addresses.allSatisfy(text.contains)
        }
        let before = try FileManager.default.attributesOfItem(atPath: path)
        try await Task.sleep(for: .seconds(3))
        let after = try FileManager.default.attributesOfItem(atPath: path)
        #expect(before[.systemFileNumber] as? Int == after[.systemFileNumber] as? Int, "the file was written again")
        #expect(before[.modificationDate] as? Date == after[.modificationDate] as? Date)
    }
}

/// What a server was asked.
private actor RequestLog {
    private(set) var lines: [String] = []

    func note(_ line: String) { lines.append(line) }
}
