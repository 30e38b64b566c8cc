// A group with an engine on this machine: three members of etcd, with their settings as they come, and three nodes.

import Foundation
import Synchronization

/// Owns the processes until the end of `with`.
final class EngineGroup: Sendable {
    /// Where the members of etcd answer clients.
    let etcdPorts: [Int]
    private let bench: Bench
    private let folder: String
    private let arguments: [String]
    private let members = Mutex<[ServerProcess]>([])
    private let nodesByIndex = Mutex<[Int: Node]>([:])

    /// Runs a body with a group in a folder of its own, which is removed after it.
    ///
    /// - Returns: no row where etcd is not installed.
    static func with(
        _ bench: Bench, etcdArguments: [String] = [], arguments: [String] = [],
        _ body: (EngineGroup) async throws -> [Row]
    ) async throws -> [Row] {
        guard let etcd = Tool.path("etcd") else { return [] }
        let group = try EngineGroup(bench, arguments: arguments)
        defer {
            group.stop()
            try? FileManager.default.removeItem(atPath: group.folder)
        }
        try await group.startMembers(of: etcd, etcdArguments)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for index in 0..<3 { tasks.addTask { try await group.start(index) } }
            try await tasks.waitForAll()
        }
        return try await body(group)
    }

    private init(_ bench: Bench, arguments: [String]) throws {
        self.bench = bench
        folder = bench.folder + "/engine"
        etcdPorts = try (0..<3).map { _ in try ServerProcess.freePort() }
        let endpoints = etcdPorts.map { "http://127.0.0.1:\($0)" }
        self.arguments = ["--etcd", endpoints.joined(separator: ",")] + arguments
    }

    /// At once, since none of them serves before most of them are there.
    private func startMembers(of program: String, _ arguments: [String]) async throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let peers = try etcdPorts.map { _ in "http://127.0.0.1:\(try ServerProcess.freePort())" }
        let cluster = peers.enumerated().map { "etcd\($0)=\($1)" }.joined(separator: ",")
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for (index, port) in etcdPorts.enumerated() {
                let (name, clients) = ("etcd\(index)", "http://127.0.0.1:\(port)")
                tasks.addTask { [self] in
                    let member = try await ServerProcess(
                        program,
                        [
                            "--name", name, "--data-dir", "\(folder)/\(name)", "--listen-client-urls", clients,
                            "--advertise-client-urls", clients, "--listen-peer-urls", peers[index],
                            "--initial-advertise-peer-urls", peers[index], "--initial-cluster", cluster,
                            "--logger", "zap", "--log-level", "error",
                        ] + arguments, port: port, log: "\(folder)/\(name).log")
                    members.withLock { $0.append(member) }
                }
            }
            try await tasks.waitForAll()
        }
    }

    private func stop() {
        for node in nodes { node.stop() }
        for member in members.withLock({ $0 }) { member.stop() }
    }

    // MARK: Nodes

    var nodes: [Node] { nodesByIndex.withLock { nodes in nodes.keys.sorted().compactMap { nodes[$0] } } }

    func node(_ index: Int) throws -> Node {
        guard let node = nodesByIndex.withLock({ $0[index] }) else { throw MeasurementError("no node \(index)") }
        return node
    }

    /// Starts a node, again if it was killed, and waits until it has its part in the group.
    func start(_ index: Int) async throws {
        let before = nodesByIndex.withLock { $0[index] }
        let node = try await Node(
            chaind: bench.chaind, dataDirectory: "\(folder)/node-\(index)", port: before?.port, arguments: arguments)
        nodesByIndex.withLock { $0[index] = node }
        for _ in 0..<6_000 {
            let view = try await view(of: node)
            if view.syncAddresses.count == 3, view.consensus.leader != nil, view.consensus.state != "waiting" { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw MeasurementError("node \(index) does not become a part of the group")
    }

    /// The index of the node that puts appends in order, as another one says.
    func leader() async throws -> Int {
        for _ in 0..<6_000 {
            let leader = try await view(of: nodes[0]).consensus.leader
            if let index = nodes.firstIndex(where: { $0.url == leader }) { return index }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw MeasurementError("nobody leads the group")
    }

    private struct View: Decodable {
        struct Consensus: Decodable {
            let state: String
            let leader: String?
        }

        let syncAddresses: [String]
        let consensus: Consensus

        enum CodingKeys: String, CodingKey {
            case consensus
            case syncAddresses = "sync_addresses"
        }
    }

    private func view(of node: Node) async throws -> View {
        try JSONDecoder().decode(View.self, from: Data(try await node.ask("GET", "/sync/").body))
    }
}

/// What is sent to either side.
enum EngineLoad {
    static let append = LoadRequest.post("/blocks/", "{\"data\":\"\(loadText)\"}")
    /// A value as long as the text of an append, by the gateway that the nodes use themselves. Digits are base64 as well, so
    /// that they make a key of the number.
    static let put = LoadRequest.post(
        "/v3/kv/put", "{\"key\":\"YmxvY2tz############\",\"value\":\"\(Data(loadText.utf8).base64EncodedString())\"}")
}
