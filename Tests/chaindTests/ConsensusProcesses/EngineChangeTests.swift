// Groups that get an engine while they run, and lose it again; etcds that are not there, are others, or were set back.

import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3)))
struct EngineChangeTests {
    /// Appends a text to each node until it takes it.
    ///
    /// - Returns: the texts.
    private func append(_ text: String, on group: NodeGroup, nodes: [Int] = [0, 1, 2]) async throws -> [String] {
        var texts: [String] = []
        for index in nodes {
            let text = "\(text), node \(index)"
            try await eventually("node \(index) takes '\(text)'", timeoutSeconds: 30) {
                // With a key, since one that was not answered may have been taken.
                let answer = try await group.nodes[index].client.post(
                    "/blocks/", ["data": text], fields: ["Idempotency-Key": text])
                return answer.status == 200
            }
            texts.append(text)
        }
        return texts
    }

    private func consensus(of index: Int, in group: NodeGroup) async throws -> GroupAnswer.Consensus {
        try #require(try await group.view(of: index).consensus)
    }

    private func waitUntilBlocked(_ indices: [Int], in group: NodeGroup) async throws -> [String] {
        var reasons: [String] = []
        try await eventually("nodes \(indices) wait for an operator", timeoutSeconds: 30) {
            reasons = []
            for index in indices {
                let consensus = try await self.consensus(of: index, in: group)
                guard consensus.state == "blocked" else { return false }
                reasons.append(consensus.reason ?? "")
            }
            return true
        }
        return reasons
    }

    private func adopt(from source: Int, on index: Int, in group: NodeGroup) async throws {
        let result = try await runChaind([
            "adopt", "--from", group.address(of: source), "--url", "http://127.0.0.1:\(group.nodes[index].port)",
        ])
        guard result.status == 0 else { throw TestSupportError("adopt: \(result.output) \(result.error)") }
    }

    /// All lists are equal and valid, and have each of these texts once: what gave way to the order is sent again soon.
    private func check(_ texts: [String], in group: NodeGroup) async throws {
        try await eventually("all blocks are there") {
            try await group.nodes[0].client.get("/").json(StatusAnswer.self).height >= texts.count
        }
        try await group.waitUntilEqual()
        for node in group.nodes {
            #expect(try await node.client.get("/blocks/valid").json(ValidationAnswer.self).state == "valid")
        }
        let list = try await group.nodes[0].wholeList().map(\.data)
        for text in texts { #expect(list.count { $0 == text } == 1, "\(text)") }
        #expect(list.count == texts.count + 1)
    }

    @Test func aRunningGroupGetsAnEngineAndLosesIt() async throws {
        try await withEtcd(members: 1) { etcd in
            let engine = ["--etcd", etcd.endpoints[0]]
            try await withGroup(count: 3) { group in
                var texts = try await append("before", on: group)
                try await group.waitUntilEqual()
                for index in 0..<3 {
                    _ = try await group.nodes[index].end(SIGTERM)
                    try await group.nodes[index].start(adding: engine)
                    texts += try await append("with \(index + 1) on the engine", on: group)
                }
                try await eventually("all are members") {
                    for index in 0..<3 where try await group.view(of: index).syncAddresses != group.addresses {
                        return false
                    }
                    return true
                }
                texts += try await append("all on the engine", on: group)
                try await check(texts, in: group)
                let head = try await group.nodes[0].client.get("/").json(StatusAnswer.self)

                for node in group.nodes {
                    _ = try await node.end(SIGTERM)
                    try await node.start()
                }
                texts += try await append("without", on: group)
                try await check(texts, in: group)
                // What was final is what it was.
                let block: BlockAnswer = try await group.nodes[1].client.get("/blocks/\(head.height)").json()
                #expect(block.hash == head.headHash)
            }
        }
    }

    /// Its members have the same names, so it calls itself the same cluster.
    @Test func anEtcdThatLostItsDataStopsTheGroupUntilAnOperatorChooses() async throws {
        try await withEtcd(members: 1) { etcd in
            try await withGroup(count: 3, meeting: .none, etcd: etcd) { group in
                var texts = try await append("before", on: group)
                let height = try await group.waitUntilEqual().height
                etcd.kill(0)
                try FileManager.default.removeItem(atPath: etcd.dataDirectory(of: 0))
                try etcd.start(0)
                try await etcd.waitUntilReady()
                for reason in try await waitUntilBlocked([0, 1, 2], in: group) {
                    #expect(reason.contains("height \(height)"), "\(reason)")
                }
                let refused = try await group.nodes[0].client.post("/blocks/", ["data": "refused"])
                #expect(refused.status == 503)
                // After a restart as well.
                _ = try await group.nodes[2].end(SIGKILL)
                try await group.nodes[2].start()
                _ = try await waitUntilBlocked([2], in: group)

                try await adopt(from: 0, on: 0, in: group)
                for index in [1, 2] { try await adopt(from: 0, on: index, in: group) }
                texts += try await append("after", on: group)
                try await check(texts, in: group)
            }
        }
    }

    @Test func theDatabaseOfAnotherGroupTakesNoAppendsUntilItIsToldTo() async throws {
        try await withEtcd(members: 1) { etcd in
            try await withGroup(count: 3, meeting: .none, started: 2, etcd: etcd) { group in
                let texts = try await append("ours", on: group, nodes: [0, 1])
                let other = group.nodes[2]
                let own = "--etcd-prefix"
                try await other.start(adding: [own, "another"])
                _ = try await append("theirs", on: group, nodes: [2])
                _ = try await other.end(SIGTERM)
                try await other.start()
                let reasons = try await waitUntilBlocked([2], in: group)
                #expect(reasons[0].contains("height 1"), "\(reasons)")
                #expect(try await other.client.post("/blocks/", ["data": "refused"]).status == 503)
                #expect(try await group.nodes[0].client.get("/").json(StatusAnswer.self).height == 2)

                try await adopt(from: 0, on: 2, in: group)
                // What it had is sent into the order, since it was acknowledged.
                try await check(texts + ["theirs, node 2"] + append("after", on: group), in: group)
            }
        }
    }

    @Test func aMemberThatWasForgottenComesBackOnlyWhenItIsJoined() async throws {
        try await withEtcd(members: 1) { etcd in
            try await withGroup(count: 3, meeting: .none, etcd: etcd) { group in
                var texts = try await append("before", on: group)
                try await group.waitUntilEqual()
                let url = "http://127.0.0.1:\(group.nodes[0].port)"
                let forgotten = group.address(of: 2)
                let forget = try await runChaind(["forget", forgotten, "--url", url])
                #expect(forget.status == 0, "\(forget.error)")
                try await eventually("it takes no appends") {
                    try await group.nodes[2].client.post("/blocks/", ["data": "refused"]).status == 503
                }
                for index in 0..<2 {
                    try await eventually("node \(index) names it no more") {
                        try await !group.view(of: index).syncAddresses.contains(forgotten)
                    }
                }
                texts += try await append("two", on: group, nodes: [0, 1])
                #expect(try await runChaind(["join", forgotten, "--url", url]).status == 0)
                texts += try await append("three", on: group)
                try await check(texts, in: group)
            }
        }
    }

    @Test func withoutEtcdANodeServesReadsAndSaysThatItWaits() async throws {
        try await withNode(arguments: ["--etcd", "http://127.0.0.1:9"]) { node async throws in
            #expect(try await node.client.get("/blocks/head").status == 200)
            let answer = try await node.client.post("/blocks/", ["data": "refused"])
            #expect(answer.status == 503 && answer.fields["retry-after"] != nil)
            let group: GroupAnswer = try await node.client.get("/sync/").json()
            #expect(group.consensus?.state == "waiting")
            #expect(try await node.client.get("/blocks/head?consistency=linearizable").status == 503)
        }
        try await withTemporaryDirectory { directory in
            let result = try await runChaind([
                "serve", "--port", "0", "--data-dir", directory.path("db"), "--etcd", "http://127.0.0.1:9",
                "--require-etcd",
            ])
            #expect(result.status == 1)
            #expect(result.error.hasPrefix("chaind: etcd does not answer: http://127.0.0.1:9"), "\(result.error)")
            #expect(result.error.filter { $0 == "\n" }.count == 1)
        }
    }

    @Test func readsAreNotLinearizableWithoutAnEngine() async throws {
        try await withNode { node async throws in
            let client = node.client
            #expect(try await client.get("/blocks/head?consistency=local").status == 200)
            for consistency in ["linearizable", "other"] {
                let answer = try await client.get("/blocks/head?consistency=\(consistency)")
                #expect(answer.status == 422 && answer.text.contains("consistency"), "\(answer.text)")
            }
        }
    }
}
