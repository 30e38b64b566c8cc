// Redis: an append is an entry of a stream, on disk before it is answered.

import CBaselines
import Foundation

enum Redis {
    /// - Returns: `nil` where it is not installed.
    static func start(in folder: String) async throws -> ServerProcess? {
        guard let program = Tool.path("redis-server") else { return nil }
        let data = folder + "/redis"
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
        let port = try ServerProcess.freePort()
        return try await ServerProcess(
            program,
            [
                "--bind", "127.0.0.1", "--port", "\(port)", "--dir", data, "--save", "", "--appendonly", "yes",
                // It is not rewritten meanwhile, which would only slow it down.
                "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0",
            ], port: port, log: data + "/log")
    }

    /// - Parameter appends: how many go in one piece.
    static func load(port: Int, connections: Int, appends: Int = 1) -> Load {
        let command = "*5\r\n$4\r\nXADD\r\n$6\r\nblocks\r\n$1\r\n*\r\n$4\r\ndata\r\n$64\r\n\(loadText)\r\n"
        var load = Load(
            ports: [port], connections: connections,
            requests: [LoadRequest(Array(String(repeating: command, count: appends).utf8))])
        (load.protocolUsed, load.replies, load.operations) = (load_resp, appends, appends)
        return load
    }
}
