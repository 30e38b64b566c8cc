// A real node: `chaind serve` as a process on a port and a folder of its own, which can be killed and started again.

import Foundation
import Synchronization

/// A node that a test runs. `withNode` starts it and makes sure that it is gone at the end.
public final class NodeProcess: Sendable {
    /// The folder that holds the database folder and what the node writes to its streams.
    public let directory: String
    /// The port on 127.0.0.1, kept over restarts.
    public let port: Int
    /// The database folder.
    public let dataDirectory: String
    private let arguments: [String]
    private let environment: [String: String]
    private let shown: ShownAccess
    private let child = Mutex<ChildProcess?>(nil)

    /// A node that is not started yet.
    ///
    /// - Parameters:
    ///   - dataDirectory: `db` in the folder where it is nil.
    ///   - arguments: come after `serve` and its host, port and folders, so they win.
    ///   - shown: what the tests show it.
    public init(
        directory: String, dataDirectory: String? = nil, arguments: [String] = [],
        environment: [String: String] = [:], shown: ShownAccess = ShownAccess()
    ) throws {
        self.directory = directory
        self.dataDirectory = dataDirectory ?? directory + "/db"
        self.arguments = arguments
        self.environment = environment
        self.shown = shown
        port = try FreePort.next()
    }

    /// The database.
    public var databasePath: String { dataDirectory + "/chain.db" }
    /// Sends requests to the node.
    public var client: HTTPTestClient { client(showing: shown) }
    /// Sends requests that show something else.
    public func client(showing shown: ShownAccess) -> HTTPTestClient { HTTPTestClient(port: port, shown: shown) }
    /// What the node wrote to standard output over all its starts, the last megabyte.
    public var output: String { endOfFile(directory + "/output") }
    /// What the node wrote to standard error over all its starts, the last megabyte.
    public var error: String { endOfFile(directory + "/error") }
    /// The process id of the last start.
    public var processID: pid_t? { child.withLock { $0?.processID } }

    /// Starts the process and waits until `GET /` answers.
    ///
    /// - Parameter arguments: for this start only.
    /// - Throws: `TestSupportError` with what the node wrote, if it ends or does not answer before the time-out.
    public func start(adding arguments: [String] = [], timeoutSeconds: Double = 30) async throws {
        let child = try launch(adding: arguments)
        let deadline = ContinuousClock.now + .seconds(timeoutSeconds)
        while ContinuousClock.now < deadline {
            if let status = child.statusIfEnded() {
                throw TestSupportError("the node ended with status \(status): \(error)")
            }
            if await isServing() { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw TestSupportError("the node does not answer after \(timeoutSeconds) s: \(error)")
    }

    /// Starts the process and does not wait: for starts that are to fail.
    @discardableResult
    public func launch(adding more: [String] = []) throws -> ChildProcess {
        stop()
        let started = try ChildProcess(
            [Chaind.executable, "serve", "--host", "127.0.0.1", "--port", "\(port)", "--data-dir", dataDirectory]
                + arguments + more,
            environment: Chaind.environment(environment),
            directory: directory,
            streams: ChildProcess.Streams(output: directory + "/output", error: directory + "/error"))
        child.withLock { $0 = started }
        return started
    }

    private func isServing() async -> Bool {
        do {
            return try await client.get("/", timeoutSeconds: 2).status == 200
        } catch {
            return false  // Not listening yet.
        }
    }

    /// Sends a signal to the process.
    public func signal(_ signal: Int32) {
        child.withLock { $0 }?.signal(signal)
    }

    /// Waits for the end of the process and gives its status: 128 + the signal's number where a signal ended it.
    public func wait(timeoutSeconds: Double = 30) async throws -> Int32 {
        guard let child = child.withLock({ $0 }) else { throw TestSupportError("the node was never started") }
        return try await child.wait(timeoutSeconds: timeoutSeconds)
    }

    /// Sends a signal and waits for the end of the process.
    @discardableResult
    public func end(_ signal: Int32, timeoutSeconds: Double = 30) async throws -> Int32 {
        self.signal(signal)
        return try await wait(timeoutSeconds: timeoutSeconds)
    }

    /// Kills the process if it runs.
    public func stop() {
        child.withLock { $0 }?.stop()
    }
}

/// Runs a body with a started node in a folder of its own; kills the node and removes the folder however it ends.
public func withNode<Result>(
    arguments: [String] = [], environment: [String: String] = [:], shown: ShownAccess = ShownAccess(),
    isolation: isolated (any Actor)? = #isolation,
    _ body: (NodeProcess) async throws -> sending Result
) async throws -> sending Result {
    try await withTemporaryDirectory { directory in
        let node = try NodeProcess(
            directory: directory.path, arguments: arguments, environment: environment, shown: shown)
        defer { node.stop() }
        try await node.start()
        return try await body(node)
    }
}

/// Ports that no one listens on. They lie below the range from which the kernel takes the ports of outgoing
/// connections, and no two calls of one test run get the same.
enum FreePort {
    private static let range = 20_000..<32_000
    private static let offset = Mutex(Int.random(in: 0..<range.count))

    static func next() throws -> Int {
        for _ in range {
            let port = offset.withLock { offset in
                offset = (offset + 1) % range.count
                return range.lowerBound + offset
            }
            if try isFree(port) { return port }
        }
        throw TestSupportError("no free port in \(range)")
    }

    private static func isFree(_ port: Int) throws -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw TestSupportError("socket: \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        return withLoopbackAddress(port: port) { bind(descriptor, $0, $1) } == 0
    }
}
