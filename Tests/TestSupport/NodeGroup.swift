// Several real nodes that keep one list, each reached by the others through a proxy, so that links can be broken.

import Foundation

/// The nodes of a group, by their indices. `withGroup` starts them and makes sure that they are gone at the end.
public final class NodeGroup: Sendable {
    /// How the nodes learn of each other.
    public enum Meeting: Sendable {
        /// One `sync.json` for all of them.
        case sharedFile
        /// All but the first are told to join the first.
        case join
        /// Each is alone until a test says otherwise.
        case none
    }

    public let nodes: [NodeProcess]
    /// The file that the nodes share, if they do.
    public let syncFilePath: String
    private let proxies: [LinkProxy]
    /// The ways to the members of the etcd that orders what is appended, if there is one.
    private let etcdProxies: [LinkProxy]

    /// Nodes that are not started yet, with checks and syncs every second.
    fileprivate init(
        directory: String, count: Int, meeting: Meeting, etcd: EtcdCluster?, arguments: [String],
        environments: [Int: [String: String]]
    ) throws {
        let ports = try (0..<count).map { _ in try FreePort.next() }
        let etcdPorts = try (etcd?.endpoints ?? []).map { _ in try FreePort.next() }
        let syncFilePath = directory + "/sync.json"
        let nodes = try ports.enumerated().map { index, port in
            let folder = directory + "/node\(index)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            var own = ["--url", NodeGroup.address(port: port), "--interval-seconds", "1", "--log-level", "notice"]
            if etcd != nil { own += ["--etcd", etcdPorts.map(NodeGroup.address(port:)).joined(separator: ",")] }
            switch meeting {
            case .sharedFile: own += ["--sync-file", syncFilePath]
            case .join where index > 0: own += ["--join", NodeGroup.address(port: ports[0])]
            case .join, .none: break
            }
            return try NodeProcess(
                directory: folder, arguments: own + arguments, environment: environments[index] ?? [:])
        }
        self.nodes = nodes
        self.syncFilePath = syncFilePath
        let targets = Array(zip(ports, nodes.map(\.port))) + Array(zip(etcdPorts, etcd?.clientPorts ?? []))
        var proxies: [LinkProxy] = []
        do {
            for (port, target) in targets {
                proxies.append(try LinkProxy(port: port, nodePort: target) { nodes.map(\.processID) })
            }
        } catch {
            for proxy in proxies { proxy.close() }
            throw error
        }
        self.proxies = Array(proxies.prefix(count))
        etcdProxies = Array(proxies.dropFirst(count))
    }

    private static func address(port: Int) -> String { "http://127.0.0.1:\(port)" }

    /// Where the others find a node.
    public func address(of index: Int) -> String { NodeGroup.address(port: proxies[index].port) }

    /// All addresses, sorted.
    public var addresses: [String] { nodes.indices.map(address(of:)).sorted() }

    /// Makes a node a member of the group of another one.
    public func join(_ index: Int, on node: Int, merging: Bool = false) async throws {
        struct Decision: Encodable {
            let address: String
            let merge: Bool
        }
        let decision = Decision(address: address(of: index), merge: merging)
        let answer = try await nodes[node].client.post("/sync/address", decision)
        guard answer.status == 200 else { throw TestSupportError("\(answer.status): \(answer.text)") }
    }

    // MARK: Links

    /// Sets the link from one node to another; the way back is a link of its own.
    public func setLink(from caller: Int, to node: Int, _ state: LinkState) {
        proxies[node].setLink(from: caller, to: state)
    }

    /// Sets all links between two sides, in both directions.
    public func setLinks(between side: [Int], and other: [Int], _ state: LinkState) {
        for first in side {
            for second in other {
                setLink(from: first, to: second, state)
                setLink(from: second, to: first, state)
            }
        }
    }

    /// Sets the link from a node to a member of etcd.
    public func setEtcdLink(from node: Int, to member: Int, _ state: LinkState) {
        etcdProxies[member].setLink(from: node, to: state)
    }

    /// Opens all links.
    public func openLinks() {
        for proxy in etcdProxies {
            for node in nodes.indices { proxy.setLink(from: node, to: .open) }
        }
        for first in nodes.indices {
            for second in nodes.indices where first != second { setLink(from: first, to: second, .open) }
        }
    }

    /// What has gone through the link from one node to another so far.
    public func traffic(from caller: Int, to node: Int) -> LinkTraffic { proxies[node].traffic(from: caller) }

    // MARK: Waiting

    /// What `GET /sync/` answers on a node.
    public func view(of index: Int) async throws -> GroupAnswer {
        try await nodes[index].client.get("/sync/").json()
    }

    /// Who puts appends in order, as the first of some nodes, or of all, says that knows one; `nil` if none does.
    public func leaderIndex(asking indices: [Int]? = nil) async throws -> Int? {
        for index in indices ?? Array(nodes.indices) {
            do {
                let view: GroupAnswer = try await nodes[index].client.get("/sync/", timeoutSeconds: 1).json()
                guard let leader = view.consensus?.leader else { continue }
                return nodes.indices.first { address(of: $0) == leader }
            } catch let error as CancellationError {
                throw error
            } catch {
                // Another one may answer.
            }
        }
        return nil
    }

    /// Waits until some nodes, or all, have each other, and nobody else, on their lists.
    public func waitUntilTogether(_ indices: [Int]? = nil, timeoutSeconds: Double = 30) async throws {
        let indices = indices ?? Array(nodes.indices)
        let expected = indices.map(address(of:)).sorted()
        try await eventually("nodes \(indices) have each other on their lists", timeoutSeconds: timeoutSeconds) {
            for index in indices where try await self.view(of: index).syncAddresses != expected { return false }
            return true
        }
    }

    /// Waits until some nodes, or all, have the same head.
    @discardableResult
    public func waitUntilEqual(_ indices: [Int]? = nil, timeoutSeconds: Double = 30) async throws -> StatusAnswer {
        let indices = indices ?? Array(nodes.indices)
        var statuses: [StatusAnswer] = []
        do {
            try await eventually("nodes \(indices) have the same head", timeoutSeconds: timeoutSeconds) {
                statuses = []
                for index in indices { statuses.append(try await self.nodes[index].client.get("/").json()) }
                return Set(statuses.map(\.headHash)).count == 1
            }
        } catch let error as TestSupportError {
            throw TestSupportError("\(error): heights \(statuses.map(\.height))")
        }
        return statuses[0]
    }

    /// Kills all nodes and closes all links.
    fileprivate func close() {
        // One that is stopped is killed as well.
        for node in nodes { node.stop() }
        for proxy in proxies + etcdProxies { proxy.close() }
    }
}

/// Runs a body with a group in a folder of its own; kills its nodes and removes the folder however it ends.
///
/// - Parameters:
///   - started: how many of the nodes are started before the body; all where it is nil. They know each other then, if
///     they are to meet.
///   - etcd: puts what is appended in order, if there is one. The nodes meet there, so `meeting` is `.none` then.
///   - arguments: for all nodes.
///   - environments: what is added to the environment of a node, by its index.
public func withGroup<Result>(
    count: Int, meeting: NodeGroup.Meeting = .sharedFile, started: Int? = nil, etcd: EtcdCluster? = nil,
    arguments: [String] = [], environments: [Int: [String: String]] = [:],
    isolation: isolated (any Actor)? = #isolation,
    _ body: (NodeGroup) async throws -> sending Result
) async throws -> sending Result {
    try await withTemporaryDirectory { directory in
        let group = try NodeGroup(
            directory: directory.path, count: count, meeting: meeting, etcd: etcd, arguments: arguments,
            environments: environments)
        defer { group.close() }
        let started = Array(0..<(started ?? count))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for index in started { tasks.addTask { try await group.nodes[index].start() } }
            try await tasks.waitForAll()
        }
        if meeting != .none { try await group.waitUntilTogether(started) }
        return try await body(group)
    }
}
