// What those are told who start, stop and watch a node.

import Chain
import Foundation
import TestSupport
import Testing

@testable import chaind

@Suite struct ProbeTests {
    private static let good = #"{"status":"ok"}"#

    @Test func aNodeIsLiveReadyAndVerified() async throws {
        try await withNode { node async throws in
            for path in ["/live", "/ready", "/ready/"] {
                let answer = try await node.client.get(path)
                #expect(answer.status == 200 && answer.text == Self.good, "\(path)")
            }
            try await eventually("it is validated") { try await node.client.get("/verified").text == Self.good }
            #expect(try await node.client.send("POST", "/live").status == 405)
            #expect(node.error == "")
        }
    }

    @Test func aListThatWasNotLookedAtForLongIsNotVerified() async throws {
        try await withNode(arguments: ["--verified-seconds", "1", "--scrub-megabytes-per-second", "0"]) {
            node async throws in
            try await eventually("the validation after the start is too long ago") {
                let answer = try await node.client.get("/verified")
                return answer.status == 503 && answer.text.hasSuffix(#"s ago, which may be 1 s at most"}"#)
                    && answer.fields["retry-after"] != nil
            }
            #expect(try await node.client.get("/blocks/valid").status == 200)
            #expect(try await node.client.get("/verified").text == Self.good)
        }
    }

    /// An identity that stands in the list twice is seen by a validation, and not by a pass of the scrub.
    @Test func whatAValidationFoundIsNotForgottenByTheScrub() {
        let verification = Verification(now: { 1_000 })
        verification.scrubEnded()
        #expect(verification.goodAgeSeconds == 0)
        verification.validationEnded(blocks: 7, durationSeconds: 1, isValid: false)
        verification.scrubEnded()
        #expect(verification.goodAgeSeconds == nil)
        verification.validationEnded(blocks: 7, durationSeconds: 1, isValid: true)
        #expect(verification.goodAgeSeconds == 0)
    }

    @Test func aDamagedListIsNotVerified() async throws {
        try await withTemporaryDirectory { directory in
            let node = try NodeProcess(directory: directory.path)
            defer { node.stop() }
            try await node.start()
            _ = try await node.client.post("/blocks/batch", ["data": ["one", "two", "three"]])
            try await node.end(SIGTERM)
            try RawDatabase(path: node.databasePath).damage("two")
            try await node.start()
            try await eventually("the damage is found") {
                try await node.client.get("/verified").text == #"{"detail":"block 2 is damaged"}"#
            }
            // It takes appends, and says of itself what it has.
            #expect(try await node.client.get("/ready").text == Self.good)
            #expect(try await node.client.get("/live").text == Self.good)
        }
    }

    @Test func aNodeThatIsBehindIsNotReady() async throws {
        try await withTemporaryDirectory { directory in
            let play = ReplicaPlay()
            let (ahead, behind) = (
                ForkedList(path: directory.path("ahead")), ForkedList(path: directory.path("behind"))
            )
            try await ahead.open()
            try await behind.open()
            _ = try await ahead.list.append(AppendRequest(drafts: (1...7).map { Draft(data: "text \($0)") }))
            // What it fetches is broken on the way.
            play.tampering.withLock {
                $0 = { run in
                    var content = run.content
                    content[content.count - 1] ^= 1
                    return BlockRun(firstHeight: run.firstHeight, count: run.count, content: content) ?? run
                }
            }
            let replica = try await play.start(2, on: behind, members: [1, 2])
            #expect(await replica.notReadyReason(lagBlocksMax: 5)?.hasPrefix("nothing is known of ") == true)
            // The other one is told of nobody, so that it sends nothing.
            try await play.start(1, on: ahead, members: [1])
            await play.run(seconds: 6)
            #expect(await replica.notReadyReason(lagBlocksMax: 5)?.hasPrefix("7 blocks behind ") == true)
            #expect(await replica.notReadyReason(lagBlocksMax: 7) == nil)
            play.tampering.withLock { $0 = { $0 } }
            await play.run(seconds: 60)
            #expect(await replica.notReadyReason(lagBlocksMax: 0) == nil)
            #expect(try behind.list.height == 7)
            try await ahead.close()
            try await behind.close()
        }
    }
}
