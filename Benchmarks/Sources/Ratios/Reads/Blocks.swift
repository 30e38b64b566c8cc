// Reading one block, against the least that a server with the same framework does.

import Foundation

func measureReads(_ bench: Bench) async throws -> [Row] {
    let connections = 64
    let node = try await bench.nodeOfLargeList()
    defer { node.stop() }
    let bare = try await BareServer.start(in: bench.folder)
    defer { bare.stop() }
    let byHeight = LoadRequest.get("/blocks/############", numberEnd: bench.scale.blocks)
    let head = LoadRequest.get("/blocks/head")
    let loads = try await AlternatingLoads(
        [
            Load(ports: [node.port], connections: connections, requests: [byHeight]),
            Load(ports: [node.port], connections: connections, requests: [head]),
            Load(ports: [bare.port], connections: connections, requests: [head]),
        ], runs: bench.scale.runs, seconds: bench.scale.loadSeconds)
    let names = ["GET /blocks/{height}, scattered over \(bench.scale.blocks.grouped)", "GET /blocks/head"]
    return zip(names, loads.rates).map { name, rates in
        Row(
            part: .read, name: name, unit: "/s", ours: rates ?? Figures(),
            baseline: Baseline(name: "bare Hummingbird route", figures: loads.rates[2]), aim: .atLeast(0.8),
            remarks: "\(connections) connections each; \(loads.clientRemark)")
    }
}
