// A list for a benchmark to work on, in a folder that is removed after it.

import Chain
import Foundation

/// An open list of blocks of 64 bytes.
struct SampleList: Sendable {
    let list: BlockList

    /// One for each process; a process runs one benchmark at a time.
    private static let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("chaind-benchmark-\(ProcessInfo.processInfo.processIdentifier)").path

    init(blocks: Int) async throws {
        try FileManager.default.createDirectory(atPath: Self.folder, withIntermediateDirectories: true)
        list = try await BlockList.open(path: Self.folder + "/chain.db") { Int64(Date().timeIntervalSince1970) }
        let drafts = Array(repeating: Draft(data: String(repeating: "x", count: 64)), count: 1_000)
        for _ in 0..<(blocks / drafts.count) { _ = try await list.append(AppendRequest(drafts: drafts)) }
    }

    /// Appends blocks, all of them waiting at once.
    func append(appends: Int) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<appends {
                group.addTask { _ = try await list.append(AppendRequest(drafts: [Draft(data: "an append")])) }
            }
            try await group.waitForAll()
        }
    }

    /// Removes the files. The list need not be closed before: nobody will ask for them.
    static func remove() throws {
        try FileManager.default.removeItem(atPath: folder)
    }
}
