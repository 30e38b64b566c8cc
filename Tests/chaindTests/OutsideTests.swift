// What programs of others make of a node: a browser, a fuzzer that knows only the description, and Prometheus. They are
// installed and run by `make test-long`.

import Foundation
import TestSupport
import Testing

@Suite(.enabled(if: ProcessInfo.processInfo.environment["CHAIND_TEST_OUTSIDE"] != nil))
struct OutsideTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()

    /// Runs a command, and shows what it says.
    private static func check(_ command: [String], timeoutSeconds: Double) async throws {
        let result = try await runCommand(command, timeoutSeconds: timeoutSeconds)
        print(result.output)
        #expect(result.status == 0, "\(result.output.suffix(4_000))\(result.error.suffix(2_000))")
    }

    @Test func aBrowserShowsTheExplorer() async throws {
        try await withNode { node async throws in
            let script = Self.folder.appendingPathComponent("Explorer/drive.py").path
            try await Self.check(["python3", script, "http://localhost:\(node.port)"], timeoutSeconds: 300)
            #expect(node.error == "")
        }
    }

    @Test func aBrowserShowsTheExplorerOfANodeThatAsksForTokens() async throws {
        try await withTemporaryDirectory { directory in
            let authority = try await Authority(directory: directory.path)
            let (certificatePath, keyPath) = try await authority.issue("node")
            let tokensPath = directory.path("tokens")
            let token = try await runChaind(["token", "writer", "browser", "--tokens-file", tokensPath]).output
                .trimmingCharacters(in: .newlines)
            let arguments = ["--tls-cert", certificatePath, "--tls-key", keyPath, "--tokens-file", tokensPath]
            let shown = ShownAccess(tls: try authority.tls(), token: token)
            try await withNode(arguments: arguments, shown: shown) { node async throws in
                let script = Self.folder.appendingPathComponent("Explorer/drive.py").path
                try await Self.check(
                    ["python3", script, "https://localhost:\(node.port)", "--token", token], timeoutSeconds: 300)
            }
        }
    }

    @Test func aPrometheusSeesAGroupAndItsAlertsFire() async throws {
        let script = Self.folder.appendingPathComponent("Telemetry/check_monitoring.py").path
        try await Self.check(["python3", script, Chaind.executable], timeoutSeconds: 120)
    }

    @Test func theCommandsOfTheDocumentsDoWhatTheySay() async throws {
        let script = Self.folder.appendingPathComponent("Documents/run_documents.py").path
        try await Self.check(["python3", script, Chaind.executable], timeoutSeconds: 240)
    }

    @Test func theReferenceIsThatOfThisProgram() async throws {
        let script = Self.folder.deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("docs/reference/generate.py").path
        try await Self.check(["python3", script, Chaind.executable, "--check"], timeoutSeconds: 120)
    }

    @Test func everyAnswerToRandomRequestsIsAsDescribed() async throws {
        try await withNode { node async throws in
            let script = Self.folder.appendingPathComponent("HTTP/check_description.sh").path
            let description = Self.folder.deletingLastPathComponent().deletingLastPathComponent()
                .appendingPathComponent("Sources/CPages/description/openapi.json").path
            try await Self.check(["sh", script, description, "http://127.0.0.1:\(node.port)"], timeoutSeconds: 600)
            #expect(try await node.client.get("/blocks/valid").json(ValidationAnswer.self).state == "valid")
        }
    }
}
