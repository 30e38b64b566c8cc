// `chaind import --lines` as a process: into a database, killed, stopped, and taken up again.

import Chain
import Foundation
import TestSupport
import Testing

struct ImportCommandTests {
    /// A text as people write them: few different lines, many of them empty, and no LF at the end.
    private func text(lines: Int, seed: UInt64 = 1) -> [String] {
        var random = SeededGenerator(seed: seed)
        let words = ["", "", "}", "the work", "    return", "olá", "a \"quoted\" \\ line", "\t#", "世界 🌍"]
        let most = (1..<lines).map { index in
            Int.random(in: 0..<4, using: &random) == 0 ? "line \(index)" : words.randomElement(using: &random) ?? ""
        }
        return most + ["the end"]
    }

    private func write(_ lines: [String], to path: String) throws {
        try Data(lines.joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: path))
    }

    @Test func appendsEachLine() async throws {
        try await withTemporaryDirectory { directory in
            let lines = text(lines: 2500)
            try write(lines, to: directory.path("text"))
            let arguments = ["import", "--lines", directory.path("text")]
            let first = try await runChaind(arguments, directory: directory.path)
            #expect(first.status == 0, "\(first.error)")
            #expect(first.output == "appended 2500 blocks: heights 1 to 2500\n")
            #expect(first.error == "chaind: appending after block 0\n")
            let second = try await runChaind(arguments + ["--json"], directory: directory.path)
            #expect(
                second.output == #"{"state":"done","appended":2500,"heights":[[2501,5000]],"last_line":2500,"#
                    + #""skipped_lines":0,"error":null}"# + "\n")
            let third = try await runChaind(arguments + ["--resume"], directory: directory.path)
            #expect(third.error == "chaind: every line is in the list already\n")
            #expect(third.output == "appended 0 blocks\n")
            #expect(try directory.names() == ["db", "text"])
            #expect(try await verifiedTexts(directory.path("db/chain.db")) == lines + lines)
        }
    }

    @Test func readsStandardInputIntoTheDatabaseOfTheOriginalsName() async throws {
        try await withTemporaryDirectory { directory in
            let result = try await runChaind(
                ["import", "--lines", "-", "--data-dir", directory.path("data")], environment: ["SERVER_ID": "7"],
                standardInput: Array("a\r\n\nb".utf8))
            #expect(result.output == "appended 3 blocks: heights 1 to 3\n")
            #expect(try await verifiedTexts(directory.path("data/7.db")) == ["a", "", "b"])
            let nothing = try await runChaind(["import", "--lines", "-", "--data-dir", directory.path("data")])
            #expect(nothing.status == 0)
            #expect(nothing.output == "appended 0 blocks\n")
        }
    }

    @Test func stopsAtALineThatIsNoBlockOrSkipsIt() async throws {
        try await withTemporaryDirectory { directory in
            let bytes = Array((1...1500).map { "\($0)\n" }.joined().utf8) + [0xFF, 0x0A] + Array("last\n".utf8)
            let arguments = ["import", "--lines", "-", "--resume", "--data-dir", directory.path]
            let stopped = try await runChaind(arguments, standardInput: bytes)
            #expect(stopped.status == 1)
            #expect(stopped.output == "")
            let lines = stopped.error.split(separator: "\n")
            #expect(lines.count == 2)
            #expect(lines.last?.hasPrefix("chaind: line 1501 is not UTF-8") == true)
            #expect(lines.last?.hasSuffix("appended 1000 blocks: heights 1 to 1000") == true)
            let again = try await runChaind(arguments, standardInput: bytes)
            #expect(again.error.hasPrefix("chaind: resuming at line 1001, after block 1000\nchaind: line 1501 is not"))
            #expect(again.error.hasSuffix("appended 0 blocks\n"))
            let skipped = try await runChaind(arguments + ["--skip-invalid"], standardInput: bytes)
            #expect(skipped.status == 0)
            #expect(skipped.error == "chaind: resuming at line 1001, after block 1000\n")
            #expect(skipped.output == "appended 501 blocks: heights 1001 to 1501; skipped 1 invalid line\n")
            let texts = try await verifiedTexts(directory.path("chain.db"))
            #expect(texts == (1...1500).map { "\($0)" } + ["last"])
        }
    }

    @Test func goesOnAfterAKillAtAnyMoment() async throws {
        try await withTemporaryDirectory { directory in
            let lines = text(lines: 30_500)
            try write(lines, to: directory.path("text"))
            let command = [
                Chaind.executable, "import", "--lines", directory.path("text"), "--data-dir", directory.path("db"),
            ]
            // The second copy is killed as the first one is, and goes on in its own place.
            for copy in 0..<2 {
                var resume: [String] = []
                var isDone = false
                for attempt in 0..<40 where !isDone {
                    let child = try ChildProcess(
                        command + resume, environment: Chaind.environment(), directory: directory.path,
                        streams: .init(output: directory.path("output"), error: directory.path("error")))
                    defer { child.stop() }
                    try await Task.sleep(for: .milliseconds(60 + 30 * attempt))
                    child.signal(SIGKILL)
                    isDone = try await child.wait(timeoutSeconds: 30) == 0
                    // It may be killed before there is a database.
                    guard FileManager.default.fileExists(atPath: directory.path("db/chain.db")) else { continue }
                    let texts = try await verifiedTexts(directory.path("db/chain.db"))
                    // Compared apart from the expectations, which would print all of it.
                    let part = texts.dropFirst(copy * lines.count)
                    let isPrefix = lines.starts(with: part) && (copy == 0 || texts.starts(with: lines))
                    #expect(isPrefix, "attempt \(attempt) of copy \(copy) left \(texts.count) blocks")
                    let isWholeBatches = part.count == lines.count || part.count.isMultiple(of: 1000)
                    #expect(isWholeBatches, "attempt \(attempt) of copy \(copy) left \(texts.count) blocks")
                    // With nothing of the second copy there yet, `--resume` would find the first one whole.
                    resume = part.isEmpty ? [] : ["--resume"]
                }
                #expect(isDone)
            }
            let isTwice = try await verifiedTexts(directory.path("db/chain.db")) == lines + lines
            #expect(isTwice)
        }
    }

    @Test(arguments: [(SIGINT, 130), (SIGTERM, 143)] as [(Int32, Int32)])
    func stopsAfterTheBatchOnItsWay(signal: Int32, status: Int32) async throws {
        try await withTemporaryDirectory { directory in
            // A pipe that gives two batches and a half, and then nothing.
            let pipe = directory.path("pipe")
            #expect(mkfifo(pipe, 0o600) == 0)
            let writer = try #require(FileHandle(forUpdatingAtPath: pipe))
            let lines = text(lines: 2500)
            let child = try ChildProcess(
                [Chaind.executable, "import", "--lines", pipe, "--data-dir", directory.path("db")],
                environment: Chaind.environment(), directory: directory.path,
                streams: .init(output: directory.path("output"), error: directory.path("error")))
            defer { child.stop() }
            try writer.write(contentsOf: Data((lines.joined(separator: "\n") + "\n").utf8))
            for _ in 0..<2000 where !FileManager.default.fileExists(atPath: directory.path("db/chain.db")) {
                try await Task.sleep(for: .milliseconds(5))
            }
            try await Task.sleep(for: .milliseconds(300))
            child.signal(signal)
            #expect(try await child.wait(timeoutSeconds: 30) == status)
            try writer.close()

            // Closed cleanly: no WAL is left.
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: directory.path("db")).sorted() == [
                    "chain.db", "chain.db.lock",
                ])
            let texts = try await verifiedTexts(directory.path("db/chain.db"))
            let output = try String(contentsOfFile: directory.path("output"), encoding: .utf8)
            #expect(
                output
                    == "stopped after line \(texts.count): appended \(texts.count) blocks: heights 1 to \(texts.count)"
                    + "; --resume goes on\n")
            try write(lines, to: directory.path("text"))
            let resumed = try await runChaind(
                ["import", "--lines", directory.path("text"), "--data-dir", directory.path("db"), "--resume"])
            #expect(resumed.error == "chaind: resuming at line \(texts.count + 1), after block \(texts.count)\n")
            #expect(try await verifiedTexts(directory.path("db/chain.db")) == lines)
        }
    }

    @Test func refusesADatabaseInUseAndNamesTheOtherWay() async throws {
        try await withTemporaryDirectory { directory in
            let list = try await BlockList.open(path: directory.path("chain.db"), now: { 0 })
            let result = try await runChaind(
                ["import", "--lines", "-", "--data-dir", directory.path], standardInput: [0x61])
            try await list.close()
            #expect(result.status == 1)
            #expect(result.error.contains("in use by process \(getpid())"), "\(result.error)")
            #expect(result.error.contains("--url http://"))
            #expect(result.error.split(separator: "\n").count == 1)
            #expect(try await verifiedTexts(directory.path("chain.db")).isEmpty)
        }
    }

    @Test(arguments: [
        [], ["--lines", "a", "--original", "b"], ["--original", "a", "--url", "http://h"],
        ["--lines", "a", "--url", "http://h", "--data-dir", "d"], ["--original", "a", "--resume"],
        ["--lines", "a", "--longest-valid"], ["--original", "a", "--time-zone", "Europe/Atlantis"],
    ]) func refusesFlagsThatDoNotFit(arguments: [String]) async throws {
        let result = try await runChaind(["import"] + arguments)
        #expect(result.status == 64, "\(result.error)")
    }

    @Test func saysOnOneLineWhatItCannotRead() async throws {
        try await withTemporaryDirectory { directory in
            let result = try await runChaind(["import", "--lines", "missing"], directory: directory.path)
            #expect(result.status == 1)
            #expect(result.error == "chaind: missing: No such file or directory\n")
            #expect(try directory.names() == [])
        }
    }
}
