// A new node takes the whole list, validated and durable, against sending its file through a socket.

import Foundation

func measureCatchUp(_ bench: Bench) async throws -> [Row] {
    let blocks = bench.scale.catchUpBlocks
    let source = bench.folder + "/catch-up-source"
    try FileManager.default.createDirectory(atPath: source, withIntermediateDirectories: true)
    try await bench.sample.makeList(at: source + "/chain.db", blocks: blocks)
    let node = try await Node(chaind: bench.chaind, dataDirectory: source)
    defer { node.stop() }

    var (catchUp, file, rows) = (Figures(), Figures(), Figures())
    for run in 0..<bench.scale.runs {
        let target = bench.folder + "/catch-up-\(run)"
        catchUp.add(
            try await seconds {
                let new = try await Node(
                    chaind: bench.chaind, dataDirectory: target, arguments: ["--join", node.url])
                defer { new.stop() }
                try await new.waitForHeight(blocks, seconds: 600)
            })
        try FileManager.default.removeItem(atPath: target)
        file.add(
            try await seconds {
                try await FileTransfer.run(from: node.databasePath, to: bench.folder + "/copy.db")
            })
        let copy = bench.folder + "/rows.db"
        rows.add(try await seconds { try await inThread { try RunsTable.copy(from: node.databasePath, to: copy) } })
        try FileManager.default.removeItem(atPath: copy)
    }
    let name = "a new node catches up \(blocks.grouped) blocks, validated and durable"
    return [
        Row(
            part: .catchUp, name: name, unit: "s", ours: catchUp,
            baseline: Baseline(name: "its file by a socket, fsync, quick_check", figures: file), aim: .atMost(1.5),
            remarks: "from the start of the process; 2 processes against 2 threads"),
        Row(
            part: .catchUp, name: name, unit: "s", ours: catchUp,
            baseline: Baseline(name: "SQLite copies the same rows in the same transactions", figures: rows),
            remarks: "for orientation: nothing is sent or hashed; 1 thread"),
    ]
}
