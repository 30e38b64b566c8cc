// `chaind import --original` as a process.

import Foundation
import TestSupport
import Testing

struct ImportOriginalCommandTests {
    @Test func bringsTheOriginalsList() async throws {
        try await withTemporaryDirectory { directory in
            let original = OriginalRows(["one", "two", "three"])
            try original.write(to: directory.path("1.db"))
            let arguments = ["import", "--original", directory.path("1.db"), "--data-dir", directory.path("db")]
            let result = try await runChaind(arguments)
            #expect(result.output == "imported 3 blocks: heights 1 to 3\n")
            #expect(result.error == "")
            #expect(result.status == 0)
            #expect(try await verifiedTexts(directory.path("db/chain.db")) == ["one", "two", "three"])
            let again = try await runChaind(arguments)
            #expect(again.status == 1)
            #expect(again.error.hasSuffix("holds a list already (height 3)\n"))
        }
    }

    @Test func reportsTheOriginalsFaults() async throws {
        try await withTemporaryDirectory { directory in
            var original = OriginalRows(["one", "two", "three"])
            original.rows[2].data = Array("forged".utf8)
            try original.write(to: directory.path("1.db"))
            let arguments = ["import", "--original", directory.path("1.db"), "--data-dir", directory.path("db")]
            let refused = try await runChaind(arguments)
            #expect(refused.status == 1)
            let lines = refused.error.split(separator: "\n")
            #expect(lines.count == 2)
            #expect(lines.first?.hasPrefix("chaind: \(original.rows[2].hash): hash: ") == true)
            #expect(lines.last?.contains("1 fault, nothing was imported") == true)
            #expect(!FileManager.default.fileExists(atPath: directory.path("db/chain.db")))
            let asJSON = try await runChaind(arguments + ["--json"])
            #expect(
                asJSON.output.hasPrefix(#"{"state":"refused","imported":0,"height":0,"left_out":0,"fault_count":1,"#))
            let taken = try await runChaind(arguments + ["--longest-valid"])
            #expect(taken.output == "imported 1 block: height 1; left out 2\n")
            #expect(try await verifiedTexts(directory.path("db/chain.db")) == ["one"])
        }
    }

    @Test func bringsAllOrNothingIfItIsKilled() async throws {
        try await withTemporaryDirectory { directory in
            var original = OriginalRows()
            for number in 0..<15_000 { original.append("text \(number)", at: "2023-06-26 00:00:00") }
            try original.write(to: directory.path("1.db"))
            let command = [
                Chaind.executable, "import", "--original", directory.path("1.db"), "--data-dir", directory.path("db"),
            ]
            var isThere = false
            for attempt in 0..<12 where !isThere {
                let child = try ChildProcess(
                    command, environment: Chaind.environment(), directory: directory.path,
                    streams: .init(output: directory.path("output"), error: directory.path("error")))
                defer { child.stop() }
                try await Task.sleep(for: .milliseconds(100 << (attempt / 2) + 50 * attempt))
                child.signal(SIGKILL)
                _ = try await child.wait(timeoutSeconds: 30)
                guard FileManager.default.fileExists(atPath: directory.path("db/chain.db")) else { continue }
                let texts = try await verifiedTexts(directory.path("db/chain.db"))
                isThere = !texts.isEmpty
                let isAllOrNothing = texts.isEmpty || texts == (0..<15_000).map { "text \($0)" }
                #expect(isAllOrNothing, "attempt \(attempt) left \(texts.count) blocks")
            }
            #expect(isThere)
            // What the kills left beside the database goes with the import that succeeds; a lock may stay.
            let names = try FileManager.default.contentsOfDirectory(atPath: directory.path("db"))
            #expect(names.filter { !$0.hasSuffix(".lock") } == ["chain.db"])
        }
    }
}
