// `chaind import --lines --url`: through a node that runs, beside its other clients.

import Foundation
import TestSupport
import Testing

struct ImportThroughNodeTests {
    private struct Append: Encodable {
        let data: String
    }

    private func texts(_ node: NodeProcess) async throws -> [String] {
        let answer: BlocksAnswer = try await node.client.get("/blocks/?from=1").json()
        return answer.blocks.map(\.data)
    }

    private func importLines(
        _ lines: [String], _ arguments: [String], into node: NodeProcess
    ) async throws -> CommandResult {
        try await runChaind(
            ["import", "--lines", "-", "--url", "http://127.0.0.1:\(node.port)/"] + arguments,
            standardInput: Array(lines.joined(separator: "\n").utf8))
    }

    @Test func appendsAndGoesOnBesideOthers() async throws {
        try await withNode { node in
            let lines = (0..<3500).map { "line \($0) \"é\" \\ \u{1}" }
            let others = ["before", "between", "after"]
            _ = try await node.client.post("/blocks/", Append(data: others[0]))
            // The first batches of the same text, as an import that was killed leaves them.
            let first = try await importLines(Array(lines[..<1000]), [], into: node)
            #expect(first.output == "appended 1000 blocks: heights 2 to 1001\n", "\(first.error)")
            #expect(first.error == "chaind: appending after block 1\n")
            _ = try await node.client.post("/blocks/", Append(data: others[1]))
            _ = try await importLines(Array(lines[1000..<2000]), [], into: node)
            _ = try await node.client.post("/blocks/", Append(data: others[2]))

            let rest = try await importLines(lines, ["--resume"], into: node)
            #expect(rest.error == "chaind: resuming at line 2001, after block 2003\n")
            #expect(rest.output == "appended 1500 blocks: heights 2004 to 3503\n")
            let expected =
                [others[0]] + lines[..<1000] + [others[1]] + lines[1000..<2000] + [others[2]] + lines[2000...]
            #expect(try await texts(node) == expected)

            let again = try await importLines(lines, ["--resume", "--json"], into: node)
            #expect(again.output.hasPrefix(#"{"state":"done","appended":0,"heights":[],"#))
        }
    }

    @Test func namesTheLineThatTheNodeFindsTooLong() async throws {
        try await withNode(arguments: ["--data-size-bytes-max", "100"]) { node in
            let lines = (0..<1000).map { "\($0)" } + ["short", String(repeating: "x", count: 101), "short"]
            let result = try await importLines(lines, [], into: node)
            #expect(result.status == 1)
            #expect(result.error.contains("line 1002 of 101 bytes is longer than the node takes"), "\(result.error)")
            #expect(result.error.hasSuffix("appended 1000 blocks: heights 1 to 1000\n"))
            #expect(try await texts(node).count == 1000)
        }
    }

    @Test func survivesARestartOfTheNode() async throws {
        try await withNode { node in
            let lines = (0..<40_000).map { "line \($0)" }
            let port = node.port
            let task = Task {
                try await runChaind(
                    ["import", "--lines", "-", "--url", "http://127.0.0.1:\(port)"],
                    standardInput: Array(lines.joined(separator: "\n").utf8))
            }
            for _ in 0..<3 {
                try await Task.sleep(for: .milliseconds(400))
                try await node.end(SIGKILL)
                try await node.start()
            }
            let result = try await task.value
            #expect(result.status == 0, "\(result.error)")
            #expect(result.output == "appended 40000 blocks: heights 1 to 40000\n")
            let found = try await texts(node)
            #expect(found == lines)
        }
    }

    @Test func saysOnOneLineThatNoNodeAnswers() async throws {
        let node = ScriptedNode { _, _ in .status(404, #"{"detail":"Not Found"}"#) }
        try await node.serve { url in
            let result = try await runChaind(["import", "--lines", "-", "--url", url], standardInput: [0x61])
            #expect(result.status == 1)
            #expect(result.error == "chaind: \(url): Not Found; appended 0 blocks\n")
        }
    }
}
