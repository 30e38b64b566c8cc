// How a node starts, what keeps it from starting, and how it stops.

import Foundation
import TestSupport
import Testing

@Suite struct ServeTests {
    @Test(arguments: [SIGTERM, SIGINT])
    func aStopFinishesWhatWasTakenAndClosesTheDatabase(signal: Int32) async throws {
        try await withNode { node async throws in
            let connection = try RawConnection(port: node.port)
            try await connection.send(
                "POST /blocks/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"
            )
            let idle = try RawConnection(port: node.port)
            try await idle.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(try await !idle.receive().isEmpty)

            node.signal(signal)
            #expect(try await idle.receive().isEmpty, "An idle connection ends at once.")
            #expect(throws: TestSupportError.self) { _ = try RawConnection(port: node.port) }
            try await connection.send(#""data":"x"}"#)
            let answer = String(decoding: try await connection.receiveToEnd(), as: UTF8.self)
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(try await node.wait() == 0)
            #expect(node.error == "")
            let names = try FileManager.default.contentsOfDirectory(atPath: node.dataDirectory).sorted()
            #expect(names == ["chain.db", "chain.db.lock"])

            try await node.start()
            #expect(try await node.client.get("/blocks/1").json(BlockAnswer.self).data == "x")
        }
    }

    @Test func aRequestThatDoesNotEndDoesNotKeepANodeFromStopping() async throws {
        try await withNode(arguments: ["--shutdown-timeout-seconds", "1"]) { node async throws in
            let connection = try RawConnection(port: node.port)
            try await connection.send("POST /blocks/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 12\r\n\r\n{")
            _ = try await node.client.get("/")
            #expect(try await node.end(SIGTERM, timeoutSeconds: 10) == 0)
        }
    }

    @Test func aPortInUseIsSaidInOneLine() async throws {
        try await withNode { node async throws in
            let result = try await runChaind(["serve", "--port", "\(node.port)", "--data-dir", "other"])
            #expect(result.status == 1)
            #expect(result.error == "chaind: 127.0.0.1:\(node.port): cannot listen: Address already in use\n")
        }
    }

    @Test func aDatabaseInUseIsRefusedWithItsProcess() async throws {
        try await withNode { node async throws in
            let result = try await runChaind(["serve", "--port", "0", "--data-dir", node.dataDirectory])
            #expect(result.status == 1)
            let processID = try #require(node.processID)
            #expect(result.error == "chaind: \(node.databasePath): in use by process \(processID)\n")
        }
    }

    @Test func aFolderThatCannotBeMadeIsSaidInOneLine() async throws {
        let result = try await runChaind(["serve", "--port", "0", "--data-dir", "/dev/null/db"])
        #expect(result.status == 1)
        #expect(result.error == "chaind: /dev/null: cannot make the folder: Not a directory\n")
    }

    @Test func aFileOfAnotherKindIsRefusedAndUntouched() async throws {
        try await withTemporaryDirectory { directory async throws in
            let url = URL(fileURLWithPath: directory.path("chain.db"))
            let content = Data("something else".utf8)
            try content.write(to: url)
            let result = try await runChaind(["serve", "--port", "0", "--data-dir", directory.path])
            #expect(result.status == 1)
            #expect(result.error == "chaind: \(url.path): not an SQLite database\n")
            #expect(try Data(contentsOf: url) == content)
            #expect(try directory.names() == ["chain.db"])
        }
    }

    @Test func anOriginalsDatabaseIsRefusedWithTheCommandThatImportsIt() async throws {
        try await withTemporaryDirectory { directory async throws in
            let path = directory.path("node-1.db")
            try RawDatabase(path: path).execute(
                "CREATE TABLE blocks(hash TEXT, data TEXT, timestamp TEXT, previous_hash TEXT)")
            let result = try await runChaind(
                ["serve", "--port", "0", "--data-dir", directory.path], environment: ["SERVER_ID": "node-1"])
            #expect(result.status == 1)
            #expect(result.error.hasSuffix("chaind import --original \(path) --data-dir OTHERDIR\n"))
            #expect(result.error.filter { $0 == "\n" }.count == 1)
        }
    }

    @Test func aSettingThatCannotBeUsedIsSaidInOneLine() async throws {
        let result = try await runChaind(["serve"], environment: ["CHAIND_READERS": "many"])
        #expect(result.status == 1)
        #expect(result.error == "chaind: readers (CHAIND_READERS) must be a whole number, 1 to 64\n")
    }

    @Test func theStartIsLoggedWhereItIsAskedFor() async throws {
        try await withNode(arguments: ["--log-level", "notice"]) { node async throws in
            #expect(node.error.contains("address=127.0.0.1:\(node.port) database=\(node.databasePath) height=0"))
        }
    }

    @Test func theHelpNamesTheDefaultAndTheEnvironmentOfEachSetting() async throws {
        let help = try await runChaind(["serve", "--help"]).output
        let settings = help.matches(of: /\n  --([a-z-]+)/).map { String($0.1) }.filter { $0 != "version" }
        #expect(Set(settings).isSuperset(of: ["host", "port", "data-dir", "log-level", "readers", "hashes-max"]))
        let text = help.replacing(/\s+/, with: " ")
        for setting in settings {
            let environment = "CHAIND_" + setting.uppercased().replacing("-", with: "_")
            #expect(text.contains("environment: \(environment)"), "\(setting)")
        }
        #expect(text.split(separator: "default:").count - 1 == settings.count)
    }
}
