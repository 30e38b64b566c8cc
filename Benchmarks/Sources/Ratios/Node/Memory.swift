// The memory of a node that streams its whole list, validates it and takes appends, all at once.

import Foundation

func measureMemory(_ bench: Bench) async throws -> [Row] {
    let folder = bench.folder + "/memory"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: try await bench.largeList(), toPath: folder + "/chain.db")
    let node = try await Node(chaind: bench.chaind, dataDirectory: folder)
    defer { node.stop() }
    let idleMegabytes = try node.process.anonymousMegabytes()

    let (peakMegabytes, work) = try await withThrowingTaskGroup(of: Work.self) { group in
        let stop = StopSign()
        group.addTask {
            defer { stop.raise() }
            for _ in 0..<2 { try await node.ask("GET", "/blocks/", keepingBytesMax: 0) }
            return Work(streams: 2)
        }
        group.addTask {
            var work = Work()
            while !stop.isRaised {
                let answer = try await node.ask("GET", "/blocks/valid")
                guard answer.text.contains("\"valid\"") else { throw MeasurementError("validation: \(answer.text)") }
                work.validations += 1
            }
            return work
        }
        for _ in 0..<8 {
            group.addTask {
                var work = Work()
                while !stop.isRaised {
                    try await node.ask("POST", "/blocks/", body: "{\"data\":\"under load\"}")
                    work.appends += 1
                }
                return work
            }
        }
        var peak = idleMegabytes
        while !stop.isRaised {
            peak = max(peak, try node.process.anonymousMegabytes())
            try await Task.sleep(for: .milliseconds(2))
        }
        return (peak, try await group.reduce(into: Work()) { $0.add($1) })
    }
    return [
        Row(
            part: .memory, name: "memory of a node of \(bench.scale.blocks.grouped) blocks under mixed load",
            unit: "MB", ours: Figures([peakMegabytes]), aim: .atMost(200),
            remarks: "RssAnon, highest of samples every 2 ms; at the start \(idleMegabytes.short) MB; \(work)")
    ]
}

/// What was done while the memory was sampled.
private struct Work: CustomStringConvertible {
    var streams = 0
    var validations = 0
    var appends = 0

    mutating func add(_ other: Work) {
        streams += other.streams
        validations += other.validations
        appends += other.appends
    }

    var description: String { "at once \(streams) streams of the list, \(validations) validations, \(appends) appends" }
}
