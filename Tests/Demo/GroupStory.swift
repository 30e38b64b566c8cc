// The story of a group without an engine: a node is killed, two sides are parted and joined, a byte goes bad on a disk.

import Foundation
import TestSupport

/// The steps, one after the other.
struct GroupStory {
    private let group: NodeGroup
    private let teller = Teller()
    /// Every text that a node acknowledged, in no order.
    private var acknowledged: [String] = []

    init(group: NodeGroup) { self.group = group }

    mutating func play() async throws {
        say("three nodes know each other: \(group.addresses.joined(separator: ", "))")
        try await appendToAll()
        try await lose()
        try await comeBack()
        try await part()
        try await unite()
        try await heal()
        try await stopAndVerify(group)
        say("all three stopped in order, and chaind verify finds each list valid")
    }

    // MARK: Steps

    private mutating func appendToAll() async throws {
        for number in 0..<30 { try await append("to all, \(number)", to: number % 3) }
        let status = try await group.waitUntilEqual()
        try check(status.height == 30, "the list has 30 blocks after the first one")
        say("30 texts were appended, to each node in turn; all have the same list, height \(status.height)")
    }

    private mutating func lose() async throws {
        try await group.nodes[2].end(SIGKILL)
        say("kill -9 of the third node")
        let address = group.address(of: 2)
        var failures: [Int] = []
        let group = group
        try await eventually("the third node is off the list") {
            guard let member = try await group.view(of: 0).member(address) else { return false }
            if failures.last != member.failures { failures.append(member.failures) }
            if member.state == "removed" { return true }
            try check(member.failures < 3, "it is off the list with the third failure")
            return false
        }
        try check(failures.last == 3, "it is not off the list before three checks failed")
        try await group.waitUntilTogether([0, 1])
        say("it is off the list, after three checks that failed and not before")
        for number in 0..<20 { try await append("while it is away, \(number)", to: number % 2) }
        let status = try await group.waitUntilEqual([0, 1])
        say("20 more texts were appended to the other two; height \(status.height)")
    }

    private func comeBack() async throws {
        try await group.nodes[2].start()
        try await group.waitUntilTogether()
        let status = try await group.waitUntilEqual()
        try await checkLists()
        say("the third node is back, on the list and with all blocks; height \(status.height)")
    }

    private mutating func part() async throws {
        group.setLinks(between: [0, 1], and: [2], .cut)
        for number in 0..<10 {
            try await append("on one side, \(number)", to: number % 2)
            try await append("on the other side, \(number)", to: 2)
        }
        try await group.waitUntilTogether([0, 1])
        try await group.waitUntilTogether([2])
        let sides = try await (group.waitUntilEqual([0, 1]), group.waitUntilEqual([2]))
        try check(sides.0.headHash != sides.1.headHash, "the lists of both sides differ")
        say("the third node was parted from the others, and both sides went on: \(short(sides.0)), \(short(sides.1))")
    }

    private func unite() async throws {
        group.openLinks()
        try await group.waitUntilTogether(timeoutSeconds: 70)
        let status = try await group.waitUntilEqual()
        try await checkLists()
        say("joined again, all agree: height \(status.height), head \(short(status)), every acknowledged text once")
    }

    /// A byte of a text goes bad on the disk of the second node.
    private func heal() async throws {
        let node = group.nodes[1]
        try await node.end(SIGTERM)
        let database = RawDatabase(path: node.databasePath)
        let runs = try database.runs().filter { $0.blocks > 1 }
        guard var run = runs.last else { throw TestSupportError("no run has more than one block") }
        // The first byte of the text of its first block: docs/format.md, "The content of a run".
        run.content[44 * Int(run.blocks)] ^= 1
        try database.update(run)
        let height = Int(run.position) & (1 << 40 - 1)
        let verified = try await runChaind(["verify", node.databasePath, "--json"])
        let found = try JSONDecoder().decode(ValidationAnswer.self, from: Data(verified.output.utf8))
        try check(found.fault?.height == height, "chaind verify finds the fault in block \(height): \(verified.output)")
        say("a byte of block \(height) was changed in the second node's file; chaind verify names it")
        try await node.start()
        try await eventually("block \(height) is healed") {
            let status = try await node.client.get("/").json(StatusAnswer.self)
            return status.damaged.isEmpty && status.repairs.contains { $0.height == height }
        }
        try await group.waitUntilTogether()
        try await checkLists()
        say("the second node found it and healed it from the others, and says so under GET /")
    }

    // MARK: What steps are made of

    private mutating func append(_ text: String, to index: Int) async throws {
        let answer = try await group.nodes[index].client.post("/blocks/", ["data": text])
        try check(answer.status == 200, "node \(index) appends: \(answer.status) \(answer.text)")
        acknowledged.append(text)
    }

    /// Every node has every acknowledged text exactly once, and nothing else.
    private func checkLists() async throws {
        for (index, node) in group.nodes.enumerated() {
            let blocks = try await node.client.get("/blocks/?from=1").json(BlocksAnswer.self).blocks
            try check(
                blocks.map(\.data).sorted() == acknowledged.sorted(),
                "node \(index) has each of \(acknowledged.count) acknowledged texts once, and no others")
        }
    }

    private func short(_ status: StatusAnswer) -> String { "\(status.headHash.prefix(8))…" }

    private func say(_ line: String) { teller.say(line) }
}
