// A real etcd: its members as processes on ports and folders of their own, which can be killed, frozen and started again.

import Foundation
import Synchronization

/// An etcd that a test runs. `withEtcd` starts it and makes sure that it is gone at the end.
public final class EtcdCluster: Sendable {
    /// Where the members answer clients, by their indices.
    public let endpoints: [String]
    let clientPorts: [Int]
    private let directory: String
    /// For questions about a member, without TLS whatever its endpoint has.
    private let statusPorts: [Int]
    private let peerPorts: [Int]
    /// Where the members are told to find each other: at the proxies of their links, if there are any.
    private let announcedPeerPorts: [Int]
    private let arguments: [String]
    private let children: Mutex<[ChildProcess?]>
    private let links = Mutex<[LinkProxy]>([])

    /// Members that are not started yet.
    fileprivate init(
        directory: String, members: Int, scheme: String, hasPeerLinks: Bool, arguments: [String]
    ) throws {
        self.directory = directory
        self.arguments = arguments
        clientPorts = try (0..<members).map { _ in try FreePort.next() }
        endpoints = clientPorts.map { "\(scheme)://127.0.0.1:\($0)" }
        statusPorts = try (0..<members).map { _ in try FreePort.next() }
        peerPorts = try (0..<members).map { _ in try FreePort.next() }
        announcedPeerPorts = hasPeerLinks ? try (0..<members).map { _ in try FreePort.next() } : peerPorts
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
        let peerURLs = announcedPeerPorts.map { "http://127.0.0.1:\($0)" }
        let members = peerURLs.enumerated().map { "member\($0)=\($1)" }.joined(separator: ",")
        let command =
            [
                try EtcdCluster.executable(), "--name", "member\(index)", "--data-dir", dataDirectory(of: index),
                "--listen-client-urls", "\(endpoints[index]),http://127.0.0.1:\(statusPorts[index])",
                "--advertise-client-urls", endpoints[index],
                "--listen-peer-urls", "http://127.0.0.1:\(peerPorts[index])",
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

    /// Kills all members, and closes the links between them.
    public func stop() {
        for index in endpoints.indices { kill(index) }
        for link in links.withLock({ exchange(&$0, with: []) }) { link.close() }
    }

    // MARK: Links

    fileprivate func openPeerLinks() throws {
        for (port, peerPort) in zip(announcedPeerPorts, peerPorts) where port != peerPort {
            let link = try LinkProxy(port: port, nodePort: peerPort) { self.processIDs }
            links.withLock { $0.append(link) }
        }
    }

    private var processIDs: [pid_t?] { children.withLock { $0.map { $0?.processID } } }

    /// Sets the link from one member to another, where they have links; the way back is a link of its own.
    public func setPeerLink(from caller: Int, to member: Int, _ state: LinkState) {
        links.withLock { $0[member] }.setLink(from: caller, to: state)
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

    private struct Header: Decodable {
        enum CodingKeys: String, CodingKey {
            case revision
            case memberID = "member_id"
        }

        let memberID: String
        /// Not in every answer.
        let revision: String?
    }

    private struct Status: Decodable {
        let header: Header
        let leader: String?
    }

    private func status(of index: Int) async throws -> Status {
        try await ask(index, "maintenance/status")
    }

    /// Forgets what was replaced or deleted before the newest revision that a member knows.
    public func compact(by index: Int) async throws {
        let revision = try await status(of: index).header.revision ?? "0"
        try await order(index, "kv/compaction", ["revision": revision])
    }

    /// Lets a full etcd take writes again: forgets what it can, gives back the room, and ends the alarm.
    public func makeRoom() async throws {
        try await compact(by: 0)
        for index in endpoints.indices { try await order(index, "maintenance/defragment", [:]) }
        for index in endpoints.indices {
            let memberID = try await status(of: index).header.memberID
            try await order(
                0, "maintenance/alarm", ["action": "DEACTIVATE", "memberID": memberID, "alarm": "NOSPACE"])
        }
    }

    /// Has a member do something of which there is nothing to tell.
    private func order(_ index: Int, _ path: String, _ members: [String: String]) async throws {
        struct Outcome: Decodable {
            let error: String?
        }
        let outcome: Outcome = try await ask(index, path, members)
        if let error = outcome.error { throw TestSupportError("member \(index) of etcd: \(path): \(error)") }
    }

    /// Asks a member by a path below `/v3/`, without TLS.
    public func ask<Answer: Decodable>(
        _ index: Int, _ path: String, _ question: some Encodable = [String: String](), token: String? = nil
    ) async throws -> Answer {
        try await HTTPTestClient(port: statusPorts[index], isNode: false)
            .post("/v3/\(path)", question, fields: token.map { ["Authorization": $0] } ?? [:], timeoutSeconds: 1).json()
    }
}

/// Runs a body with an etcd in a folder of its own; kills its members and removes the folder however it ends.
///
/// - Parameters:
///   - scheme: of the endpoints; `https` needs `arguments` that name a certificate.
///   - hasPeerLinks: whether the members reach each other through proxies, so that their links can be broken.
///   - arguments: for all members, after ours, so they win.
public func withEtcd<Result>(
    members: Int = 3, scheme: String = "http", hasPeerLinks: Bool = false, arguments: [String] = [],
    isolation: isolated (any Actor)? = #isolation,
    _ body: (EtcdCluster) async throws -> sending Result
) async throws -> sending Result {
    try await withTemporaryDirectory { directory in
        let etcd = try EtcdCluster(
            directory: directory.path, members: members, scheme: scheme, hasPeerLinks: hasPeerLinks,
            arguments: arguments)
        defer { etcd.stop() }
        try etcd.openPeerLinks()
        for index in 0..<members { try etcd.start(index) }
        try await etcd.waitUntilReady()
        return try await body(etcd)
    }
}
