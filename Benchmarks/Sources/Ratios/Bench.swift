// What every part of the measurement is given, and the sizes.

import Foundation

/// A part of the measurement, by the name that `make bench ONLY=` takes.
enum Part: String, CaseIterable, Codable {
    case verify
    case inProcess = "in-process"
    case memory
    case catchUp = "catch-up"
    case group

    /// Measures it.
    func rows(_ bench: Bench) async throws -> [Row] {
        switch self {
        case .verify: try await measureFileValidation(bench)
        case .inProcess: try await measureAppendsInProcess(bench)
        case .memory: try await measureMemory(bench)
        case .catchUp: try await measureCatchUp(bench)
        case .group:
            try await measurePropagation(bench) + measureAppendsOnAll(bench) + measureIdleGroups(bench)
        }
    }
}

/// How much is measured.
struct Scale {
    /// Blocks of the large list.
    var blocks = 10_000_000
    var catchUpBlocks = 5_000_000
    /// Alternating runs of each measurement.
    var runs = 5
    /// Single appends that are timed at once within a process; 64 times as many are timed with 64 in flight.
    var appends = 300
    var propagationAppends = 500
    var idleNodes = [3, 10, 30, 60]
    var idleBlocks = 1_000_000
    /// For how long an idle group is watched, and for how long three nodes take appends.
    var groupSeconds = 60

    /// A moment of everything.
    static let quick = Scale(
        blocks: 100_000, catchUpBlocks: 100_000, runs: 1, appends: 20, propagationAppends: 20, idleNodes: [3],
        idleBlocks: 10_000, groupSeconds: 5)
}

/// What every part is given.
struct Bench {
    /// The program.
    let chaind: String
    /// Where files may be made; removed at the end.
    let folder: String
    let scale: Scale
    let sample = Sample(dataSizeBytes: 64)

    /// The large list, made once.
    func largeList() async throws -> String {
        let path = folder + "/large/chain.db"
        if !FileManager.default.fileExists(atPath: path) {
            try FileManager.default.createDirectory(atPath: folder + "/large", withIntermediateDirectories: true)
            try await sample.makeList(at: path, blocks: scale.blocks)
        }
        return path
    }
}
