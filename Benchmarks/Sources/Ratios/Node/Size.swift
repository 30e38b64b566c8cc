// What a block takes in the file.

import Foundation

func measureSize(_ bench: Bench) async throws -> [Row] {
    let attributes = try FileManager.default.attributesOfItem(atPath: try await bench.largeList())
    guard let sizeBytes = attributes[.size] as? Int else { throw MeasurementError("the file has no size") }
    let blocks = bench.scale.blocks
    return [
        Row(
            part: .size, name: "size of the file, \(blocks.grouped) blocks of 64 B of data", unit: "B/block",
            ours: Figures([Double(sizeBytes) / Double(blocks)]), aim: .atMost(112),
            remarks: "64 B of data, 32 of hash and 8 of time are 104")
    ]
}
