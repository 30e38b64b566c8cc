// Durable appends by clients, against other servers that make each one durable before they answer.

import Foundation

/// One append a request.
func measureAppends(_ bench: Bench) async throws -> [Row] {
    let connections = 64
    let node = try await Node(chaind: bench.chaind, dataDirectory: bench.folder + "/appends")
    defer { node.stop() }
    let bare = try await BareServer.start(in: bench.folder)
    defer { bare.stop() }
    let redis = try await Redis.start(in: bench.folder)
    defer { redis?.stop() }
    let postgres = try await PostgreSQL.start()
    defer { postgres?.stop() }
    let etcd = try await Etcd.start(in: bench.folder)
    defer { etcd?.stop() }

    let append = LoadRequest.post("/blocks/", "{\"data\":\"\(loadText)\"}")
    let loads = try await AlternatingLoads(
        [
            Load(ports: [node.port], connections: connections, requests: [append]),
            redis.map { Redis.load(port: $0.port, connections: connections) },
            postgres.map { $0.load(connections: connections) },
            etcd.map { Etcd.load(port: $0.port, connections: connections) },
            Load(ports: [bare.port], connections: connections, requests: [append]),
        ], runs: bench.scale.runs, seconds: bench.scale.loadSeconds)
    let baselines: [(name: String, aim: Aim)] = [
        ("Redis XADD, appendfsync always", .atLeast(0.5)), ("PostgreSQL INSERT", .atLeast(1.3)),
        ("etcd put, one node", .atLeast(3)), ("bare Hummingbird route", .atLeast(0.7)),
    ]
    return zip(baselines, loads.rates.dropFirst()).map { baseline, rates in
        Row(
            part: .append, name: "durable appends, one a request", unit: "/s", ours: loads.rates[0] ?? Figures(),
            baseline: Baseline(name: baseline.name, figures: rates), aim: baseline.aim,
            remarks: "\(connections) connections each; \(loads.clientRemark)")
    }
}

/// A hundred appends a request.
func measureBatches(_ bench: Bench) async throws -> [Row] {
    let (connections, appends) = (16, 100)
    let node = try await Node(chaind: bench.chaind, dataDirectory: bench.folder + "/batches")
    defer { node.stop() }
    let redis = try await Redis.start(in: bench.folder)
    defer { redis?.stop() }

    let texts = String(repeating: "\"\(loadText)\",", count: appends).dropLast()
    var ours = Load(
        ports: [node.port], connections: connections,
        requests: [LoadRequest.post("/blocks/batch", "{\"data\":[\(texts)]}".replacing("#", with: "0"))])
    ours.operations = appends
    let loads = try await AlternatingLoads(
        [ours, redis.map { Redis.load(port: $0.port, connections: connections, appends: appends) }],
        runs: bench.scale.runs, seconds: bench.scale.loadSeconds)
    return [
        Row(
            part: .batch, name: "durable appends, \(appends) a request", unit: "blocks/s",
            ours: loads.rates[0] ?? Figures(),
            baseline: Baseline(name: "Redis XADD, pipelined, appendfsync always", figures: loads.rates[1]),
            aim: .atLeast(1), remarks: "\(connections) connections each; \(loads.clientRemark)")
    ]
}
