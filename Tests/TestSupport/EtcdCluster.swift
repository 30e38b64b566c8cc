// A real etcd: its members as processes on ports and folders of their own, which can be killed, frozen and started again.

import Foundation
import Synchronization

/// An etcd that a test runs. `withEtcd` starts it and makes sure that it is gone at the end.
public final class EtcdCluster: Sendable {
    /// Where the members answer clients, by their indices.
    public let endpoints: [String]
    private let directory: String
    /// For questions about a member, without TLS whatever its endpoint has.
    private let statusPorts: [Int]
    private let peerURLs: [String]
    private let arguments: [String]
    private let children: Mutex<[ChildProcess?]>

    /// Members that are not started yet.
    fileprivate init(directory: String, members: Int, scheme: String, arguments: [String]) throws {
        self.directory = directory
        self.arguments = arguments
        endpoints = try (0..<members).map { _ in "\(scheme)://127.0.0.1:\(try FreePort.next())" }
        statusPorts = try (0..<members).map { _ in try FreePort.next() }
        peerURLs = try (0..<members).map { _ in "http://127.0.0.1:\(try FreePort.next())" }
        children = Mutex(Array(repeating: nil, count: members))
    }

    /// The folder of a member's data. It may be copied or removed while the member does not run.
    public func dataDirectory(of index: Int) -> String { "\(directory)/member\(index)" }

    /// What a member wrote over all its starts, the last megabyte.
    public func output(of index: Int) -> String { endOfFile(logPath(of: index)) }

    private func logPath(of index: Int) -> String { dataDirectory(of: index) + ".log" }

    /// Starts a member, which is killed first if it runs, and does not wait.
    public func start(_ index: Int) throws {
        kill(index)
        let members = peerURLs.enumerated().map { "member\($0)=\($1)" }.joined(separator: ",")
        let command =
            [
                try EtcdCluster.executable(), "--name", "member\(index)", "--data-dir", dataDirectory(of: index),
                "--listen-client-urls", "\(endpoints[index]),http://127.0.0.1:\(statusPorts[index])",
                "--advertise-client-urls", endpoints[index], "--listen-peer-urls", peerURLs[index],
                "--initial-advertise-peer-urls", peerURLs[index], "--initial-cluster", members,
                "--initial-cluster-token", directory,
                // A lost leader is missed after half a second, and a lease can be as short as a second.
                "--heartbeat-interval", "50", "--election-timeout", "500",
                "--logger", "zap", "--log-outputs", "stderr", "--log-level", "error",
            ] + arguments
        let streams = ChildProcess.Streams(output: logPath(of: index), error: logPath(of: index))
        let child = try ChildProcess(command, environment: [:], directory: directory, streams: streams)
        children.withLock { $0[index] = child }
    }

    private static func executable() throws -> String {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        guard let folder = folders.first(where: { FileManager.default.isExecutableFile(atPath: "\($0)/etcd") }) else {
            throw TestSupportError("etcd is not installed; `make test-tools` does it")
        }
        return "\(folder)/etcd"
    }

    /// Kills a member, frozen or not.
    public func kill(_ index: Int) { child(index)?.stop() }

    /// Makes a member stand still with its connections open, until it is thawed.
    public func freeze(_ index: Int) { child(index)?.signal(SIGSTOP) }

    /// Lets a frozen member go on.
    public func thaw(_ index: Int) { child(index)?.signal(SIGCONT) }

    /// Kills all members.
    public func stop() {
        for index in endpoints.indices { kill(index) }
    }

    private func child(_ index: Int) -> ChildProcess? { children.withLock { $0[index] } }

    /// Waits until some members, or all, know a leader.
    ///
    /// - Throws: `TestSupportError` with what a member wrote, if it does not before the time-out.
    public func waitUntilReady(_ indices: [Int]? = nil, timeoutSeconds: Double = 30) async throws {
        for index in indices ?? Array(endpoints.indices) {
            do {
                try await eventually("member \(index) of etcd has a leader", timeoutSeconds: timeoutSeconds) {
                    try await self.status(of: index).leader != nil
                }
            } catch let error as TestSupportError {
                throw TestSupportError("\(error)\n\(output(of: index))")
            }
        }
    }

    /// Waits until a member is the leader, and gives its index. Members that are killed or frozen are passed over.
    public func leaderIndex(timeoutSeconds: Double = 30) async throws -> Int {
        var leader = 0
        try await eventually("etcd has a leader", timeoutSeconds: timeoutSeconds) {
            for index in self.endpoints.indices {
                do {
                    let status = try await self.status(of: index)
                    if status.leader == status.header.memberID {
                        leader = index
                        return true
                    }
                } catch {
                    // Another one may be it.
                }
            }
            return false
        }
        return leader
    }

    private struct Status: Decodable {
        struct Header: Decodable {
            enum CodingKeys: String, CodingKey { case memberID = "member_id" }
            let memberID: String
        }

        let header: Header
        let leader: String?
    }

    private func status(of index: Int) async throws -> Status {
        try await ask(index, "maintenance/status")
    }

    /// Asks a member by a path below `/v3/`, without TLS.
    public func ask<Answer: Decodable>(
        _ index: Int, _ path: String, _ question: some Encodable = [String: String](), token: String? = nil
    ) async throws -> Answer {
        try await HTTPTestClient(port: statusPorts[index])
            .post("/v3/\(path)", question, fields: token.map { ["Authorization": $0] } ?? [:], timeoutSeconds: 1).json()
    }
}

/// Runs a body with an etcd in a folder of its own; kills its members and removes the folder however it ends.
///
/// - Parameters:
///   - scheme: of the endpoints; `https` needs `arguments` that name a certificate.
///   - arguments: for all members, after ours, so they win.
public func withEtcd<Result>(
    members: Int = 3, scheme: String = "http", arguments: [String] = [],
    isolation: isolated (any Actor)? = #isolation,
    _ body: (EtcdCluster) async throws -> sending Result
) async throws -> sending Result {
    try await withTemporaryDirectory { directory in
        let etcd = try EtcdCluster(
            directory: directory.path, members: members, scheme: scheme, arguments: arguments)
        defer { etcd.stop() }
        for index in 0..<members { try etcd.start(index) }
        try await etcd.waitUntilReady()
        return try await body(etcd)
    }
}
