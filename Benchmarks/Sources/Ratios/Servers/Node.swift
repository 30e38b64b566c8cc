// A node of chaind as a process.

import Foundation

/// Runs `chaind serve` on a folder until `stop()`.
final class Node: Sendable {
    let process: ServerProcess
    /// Where its database is.
    let databasePath: String

    /// - Parameter syncFile: the file that the nodes of a group share; a node alone has one of its own.
    ///   - url: where others find it, if that is not its port.
    init(
        chaind: String, dataDirectory: String, port: Int? = nil, syncFile: String? = nil, arguments: [String] = []
    ) async throws {
        try FileManager.default.createDirectory(atPath: dataDirectory, withIntermediateDirectories: true)
        databasePath = dataDirectory + "/chain.db"
        let port = try port ?? ServerProcess.freePort()
        process = try await ServerProcess(
            chaind,
            [
                "serve", "--port", "\(port)", "--data-dir", dataDirectory,
                "--sync-file", syncFile ?? dataDirectory + "/sync.json",
            ] + arguments,
            port: port, log: dataDirectory + "/log")
    }

    func stop() { process.stop() }

    var port: Int { process.port }
    var url: String { "http://localhost:\(port)" }

    /// Sends a request on a connection of its own.
    func exchange(
        _ method: String, _ path: String, body: String = "", keepingBytesMax: Int = 64 << 10
    ) async throws -> HTTPAnswer {
        try await inThread { [port] in
            try HTTPConnection(port: port).exchange(method, path, body: body, keepingBytesMax: keepingBytesMax)
        }
    }

    /// Sends a request that must be answered with 200.
    @discardableResult
    func ask(_ method: String, _ path: String, body: String = "", keepingBytesMax: Int = 64 << 10) async throws
        -> HTTPAnswer
    {
        let answer = try await exchange(method, path, body: body, keepingBytesMax: keepingBytesMax)
        guard answer.status == 200 else { throw MeasurementError("\(method) \(path): \(answer.status) \(answer.text)") }
        return answer
    }

    /// What it says of itself.
    func status() async throws -> NodeStatus {
        try NodeStatus(try await ask("GET", "/"))
    }

    /// Waits until the list has a height, looking every few milliseconds.
    func waitForHeight(_ height: Int, seconds: Double) async throws {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while try await status().height < height {
            guard ContinuousClock.now < deadline else { throw MeasurementError("no height \(height) in \(seconds) s") }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// Waits until what the start looks through is looked through.
    func waitUntilValidated() async throws {
        let height = try await status().height
        while try await status().validatedHeight ?? 0 < height { try await Task.sleep(for: .milliseconds(20)) }
    }
}

/// The answer to `GET /`, as far as it is looked at.
struct NodeStatus: Decodable {
    let height: Int
    let headHash: String
    /// `nil` before the first block was found good.
    let validatedHeight: Int?

    enum CodingKeys: String, CodingKey {
        case height
        case headHash = "head_hash"
        case validatedHeight = "validated_height"
    }

    init(_ answer: HTTPAnswer) throws {
        self = try JSONDecoder().decode(NodeStatus.self, from: Data(answer.body))
    }
}
