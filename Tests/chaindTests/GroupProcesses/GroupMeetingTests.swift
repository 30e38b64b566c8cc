// Real nodes find each other, are dropped and come back, part and agree again.

import Foundation
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(3)))
struct GroupMeetingTests {
    @Test(arguments: [NodeGroup.Meeting.sharedFile, .join])
    func nodesFindEachOther(meeting: NodeGroup.Meeting) async throws {
        try await withGroup(count: 3, meeting: meeting) { group in
            for (index, node) in group.nodes.enumerated() { try await node.append("text \(index)") }
            try await group.waitUntilEqual()
            for node in group.nodes {
                let texts = Set(try await node.wholeList().map(\.data))
                #expect(texts == ["Genesis Block", "text 0", "text 1", "text 2"])
            }
        }
    }

    /// Each member has all of it, and each of them would send it.
    @Test func aLongListComesToANewNodeOnce() async throws {
        try await withGroup(count: 3, meeting: .none) { group in
            let texts = (0..<16_000).map { "text \($0) " + String(repeating: "x", count: 4_000) }
            for start in stride(from: 0, to: texts.count, by: 500) {
                let answer = try await group.nodes[0].client.post(
                    "/blocks/batch", ["data": Array(texts[start..<start + 500])])
                #expect(answer.status == 200)
            }
            let sizeBytes = texts.reduce(0) { $0 + $1.utf8.count + 44 }
            for new in 1...2 {
                try await group.join(new, on: 0)
                try await group.waitUntilTogether(Array(0...new))
                #expect(try await group.waitUntilEqual(Array(0...new)).height == texts.count)
                let moved = (0..<new).reduce(0) {
                    $0 + group.traffic(from: new, to: $1).sizeBytes + group.traffic(from: $1, to: new).sizeBytes
                }
                #expect(moved > sizeBytes)
                #expect(moved < sizeBytes * 3 / 2, "\(moved) bytes for a list of \(sizeBytes)")
            }
        }
    }

    @Test func aNodeThatTakesAnAppendAtOnceIsAFoundingMemberAllTheSame() async throws {
        try await withGroup(count: 2, started: 1) { group in
            try await group.nodes[0].append("before")
            try group.nodes[1].launch()
            // As soon as it can be reached.
            let deadline = ContinuousClock.now + .seconds(30)
            while ContinuousClock.now < deadline {
                do {
                    try await group.nodes[1].append("at once")
                    break
                } catch {
                    try await Task.sleep(for: .milliseconds(1))
                }
            }
            #expect(try await group.waitUntilEqual().height == 2)
            try await group.waitUntilTogether()
        }
    }

    @Test func aKilledNodeIsDroppedAfterThreeChecksAndComesBack() async throws {
        try await withGroup(count: 3) { group in
            try await group.nodes[0].append("before")
            try await group.waitUntilEqual()
            try await group.nodes[2].end(SIGKILL)
            let gone = group.address(of: 2)
            // Off the list with the third failure, not before and not after.
            var failures: [Int] = []
            try await eventually("the node is off the list") {
                let member = try #require(try await group.view(of: 0).member(gone))
                let isListed = try await group.view(of: 0).syncAddresses.contains(gone)
                if member.state != "removed" { #expect(member.failures < 3) }
                if failures.last != member.failures { failures.append(member.failures) }
                return member.state == "removed" && !isListed
            }
            #expect(failures.allSatisfy { 0...3 ~= $0 } && failures.last == 3, "\(failures)")
            try await group.waitUntilTogether([0, 1])

            for index in 0..<10 { try await group.nodes[index % 2].append("meanwhile \(index)") }
            try await group.waitUntilEqual([0, 1])
            try await group.nodes[2].start()
            try await group.waitUntilTogether()
            #expect(try await group.waitUntilEqual().height >= 11)
        }
    }

    @Test func nodesThatWerePartedAgreeAndKeepAllThatWasAppended() async throws {
        try await withGroup(count: 2, arguments: ["--orphan-seconds", "2"]) { group in
            group.setLinks(between: [0], and: [1], .cut)
            let ledger = GroupLedger()
            for index in 0..<20 {
                await ledger.append(["text \(index)"], to: group.nodes[index % 2])
            }
            try await group.waitUntilTogether([0])
            let heads = [
                try await group.nodes[0].wholeList().map(\.hash), try await group.nodes[1].wholeList().map(\.hash),
            ]
            #expect(heads[0][1] != heads[1][1], "they are not parted")
            group.openLinks()
            try await group.waitUntilTogether(timeoutSeconds: 70)
            let list = try await ledger.check(group)
            #expect(await ledger.acknowledged.count == 20)
            #expect(list.count == 21)
            #expect(list.filter { $0.origin != nil }.count == 10)
        }
    }
}
