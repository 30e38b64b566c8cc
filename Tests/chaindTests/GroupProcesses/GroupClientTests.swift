// What clients and operators ask of a real group: copies, keys, orphans, rounds, and lists that they bring.

import Foundation
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(3)))
struct GroupClientTests {
    private struct WaitAnswer: Decodable {
        let blocks: [BlockAnswer]
        let members: Int
    }

    private struct OrphanRefusal: Decodable {
        struct Orphan: Decodable {
            let state: String
            let height: Int
            let hash: String
        }

        let orphan: Orphan
    }

    /// A list in the JSON of `POST /sync/blockchain`.
    private func json(_ blocks: [BlockAnswer]) -> [UInt8] {
        let items = blocks.map { block -> [String: Any] in
            var item: [String: Any] = [
                "height": block.height, "timestamp": block.timestamp, "data": block.data,
                "previous_hash": block.previousHash, "hash": block.hash,
            ]
            if let origin = block.origin {
                item["origin"] = [
                    "height": origin.height, "hash": origin.hash, "previous_hash": origin.previousHash,
                    "timestamp": origin.timestamp,
                ]
            }
            return item
        }
        do {
            return Array(try JSONSerialization.data(withJSONObject: ["blocks": items]))
        } catch {
            Issue.record("\(error)")
            return []
        }
    }

    private func send(_ blocks: [BlockAnswer], to node: NodeProcess) async throws -> HTTPAnswer {
        try await node.client.send(
            "POST", "/sync/blockchain", fields: ["Content-Type": "application/json"], body: json(blocks))
    }

    @Test func anAppendWaitsForCopies() async throws {
        try await withGroup(count: 3) { group in
            let node = group.nodes[0]
            let two = try await node.client.post("/blocks/?wait=3", ["data": "on three"]).json(WaitAnswer.self)
            #expect(two.members == 3)
            for other in group.nodes { #expect(try await other.wholeList().last == two.blocks[0]) }
            try await group.nodes[2].end(SIGKILL)
            let start = ContinuousClock.now
            let fewer = try await node.client.post("/blocks/?wait=3&timeout=1", ["data": "on two"])
            #expect(ContinuousClock.now - start > .seconds(0.9) && ContinuousClock.now - start < .seconds(5))
            #expect(fewer.status == 200)
            #expect(try fewer.json(WaitAnswer.self).members == 2)
            let batch = try await node.client.post("/blocks/batch?wait=2", ["data": ["a", "b"]]).json(WaitAnswer.self)
            #expect(batch.members == 2 && batch.blocks.count == 2)
        }
    }

    @Test func anOrphanIsToldOfAndItsKeyAnswersWithWhereItStands() async throws {
        try await withGroup(count: 2) { group in
            group.setLinks(between: [0], and: [1], .cut)
            let key = ["Idempotency-Key": "order 1"]
            let first = try await group.nodes[1].client.post("/blocks/", ["data": "paid"], fields: key)
                .json(BlocksAnswer.self).blocks[0]
            let second = try await group.nodes[1].append("of the shorter list")
            for index in 0..<5 { try await group.nodes[0].append("of the longer list, \(index)") }
            group.openLinks()
            #expect(try await group.waitUntilEqual().height == 7)

            for node in group.nodes {
                let answer = try await node.client.get("/blocks/\(second.hash)")
                #expect(answer.status == 404)
                let orphan = try answer.json(OrphanRefusal.self).orphan
                #expect(orphan.state == "moved")
                let block = try await node.client.get("/blocks/\(orphan.hash)").json(BlockAnswer.self)
                #expect(block.height == orphan.height && block.data == second.data && block.origin?.hash == second.hash)
            }
            let again = try await group.nodes[1].client.post("/blocks/", ["data": "paid"], fields: key)
                .json(BlocksAnswer.self).blocks[0]
            #expect(again.identity == first.hash && again.height > first.height)
            #expect(try await group.nodes[1].client.get("/blocks/\(again.height)").json(BlockAnswer.self) == again)

            // In pages of one, newest first: the same as at once.
            var all = OrphansAnswer(orphans: [], next: nil)
            try await eventually("the orphans are looked through") {
                all = try await group.nodes[1].client.get("/sync/orphans").json()
                return all.orphans.count == 2
            }
            #expect(all.orphans.map(\.hash) == [second.hash, first.hash] && all.next == nil)
            var paged: [OrphanAnswer] = []
            var before = ""
            for _ in 0..<10 {
                let page = try await group.nodes[1].client.get("/sync/orphans?limit=1\(before)").json(
                    OrphansAnswer.self)
                paged += page.orphans
                guard let next = page.next else { break }
                before = "&before=\(next)"
            }
            #expect(paged == all.orphans)
            #expect(try await group.nodes[0].client.get("/sync/orphans").json(OrphansAnswer.self).orphans.isEmpty)
        }
    }

    @Test func aRoundTellsWhatCameOfItWithEachMember() async throws {
        try await withGroup(count: 3, arguments: ["--interval-seconds", "60"]) { group in
            try await group.waitUntilEqual()
            let equal = try await group.nodes[0].client.post("/sync/start", [String]()).json(RoundAnswer.self)
            #expect(equal.members.map(\.outcome) == ["equal", "equal"])
            #expect(equal.members.map(\.address) == [group.address(of: 1), group.address(of: 2)].sorted())

            group.setLinks(between: [0], and: [1], .cut)
            group.setLinks(between: [0], and: [2], .cut)
            try await group.nodes[0].append("on one side")
            for index in 1...3 { try await group.nodes[1].append("on the other, \(index)") }
            let cut = try await group.nodes[0].client.post("/sync/start", [String]()).json(RoundAnswer.self)
            #expect(cut.members.map(\.outcome) == ["unreachable", "unreachable"])
            #expect(cut.members.allSatisfy { !$0.detail.isEmpty })

            group.setLinks(between: [0], and: [1], .open)
            let received = try await group.nodes[0].client.post("/sync/start", [String]()).json(RoundAnswer.self)
            #expect(received.members.first { $0.address == group.address(of: 1) }?.outcome == "received")
            #expect(received.members.first { $0.address == group.address(of: 1) }?.blocks == 3)
        }
    }

    @Test func aListThatAClientBringsIsAdoptedWholeOrNotAtAll() async throws {
        try await withGroup(count: 2, meeting: .none) { group in
            let node = group.nodes[0]
            let other = group.nodes[1]
            for index in 1...3 { try await other.append("theirs \(index)") }
            let theirs = try await other.wholeList()
            // Whole, to a node that has nothing.
            let whole = try await send(theirs, to: node)
            #expect(whole.status == 200)
            #expect(try whole.json(AdoptionAnswer.self).adopted)
            #expect(try await node.wholeList() == theirs)
            // Again, and a part of it: ours is as good.
            for blocks in [theirs, Array(theirs[...1]), Array(theirs[1...2])] {
                #expect(try await send(blocks, to: node).json(AdoptionAnswer.self).adopted == false)
            }

            // The end of a longer list, placed by its first previous hash; what it replaces comes after it.
            let ours = try await node.append("ours")
            for index in 4...6 { try await other.append("theirs \(index)") }
            let longer = try await other.wholeList()
            let suffix = try await send(Array(longer[4...]), to: node)
            #expect(try suffix.json(AdoptionAnswer.self).adopted)
            let now = try await node.wholeList()
            #expect(Array(now[...6]) == longer && now.count == 8 && now[7].origin?.hash == ours.hash)

            // A shorter one, and bad ones.
            #expect(try await send(Array(longer[4...5]), to: node).json(AdoptionAnswer.self).adopted == false)
            let next = try await other.append("theirs 7")
            let after = try await other.append("theirs 8")
            let more = try await other.append("theirs 9")
            var bad = [next, after, more]
            bad[1] = BlockAnswer(after, data: "changed")
            let refused = try await send(bad, to: node)
            #expect(refused.status == 400 && refused.text.contains("8"), "the height is named: \(refused.text)")
            let nowhere = try await send([after, more], to: node)
            #expect(nowhere.status == 400, "\(nowhere.text)")
            let gap = try await send([next, more], to: node)
            #expect(gap.status == 400, "\(gap.text)")
            let empty = try await send([], to: node)
            #expect(empty.status == 422, "\(empty.text)")
            #expect(try await node.wholeList() == now, "nothing of them is there")
        }
    }

    @Test func theListOfAnotherGroupIsNotTaken() async throws {
        try await withGroup(count: 2, meeting: .none) { group in
            try await group.nodes[0].append("ours")
            for index in 1...3 { try await group.nodes[1].append("theirs \(index)") }
            let before = try await group.nodes[0].wholeList()
            let refused = try await send(try await group.nodes[1].wholeList(), to: group.nodes[0])
            #expect(refused.status == 409, "\(refused.text)")
            #expect(try await group.nodes[0].wholeList() == before)
        }
    }
}

extension BlockAnswer {
    /// The same block with another text, and so with the wrong hash.
    fileprivate init(_ block: BlockAnswer, data: String) {
        self.init(
            height: block.height, timestamp: block.timestamp, data: data, previousHash: block.previousHash,
            hash: block.hash, origin: block.origin)
    }
}
