// What every part of the measurement is given, and the sizes.

import Foundation

/// A part of the measurement, by the name that `make bench ONLY=` takes.
enum Part: String, CaseIterable, Codable {
    case verify
    case append
    case batch
    case inProcess = "in-process"
    case read
    case list
    case start
    case size
    case memory
    case latency
    case catchUp = "catch-up"
    case group
    case consensus

    /// Measures it.
    func rows(_ bench: Bench) async throws -> [Row] {
        switch self {
        case .verify: try await measureMemoryValidation(bench) + measureFileValidation(bench)
        case .append: try await measureAppends(bench)
        case .batch: try await measureBatches(bench)
        case .inProcess: try await measureAppendsInProcess(bench)
        case .read: try await measureReads(bench)
        case .list: try await measureWholeList(bench)
        case .start: try await measureStart(bench)
        case .size: try await measureSize(bench)
        case .memory: try await measureMemory(bench)
        case .latency: try await measureLatency(bench) + measureSaturation(bench)
        case .catchUp: try await measureCatchUp(bench)
        case .group:
            try await measurePropagation(bench) + measureAppendsOnAll(bench) + measureIdleGroups(bench)
        case .consensus:
            try await measureOrderedAppends(bench) + measureOrderedBatches(bench) + measureOrderedLatency(bench)
                + measureFailOver(bench) + measureEtcdSize(bench)
        }
    }
}

/// How much is measured.
struct Scale {
    /// Blocks of the large list.
    var blocks = 10_000_000
    var catchUpBlocks = 5_000_000
    /// Blocks for those who take much longer to validate.
    var otherWaysBlocks = 200_000
    /// Bytes of the lists that are validated in memory.
    var memorySizeBytes = 32 << 20
    /// Blocks of the list that is sent as JSON.
    var listBlocks = 1_000_000
    /// Alternating runs of each measurement.
    var runs = 5
    /// Single appends that are timed at once within a process; 64 times as many are timed with 64 in flight.
    var appends = 300
    /// For how long a server has load in each run.
    var loadSeconds = 5.0
    /// For how long each rate of the open loop lasts.
    var latencySeconds = 10.0
    var propagationAppends = 500
    var idleNodes = [3, 10, 30, 60]
    var idleBlocks = 1_000_000
    /// For how long an idle group is watched, and for how long three nodes take appends.
    var groupSeconds = 60
    /// How often a leader is killed.
    var failOvers = 20
    /// Blocks that pass through etcd.
    var engineBlocks = 1_000_000

    /// A moment of everything.
    static let quick = Scale(
        blocks: 100_000, catchUpBlocks: 100_000, otherWaysBlocks: 10_000, memorySizeBytes: 2 << 20, listBlocks: 100_000,
        runs: 1, appends: 20,
        loadSeconds: 0.5,
        latencySeconds: 1, propagationAppends: 20, idleNodes: [3],
        idleBlocks: 10_000, groupSeconds: 5, failOvers: 2, engineBlocks: 20_000)
}

/// What every part is given.
struct Bench: Sendable {
    /// The program.
    let chaind: String
    /// Where files may be made; removed at the end.
    let folder: String
    let scale: Scale
    let sample = Sample(dataSizeBytes: 64)

    var largeFolder: String { folder + "/large" }

    /// The path of the large list, which is made once and never appended to.
    func largeList() async throws -> String {
        let path = largeFolder + "/chain.db"
        if !FileManager.default.fileExists(atPath: path) {
            try FileManager.default.createDirectory(atPath: largeFolder, withIntermediateDirectories: true)
            try await sample.makeList(at: path, blocks: scale.blocks)
        }
        return path
    }

    /// Removes what a part made, all but the large list.
    func removeFiles() throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) where folder + "/" + name != largeFolder
        {
            try FileManager.default.removeItem(atPath: folder + "/" + name)
        }
    }

    /// A node of the large list, at rest; nobody may append to it.
    func nodeOfLargeList() async throws -> Node {
        _ = try await largeList()
        let node = try await Node(chaind: chaind, dataDirectory: largeFolder)
        do {
            try await node.waitUntilValidated()
        } catch {
            node.stop()
            throw error
        }
        return node
    }
}
