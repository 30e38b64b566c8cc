// The commands that talk to a node that runs: what they print, and how they end.

import Chain
import Foundation
import TestSupport
import Testing

@testable import chaind

@Suite struct ClientCommandTests {
    private static func run(
        _ arguments: [String], on node: NodeProcess, input: String = "", timeoutSeconds: Double = 60
    ) async throws -> CommandResult {
        try await runChaind(
            arguments + ["--url", "http://127.0.0.1:\(node.port)"], standardInput: Array(input.utf8),
            timeoutSeconds: timeoutSeconds)
    }

    private static func json(_ lines: String) throws -> [BlockAnswer] {
        try lines.split(separator: "\n").map { try JSONDecoder().decode(BlockAnswer.self, from: Data($0.utf8)) }
    }

    @Test func whatIsAppendedIsRead() async throws {
        try await withNode { node async throws in
            let appended = try await Self.run(["append", "héllo", "--json"], on: node)
            #expect(appended.status == 0)
            let block = try #require(try Self.json(appended.output).first)
            #expect(block.height == 1 && block.data == "héllo")
            let fromInput = try await Self.run(["append"], on: node, input: "two\nlines\n")
            #expect(fromInput.status == 0 && fromInput.output.hasPrefix("2 "))

            #expect(try Self.json(try await Self.run(["get", "1", "--json"], on: node).output) == [block])
            #expect(try Self.json(try await Self.run(["get", block.hash, "--json"], on: node).output) == [block])
            #expect(try await Self.run(["get", "2", "--data"], on: node).output == "two\nlines\n")
            #expect(try Self.json(try await Self.run(["head", "--json"], on: node).output).map(\.height) == [2])
            let list = try await node.client.get("/blocks/").json(BlocksAnswer.self).blocks
            #expect(try Self.json(try await Self.run(["list", "--json"], on: node).output) == list)
            let page = try await Self.run(["list", "--from", "1", "--limit", "1", "--json"], on: node)
            #expect(try Self.json(page.output) == [block])
            let since = try await Self.run(["list", "--since", "\(block.timestamp)", "--json"], on: node)
            #expect(try Self.json(since.output) == Array(list.dropFirst()))
            #expect(node.error == "")
        }
    }

    @Test func eachLineOfAPipeIsABlockAsItComes() async throws {
        try await withNode { node async throws in
            let command = """
                (echo one; sleep 1; printf 'two\\nthree') | \
                '\(Chaind.executable)' append --lines - --url http://127.0.0.1:\(node.port) --json
                """
            async let result = runCommand(["/bin/sh", "-c", command], environment: Chaind.environment())
            try await eventually("the first line is there before the second came", timeoutSeconds: 5) {
                try await node.client.get("/").json(StatusAnswer.self).height == 1
            }
            #expect(try await result.status == 0)
            #expect(try Self.json(try await result.output).map(\.data) == ["one", "two", "three"])
        }
    }

    @Test func aWatcherGoesOnWhereItWas() async throws {
        try await withNode { node async throws in
            async let watching = Self.run(["watch", "--from", "1", "--limit", "4", "--json"], on: node)
            for text in ["one", "two"] { _ = try await node.client.post("/blocks/", ["data": text]) }
            try await eventually("somebody listens") {
                try await node.client.get("/metrics").text.contains("\nchaind_event_listeners 1\n")
            }
            try await node.end(SIGKILL)
            try await node.start()
            for text in ["three", "four"] { _ = try await node.client.post("/blocks/", ["data": text]) }
            let watched = try await watching
            #expect(watched.status == 0)
            #expect(try Self.json(watched.output).map(\.data) == ["one", "two", "three", "four"])
            #expect(watched.error.contains("coming again"))
        }
    }

    @Test func anExportIsWholeOrNotThere() async throws {
        try await withNode { node async throws in
            _ = try await node.client.post("/blocks/batch", ["data": (1...2_500).map { "text \($0)" }])
            try await withTemporaryDirectory { directory in
                let path = directory.path("export")
                #expect(try await Self.run(["export", "--to", path], on: node).status == 0)
                let lines = try String(contentsOfFile: path, encoding: .utf8)
                let list = try await node.client.get("/blocks/").json(BlocksAnswer.self).blocks
                #expect(try Self.json(lines) == list)
                let again = try await Self.run(["export", "--to", path], on: node)
                #expect(again.status == 1 && again.error.hasSuffix("is there already, and is not written over\n"))
                #expect(try String(contentsOfFile: path, encoding: .utf8) == lines)
                #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["export"])
            }
            let page = try await Self.run(["export", "--from", "2499", "--limit", "2"], on: node)
            #expect(try Self.json(page.output).map(\.height) == [2_499, 2_500])
        }
    }

    @Test func whatATerminalWouldObeyIsShown() async throws {
        try await withNode { node async throws in
            let hostile = "a\u{1B}[31mb\u{202E}c\nd"
            _ = try await node.client.post("/blocks/", ["data": hostile])
            let line = try await Self.run(["list", "--limit", "1"], on: node)
            #expect(line.output.hasSuffix("  a\\u{1b}[31mb\\u{202e}c\\u{a}d\n"))
            #expect(try await Self.run(["get", "1"], on: node).output.hasSuffix("\n\na\\u{1b}[31mb\\u{202e}c\nd\n"))
            #expect(try await Self.run(["get", "1", "--data"], on: node).output == hostile)
        }
    }

    @Test func aNodeThatLiesIsNotBelieved() async throws {
        let genesis = Block.genesis
        let forged = Block(
            height: 7, timestamp: genesis.timestamp, data: "forged", previousHash: genesis.hash, hash: genesis.hash,
            origin: nil)
        try await withPeerServer { request, _ in
            .json(.block(request.uri.path == "/blocks/7" ? forged : genesis))
        } _: { address in
            for (block, reason) in [
                ("7", "block 7 is damaged or forged"), ("8", "answers with block 0, "),
                (String(repeating: "a", count: 64), "answers with block 0, "),
            ] {
                let result = try await runChaind(["get", block, "--url", "\(address)"])
                #expect(result.status == 1 && result.output == "", "\(block)")
                #expect(result.error.contains(reason), "\(result.error)")
            }
            #expect(try await runChaind(["get", "\(genesis.hash)", "--url", "\(address)"]).status == 0)
        }
    }

    @Test func theStatusTellsOfTheGroup() async throws {
        try await withGroup(count: 2) { group in
            _ = try await group.nodes[0].client.post("/blocks/?wait=2&timeout=30", ["data": "one"])
            try await eventually("the member is shown with its height") {
                let status = try await Self.run(["status"], on: group.nodes[0])
                return status.status == 0 && status.output.hasPrefix("height     1\n")
                    && status.output.contains("member     \(group.address(of: 1))  up  height 1\n")
            }
            let json = try await Self.run(["status", "--json"], on: group.nodes[0])
            struct Both: Decodable {
                let node: StatusAnswer
                let group: TestSupport.GroupAnswer
            }
            let both = try JSONDecoder().decode(Both.self, from: Data(json.output.utf8))
            #expect(both.node.height == 1 && both.group.members.count == 1)
        }
    }

    @Test func whatFailsSaysSoByItsStatus() async throws {
        try await withNode { node async throws in
            let missing = try await Self.run(["get", "7"], on: node)
            #expect(missing.status == 3 && missing.error == "chaind: Block 7 not found\n")
            let refused = try await Self.run(
                ["append", "x", "--last-hash", String(repeating: "a", count: 64)], on: node)
            #expect(refused.status == 1 && refused.error == "chaind: Invalid last hash\n")
            let lines = try await Self.run(["append", "--lines", "-"], on: node, input: "good\n\u{0}\n")
            #expect(lines.status == 0)
            let away = try await runChaind(["head", "--url", "http://127.0.0.1:1"])
            #expect(away.status == 75 && away.error.hasPrefix("chaind: http://127.0.0.1:1: "))
            for arguments in [
                ["get", "x"], ["get", "1", "--data", "--json"], ["list", "--from", "-1"],
                ["append", "x", "--lines", "-"],
                ["list", "--from", "1", "--since", "1"], ["append", "x", "--wait", "0"], ["watch", "--limit", "0"],
            ] {
                #expect(try await runChaind(arguments).status == 64, "\(arguments)")
            }
        }
    }

    /// A block stays for ever: an empty one is not made because a variable or a file was empty.
    @Test func anEmptyStandardInputIsNoText() async throws {
        try await withNode { node async throws in
            let url = ["--url", "http://127.0.0.1:\(node.port)"]
            let result = try await runChaind(["append"] + url)
            #expect(result.status == 1 && result.error.contains("standard input is empty, and nothing was appended"))
            #expect(try await runChaind(["append", ""] + url).status == 0)
            #expect(try await node.client.get("/").json(StatusAnswer.self).height == 1)
        }
    }

    @Test func whoWaitsForANodeIsToldSo() async throws {
        let child = try await runCommand(
            ["timeout", "2", Chaind.executable, "append", "a", "--url", "http://127.0.0.1:9"],
            environment: Chaind.environment())
        #expect(child.status == 124)
        #expect(child.error == "chaind: http://127.0.0.1:9: Connection refused; trying again\n")
    }
}
