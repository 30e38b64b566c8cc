// `POST /sync/address`, `POST /sync/forget` and stops in order, on real nodes: who becomes a member, and who stays one.

import Foundation
import Hummingbird
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(3)))
struct GroupAddressTests {
    private func join(
        _ address: String, on node: NodeProcess, merging: Bool = false
    ) async throws -> (status: Int, text: String) {
        let body = "{\"address\": \"\(address)\", \"merge\": \(merging)}"
        let answer = try await node.client.send(
            "POST", "/sync/address", fields: ["Content-Type": "application/json"], body: Array(body.utf8))
        return (answer.status, answer.text)
    }

    @Test func aNodeIsJoinedOnceAndBecomesEqual() async throws {
        try await withGroup(count: 3, meeting: .none) { group in
            try await group.nodes[0].append("a text")
            #expect(try await join(group.address(of: 1), on: group.nodes[0]).status == 200)
            try await group.waitUntilTogether([0, 1])
            // With the slash that the address of a server often has.
            #expect(try await join(group.address(of: 2) + "/", on: group.nodes[1]).status == 200)
            try await group.waitUntilTogether()
            #expect(try await group.waitUntilEqual().height == 1)

            let again = try await join(group.address(of: 2), on: group.nodes[0])
            #expect(again.status == 409 && again.text.contains("is a member already"), "\(again)")
            let itself = try await join("http://localhost:\(group.nodes[0].port)", on: group.nodes[0])
            #expect(itself.status == 409 && itself.text.contains("is this node itself"), "\(itself)")
            let own = try await join(group.address(of: 0), on: group.nodes[0])
            #expect(own.status == 409, "\(own)")
        }
    }

    @Test func twoListsAreUnitedOnlyByDecision() async throws {
        try await withGroup(count: 2, meeting: .none) { group in
            let blocks = [try await group.nodes[0].append("one group"), try await group.nodes[1].append("another")]
            let refused = try await join(group.address(of: 1), on: group.nodes[0])
            #expect(refused.status == 409)
            #expect(blocks.allSatisfy { refused.text.contains($0.hash) }, "both heads are named: \(refused)")
            #expect(try await group.view(of: 0).members.isEmpty)
            #expect(try await join(group.address(of: 1), on: group.nodes[0], merging: true).status == 200)
            try await group.waitUntilTogether()
            #expect(try await group.waitUntilEqual().height == 2)
            for node in group.nodes {
                #expect(Set(try await node.wholeList().map(\.data)) == ["Genesis Block", "one group", "another"])
            }
        }
    }

    @Test func whatIsNoNodeIsNotJoined() async throws {
        try await withNode { node in
            let bad = [
                "", "localhost:8000", "ftp://localhost", "http://", "http://user@localhost", "http://localhost?a=b",
                "http://localhost#f", "http://localhost/path", "http://localhost:0", "http://localhost:65536",
                "http://a b", "http://" + String(repeating: "a", count: 3_000),
            ]
            for address in bad {
                let answer = try await join(address, on: node)
                #expect(answer.status == 422 && answer.text.contains("\"address\""), "\(address): \(answer)")
            }
            for body in [
                "{}", "{\"address\": null}", "{\"address\": 7}", "[]", "{\"address\": \"http://a\", \"merge\": 1}",
            ] {
                let answer = try await node.client.send(
                    "POST", "/sync/address", fields: ["Content-Type": "application/json"], body: Array(body.utf8))
                #expect(answer.status == 422, "\(body): \(answer.text)")
            }
            // Nobody listens on port 1.
            let nobody = try await join("http://127.0.0.1:1", on: node)
            #expect(nobody.status == 422 && nobody.text.contains("does not answer as a node"), "\(nobody)")
            #expect(try await node.client.get("/sync/").json(GroupAnswer.self).members.isEmpty)
        }
    }

    @Test func whatAnswersAsSomethingElseIsNotJoined() async throws {
        try await withNode { node in
            let answers: [@Sendable () -> Response] = [
                { Response(status: .ok, body: .init(byteBuffer: .init(string: "<html>a page</html>"))) },
                { Response(status: .ok, body: .init(byteBuffer: .init(string: "{\"health\": true}"))) },
                { Response(status: .notFound) },
                { Response(status: .found, headers: [.location: "http://127.0.0.1:\(node.port)/"]) },
            ]
            for (index, response) in answers.enumerated() {
                try await withPeerServer(respond: { _, _ in response() }) { address in
                    let answer = try await join("\(address)", on: node)
                    #expect(answer.status == 422, "answer \(index): \(answer)")
                    if index == 3 { #expect(answer.text.contains("redirects to"), "\(answer)") }
                }
            }
            // Accepts, and then says nothing.
            let start = ContinuousClock.now
            try await withRawServer(sending: [], closes: false) { address in
                let answer = try await join("\(address)", on: node)
                #expect(answer.status == 422)
            }
            #expect(ContinuousClock.now - start < .seconds(10))
            #expect(try await node.client.get("/sync/").json(GroupAnswer.self).members.isEmpty)
        }
    }

    @Test func whoStopsIsOffTheListAtOnceAndStaysAMember() async throws {
        try await withGroup(count: 3) { group in
            let gone = group.address(of: 2)
            // Syncs before it goes.
            try await group.nodes[2].append("the last word")
            #expect(try await group.nodes[2].end(SIGTERM) == 0)
            for index in [0, 1] {
                let view = try await group.view(of: index)
                let member = try #require(view.member(gone))
                #expect(member.state == "removed" && member.failures < 3 && member.lastError != nil, "\(member)")
                #expect(!view.syncAddresses.contains(gone))
                #expect(try await group.nodes[index].wholeList().last?.data == "the last word")
            }
            #expect(!group.nodes[2].error.contains("nobody else has"), "\(group.nodes[2].error)")
            try await eventually("the file does not name it") {
                !(try String(contentsOfFile: group.syncFilePath, encoding: .utf8)).contains(gone)
            }
            try await group.nodes[2].start()
            try await group.waitUntilTogether()
        }
    }

    @Test func aNodeThatStopsAloneSaysHowManyBlocksNobodyElseHas() async throws {
        try await withGroup(count: 2) { group in
            try await group.waitUntilEqual()
            try await group.nodes[1].end(SIGKILL)
            for index in 1...3 { try await group.nodes[0].append("text \(index)") }
            #expect(try await group.nodes[0].end(SIGTERM) == 0)
            #expect(group.nodes[0].error.contains("blocks=3"), "\(group.nodes[0].error)")
        }
    }

    @Test func aForgottenNodeIsOutUntilItIsJoinedAgain() async throws {
        try await withGroup(count: 3) { group in
            let gone = group.address(of: 2)
            // A node with an empty list would be a founding member again.
            try await group.nodes[0].append("with it")
            try await group.waitUntilEqual()
            try await group.nodes[2].end(SIGKILL)
            let answer = try await group.nodes[0].client.post("/sync/forget", ["address": gone])
            #expect(answer.status == 200, "\(answer.text)")
            try await eventually("nobody knows it as a member") {
                for index in [0, 1] where try await group.view(of: index).member(gone) != nil { return false }
                return true
            }
            #expect(try await group.nodes[0].client.post("/sync/forget", ["address": gone]).status == 409)
            #expect(try await group.nodes[0].client.post("/sync/forget", ["address": "http://a.b"]).status == 409)
            // A restart alone does not bring it back, also not by the file.
            try await group.nodes[2].start()
            try await group.nodes[0].append("without it")
            try await Task.sleep(for: .seconds(2))
            #expect(try await group.view(of: 0).syncAddresses.count == 2)
            #expect(try await group.nodes[2].client.get("/").json(StatusAnswer.self).height == 1)
            #expect(try await join(gone, on: group.nodes[1]).status == 200)
            try await group.waitUntilTogether()
            #expect(try await group.waitUntilEqual().height == 2)
        }
    }
}
