// The memory of a node that streams its whole list, validates it and takes appends, all at once.

import Foundation

func measureMemory(list path: String, chaind: String, folder: String, blocks: Int) async throws -> Goal {
    let node = try await NodeUnderLoad(chaind: chaind, dataDirectory: folder)
    defer { node.stop() }
    let idleMegabytes = try node.anonymousMegabytes()

    let (peakMegabytes, work) = try await withThrowingTaskGroup(of: Work.self) { group in
        let stop = StopSign()
        group.addTask {
            defer { stop.raise() }
            for _ in 0..<2 {
                let answer = try await node.exchange("GET", "/blocks/")
                guard answer.isWhole, answer.sizeBytes > blocks * 200 else {
                    throw MeasurementError("the list was cut")
                }
            }
            return Work(streams: 2)
        }
        group.addTask {
            var work = Work()
            while !stop.isRaised {
                let answer = try await node.exchange("GET", "/blocks/valid")
                guard answer.end.contains("\"valid\"") else { throw MeasurementError("validation: \(answer.end)") }
                work.validations += 1
            }
            return work
        }
        for _ in 0..<8 {
            group.addTask {
                var work = Work()
                while !stop.isRaised {
                    let answer = try await node.exchange("POST", "/blocks/", body: "{\"data\":\"under load\"}")
                    guard answer.isOK else { throw MeasurementError("append: \(answer.end)") }
                    work.appends += 1
                }
                return work
            }
        }
        var peak = idleMegabytes
        while !stop.isRaised {
            peak = max(peak, try node.anonymousMegabytes())
            try await Task.sleep(for: .milliseconds(2))
        }
        return (peak, try await group.reduce(into: Work()) { $0.add($1) })
    }

    print("\nanonymous memory (RssAnon) of a node, sampled every 2 ms")
    print("  at rest \(String(format: "%.1f", idleMegabytes)) MB; then at once: \(work)")
    var figures = Figures()
    figures.add(peakMegabytes)
    return Goal("  peak", figures, unit: "MB", atMost: 100)
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

    var description: String { "\(streams) streams of the list, \(validations) validations, \(appends) appends" }
}
