// Files of earlier versions, beside the tests that open copies of them.

import Foundation
import TestSupport
import Testing

enum KeptFile {
    static func path(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(name).path
    }

    /// Has `chaind verify` read a copy of a database, which is to find it valid and leave it as it is.
    static func checkVerify(_ name: String, version: UInt8, height: Int) async throws {
        try await withTemporaryDirectory { directory in
            try FileManager.default.copyItem(atPath: path(name), toPath: directory.path("chain.db"))
            let before = try FolderContent(directory.path)
            let result = try await runChaind(["verify", directory.path("chain.db"), "--json"])
            #expect(result.status == 0, "\(result.error)")
            let answer = try JSONDecoder().decode(ValidationAnswer.self, from: Data(result.output.utf8))
            #expect(answer.state == "valid" && answer.height == height)
            #expect(try FolderContent(directory.path) == before)
            #expect(before.files["chain.db"]?[63] == version, "it is not of version \(version)")
        }
    }

    /// Calls `body` with a node that runs on a copy of a database, and whose clock stands at a time: keys count for a day.
    static func withNode(
        on name: String, clockSeconds: Int, arguments: [String] = [], _ body: (NodeProcess) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            let clock = try await WrongClock(in: directory.path)
            try clock.set(aheadSeconds: clockSeconds - Int(Date().timeIntervalSince1970))
            let node = try NodeProcess(
                directory: directory.path, arguments: arguments, environment: clock.environment)
            defer { node.stop() }
            try FileManager.default.createDirectory(atPath: node.dataDirectory, withIntermediateDirectories: true)
            try FileManager.default.copyItem(atPath: path(name), toPath: node.databasePath)
            try await node.start()
            try await body(node)
        }
    }
}
