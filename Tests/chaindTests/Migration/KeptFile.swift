// Files of earlier versions, beside the tests that open copies of them.

import Foundation
import TestSupport

enum KeptFile {
    static func path(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(name).path
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
