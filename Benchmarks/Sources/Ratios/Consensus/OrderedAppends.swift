// Appends to all nodes of a group with an engine, against plain puts into the same etcd.

import Foundation

/// One append a request.
func measureOrderedAppends(_ bench: Bench) async throws -> [Row] {
    try await EngineGroup.with(bench) { group in
        let leader = try await group.node(group.leader())
        let counts = [1, 64, 256]
        // One client is on the leader, and its baseline on the member of etcd that the leader asks.
        let rates = try await AlternatingLoads(
            counts.flatMap { count in
                [
                    Load(
                        ports: count == 1 ? [leader.port] : group.nodes.map(\.port), connections: count,
                        requests: [EngineLoad.append]),
                    Load(
                        ports: count == 1 ? [group.etcdPorts[0]] : group.etcdPorts, connections: count,
                        requests: [EngineLoad.put]),
                ]
            }, runs: bench.scale.runs, seconds: bench.scale.loadSeconds)
        var rows: [Row] = []
        for (index, count) in counts.enumerated() {
            let place = count == 1 ? "1 client on the leader" : "\(count) clients on three nodes"
            var row = Row(
                part: .consensus, name: "appends in etcd's order, \(place)", unit: "/s",
                ours: rates.rates[2 * index] ?? Figures(),
                baseline: Baseline(name: "etcd put by its gateway", figures: rates.rates[2 * index + 1]),
                remarks: "3 nodes, 3 members of etcd; \(rates.clientRemark)")
            row.aim =
                switch count {
                case 1: .atLeast(0.65)
                case 64: .atLeast(2)
                // More than with fewer clients.
                default: .atLeast(max(2, rows.last?.ratios?.median ?? 0))
                }
            rows.append(row)
        }
        return rows
    }
}

/// A hundred appends a request.
func measureOrderedBatches(_ bench: Bench) async throws -> [Row] {
    try await EngineGroup.with(bench) { group in
        let (connections, appends) = (64, 100)
        let texts = String(repeating: "\"\(loadText)\",", count: appends).dropLast()
        var ours = Load(
            ports: group.nodes.map(\.port), connections: connections,
            requests: [.post("/blocks/batch", "{\"data\":[\(texts)]}".replacing("#", with: "0"))])
        ours.operations = appends
        let loads = try await AlternatingLoads(
            [ours, Load(ports: group.etcdPorts, connections: connections, requests: [EngineLoad.put])],
            runs: bench.scale.runs, seconds: bench.scale.loadSeconds)
        return [
            Row(
                part: .consensus, name: "appends in etcd's order, \(appends) a request", unit: "blocks/s",
                ours: loads.rates[0] ?? Figures(),
                baseline: Baseline(name: "etcd put by its gateway", figures: loads.rates[1]), aim: .atLeast(10),
                remarks: "\(connections) connections each, over three nodes; \(loads.clientRemark)")
        ]
    }
}

/// One append at a time, on the leader and on another node.
func measureOrderedLatency(_ bench: Bench) async throws -> [Row] {
    try await EngineGroup.with(bench) { group in
        let leader = try await group.leader()
        let loads = [
            Load(ports: [try group.node(leader).port], connections: 1, requests: [EngineLoad.append]),
            Load(ports: [try group.node((leader + 1) % 3).port], connections: 1, requests: [EngineLoad.append]),
            Load(ports: [group.etcdPorts[0]], connections: 1, requests: [EngineLoad.put]),
        ]
        var medians = loads.map { _ in Figures() }
        for run in 0...bench.scale.runs {
            for (index, load) in loads.enumerated() {
                let result = try await load.run(seconds: bench.scale.loadSeconds)
                guard result.count(of: 200) == result.statuses.count else {
                    throw MeasurementError("a request to \(load.ports) was refused")
                }
                if run > 0 { medians[index].add(result.milliseconds().median) }
            }
        }
        return [("the leader", 1.6), ("a follower", 2.2)].enumerated().map { index, place in
            Row(
                part: .consensus, name: "an append in etcd's order on \(place.0), median", unit: "ms",
                ours: medians[index],
                baseline: Baseline(name: "etcd put by its gateway", figures: medians[2]),
                aim: .atMost(place.1), remarks: "one at a time; the put to the member of etcd that the leader asks")
        }
    }
}
