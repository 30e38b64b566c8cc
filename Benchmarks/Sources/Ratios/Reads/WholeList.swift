// The whole list as JSON, against nginx with the same bytes in a file.

import Foundation

func measureWholeList(_ bench: Bench) async throws -> [Row] {
    let folder = bench.folder + "/list"
    try FileManager.default.createDirectory(atPath: folder + "/files", withIntermediateDirectories: true)
    try await bench.sample.makeList(at: folder + "/chain.db", blocks: bench.scale.listBlocks)
    let node = try await Node(chaind: bench.chaind, dataDirectory: folder)
    defer { node.stop() }
    try await node.waitUntilValidated()
    let body = try await node.ask("GET", "/blocks/", keepingBytesMax: 1 << 30).body
    try Data(body).write(to: URL(fileURLWithPath: folder + "/files/blocks.json"))
    let nginx = try await Nginx.start(serving: folder + "/files", in: folder)
    defer { nginx?.stop() }

    var (ours, theirs) = (Figures(), nginx.map { _ in Figures() })
    for run in 0...bench.scale.runs {
        let rate = try await megabytesPerSecond(port: node.port, path: "/blocks/", sizeBytes: body.count)
        if run > 0 { ours.add(rate) }
        guard let nginx else { continue }
        let base = try await megabytesPerSecond(port: nginx.port, path: "/blocks.json", sizeBytes: body.count)
        if run > 0 { theirs?.add(base) }
    }
    return [
        Row(
            part: .list, name: "the whole list as JSON, \(bench.scale.listBlocks.grouped) blocks", unit: "MB/s",
            ours: ours, baseline: Baseline(name: "nginx, the same bytes from a file", figures: theirs),
            aim: .atLeast(0.25), remarks: "1 connection each; chaind checks every hash")
    ]
}

private func megabytesPerSecond(port: Int, path: String, sizeBytes: Int) async throws -> Double {
    let taken = try await seconds {
        let answer = try await inThread { try HTTPConnection(port: port).exchange("GET", path, keepingBytesMax: 0) }
        guard answer.status == 200, answer.bodySizeBytes == sizeBytes else {
            throw MeasurementError("\(path): \(answer.status), \(answer.bodySizeBytes) bytes of \(sizeBytes)")
        }
    }
    return Double(sizeBytes) / 1_000_000 / taken
}
