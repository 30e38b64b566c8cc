// `chaind import --export` as a process: the same blocks, or nothing.

import Chain
import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct ImportExportTests {
    private static func imported(
        _ lines: [String], into folder: String, _ arguments: [String] = ["--json"]
    ) async throws -> CommandResult {
        try await runChaind(
            ["import", "--export", "-", "--data-dir", folder] + arguments,
            standardInput: Array(lines.map { $0 + "\n" }.joined().utf8))
    }

    /// The lines of an export of a list of all kinds of texts, some of them appended again.
    private static func withExport(
        _ body: (_ lines: [String], _ blocks: [BlockAnswer], TemporaryDirectory) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            try FileManager.default.createDirectory(
                atPath: directory.path("node/db"), withIntermediateDirectories: true)
            let list = try await BlockList.open(path: directory.path("node/db/chain.db"), now: { 1_700_000_000 })
            var random = RandomList(seed: 7)
            try await random.fill(list, blocks: 2_500)
            try await list.close()
            let node = try NodeProcess(directory: directory.path("node"))
            defer { node.stop() }
            try await node.start()
            let url = "http://127.0.0.1:\(node.port)"
            #expect(try await runChaind(["export", "--to", directory.path("export"), "--url", url]).status == 0)
            let blocks = try await node.client.get("/blocks/").json(BlocksAnswer.self).blocks
            let lines = try String(contentsOfFile: directory.path("export"), encoding: .utf8)
                .split(separator: "\n").map(String.init)
            #expect(lines.count == blocks.count && blocks.contains { $0.origin != nil })
            try await body(lines, blocks, directory)
        }
    }

    private static func blocks(_ folder: String) async throws -> [Block] {
        #expect(try await runChaind(["verify", folder + "/chain.db"]).status == 0)
        let list = try await BlockList.open(path: folder + "/chain.db", now: { 0 })
        var blocks: [Block] = []
        for try await slice in list.slices(from: 0) { blocks += slice.blocks }
        try await list.close()
        return blocks
    }

    @Test func theListIsTheSame() async throws {
        try await Self.withExport { lines, answers, directory in
            let result = try await runChaind(
                ["import", "--export", directory.path("export"), "--data-dir", directory.path("new")])
            #expect(result.status == 0, "\(result.error)")
            let height = answers.count - 1
            #expect(result.output == "imported \(height) blocks: height \(height), head \(answers[height].hash)\n")
            let blocks = try await Self.blocks(directory.path("new"))
            let isSame = zip(blocks, answers).allSatisfy { block, answer in
                block.hash.hex == answer.hash && block.timestamp == answer.timestamp && block.data == answer.data
                    && block.origin?.hash.hex == answer.origin?.hash
            }
            #expect(isSame && blocks.count == answers.count)
            let again = try await Self.imported(lines, into: directory.path("new"))
            #expect(again.output.hasPrefix(#"{"state":"done","imported":0,"height":\#(height),"#))
        }
    }

    @Test func itGoesOnFromWhatTheListHas() async throws {
        try await Self.withExport { lines, answers, directory in
            let folder = directory.path("new")
            for part in [0..<700, 500..<1_500, 1_500..<2_000, 0..<lines.count] {
                let result = try await Self.imported(Array(lines[part]), into: folder)
                #expect(result.status == 0, "\(result.error)")
                #expect(
                    result.output.contains(
                        #""height":\#(part.upperBound - 1),"head_hash":"\#(answers[part.upperBound - 1].hash)""#))
            }
            #expect(try await Self.blocks(folder).last?.hash.hex == answers.last?.hash)
        }
    }

    @Test func allOfItOrNothing() async throws {
        try await Self.withExport { lines, answers, directory in
            let folder = directory.path("new")
            #expect(try await Self.imported(Array(lines[..<1_000]), into: folder).status == 0)
            func refusal(_ lines: [String]) async throws -> String {
                let result = try await Self.imported(lines, into: folder)
                #expect(result.status == 1)
                #expect(result.output.hasPrefix(#"{"state":"failed","imported":0,"height":999,"#), "\(result.output)")
                #expect(result.error.hasSuffix("; nothing was imported\n"))
                #expect(result.error.split(separator: "\n").count == 1)
                return result.error
            }
            var changed = lines
            changed[2_400] = lines[2_400].replacing("\"timestamp\":", with: "\"timestamp\":1")
            #expect(try await refusal(changed).contains("line 2401: block 2400 is damaged or forged"))
            #expect(
                try await refusal(Array(lines[..<2_400]) + lines[2_401...]).contains("line 2401: block 2401 does not"))
            #expect(try await refusal(lines + ["{}"]).contains("line \(lines.count + 1): is no block of an export"))
            #expect(
                try await refusal(Array(lines[1_001...])).contains("begins at height 1001, and the list ends at 999"))
            // Another list, from a height on.
            let list = try await BlockList.open(path: directory.path("other.db"), now: { 1_900_000_000 })
            _ = try await list.append(AppendRequest(drafts: (1...1_200).map { Draft(data: "\($0)") }))
            var other: [String] = []
            for try await slice in list.slices(from: 1) {
                other += slice.blocks.map { block in
                    #"{"height":\#(block.height),"timestamp":\#(block.timestamp),"data":"\#(block.data)","#
                        + #""previous_hash":"\#(block.previousHash)","hash":"\#(block.hash)"}"#
                }
            }
            try await list.close()
            #expect(try await refusal(other).contains("the list has another block at height 1"))
            #expect(try await refusal(Array(other[999...])).contains("the list has another block at height 999"))
            // Nothing of what was refused takes room.
            #expect(try RawDatabase(path: folder + "/chain.db").integers("SELECT sum(blocks) FROM runs") == [1_000])
            #expect(try await Self.blocks(folder).last?.hash.hex == answers[999].hash)
            #expect(try await Self.imported(lines, into: folder).status == 0)
        }
    }

    @Test(arguments: [
        ["--export", "a", "--lines", "b"], ["--export", "a", "--url", "http://h"], ["--export", "a", "--resume"],
        ["--export", "a", "--longest-valid"],
    ]) func refusesFlagsThatDoNotFit(arguments: [String]) async throws {
        #expect(try await runChaind(["import"] + arguments).status == 64)
    }
}
