// A group of real nodes on this machine.

import Foundation

/// Nodes that know each other, until `stop()`.
final class NodeGroup: Sendable {
    let nodes: [Node]
    /// Counts what reaches the first node.
    let proxy: CountingProxy

    /// Runs a body with a group in a folder of its own, which is removed after it.
    ///
    /// - Parameter list: a database for the first node to begin with; the others take it over.
    static func with<Result>(
        _ count: Int, chaind: String, folder: String, list: String? = nil, arguments: [String] = [],
        _ body: (NodeGroup) async throws -> Result
    ) async throws -> Result {
        let folder = folder + "/group"
        let dataDirectories = (0..<count).map { folder + "/node-\($0)" }
        for directory in dataDirectories {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        }
        defer { try? FileManager.default.removeItem(atPath: folder) }
        if let list { try FileManager.default.copyItem(atPath: list, toPath: dataDirectories[0] + "/chain.db") }

        let port = try ServerProcess.freePort()
        let proxy = try CountingProxy(target: port)
        var nodes: [Node] = []
        defer {
            proxy.stop()
            for node in nodes { node.stop() }
        }
        for (index, directory) in dataDirectories.enumerated() {
            nodes.append(
                try await Node(
                    chaind: chaind, dataDirectory: directory, port: index == 0 ? port : nil,
                    syncFile: folder + "/sync.json",
                    arguments: (index == 0 ? ["--url", "http://localhost:\(proxy.port)"] : []) + arguments))
        }
        let group = NodeGroup(nodes: nodes, proxy: proxy)
        try await group.meet()
        return try await body(group)
    }

    private init(nodes: [Node], proxy: CountingProxy) {
        self.nodes = nodes
        self.proxy = proxy
    }

    /// Appends a block that all must take: then they know each other.
    private func meet() async throws {
        for _ in 0..<10 {
            let answer = try await nodes[0].ask(
                "POST", "/blocks/?wait=\(nodes.count)&timeout=60", body: "{\"data\":\"all know each other\"}")
            if answer.text.contains("\"members\":\(nodes.count)") { return }
        }
        throw MeasurementError("the nodes do not become a group")
    }

    /// Waits until all have the same list of a height.
    ///
    /// - Returns: how many seconds it took.
    func secondsUntilEqual(height: Int) async throws -> Double {
        let start = ContinuousClock.now
        while ContinuousClock.now < start + .seconds(60) {
            var heads: Set<String> = []
            for node in nodes {
                let status = try await node.status()
                heads.insert("\(status.height) \(status.headHash)")
            }
            if heads.count == 1, heads.first?.hasPrefix("\(height) ") == true {
                return ContinuousClock.now.seconds(since: start)
            }
            try await Task.sleep(for: .milliseconds(5))
        }
        throw MeasurementError("the nodes are not equal at height \(height) after a minute")
    }
}
