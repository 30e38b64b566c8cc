// Fills lists with blocks of 64 bytes.

import Chain

/// Lists to measure with.
enum Lists {
    /// Creates a closed database of so many blocks, the genesis not counted.
    static func create(path: String, blocks: Int) async throws {
        let list = try await BlockList.open(path: path) { 1_800_000_000 }
        try await append(blocks, to: list)
        try await list.close()
    }

    /// Appends in large batches.
    static func append(_ count: Int, to list: BlockList) async throws {
        var appended = 0
        while appended < count {
            let batch = min(AppendRequest.draftsMax, count - appended)
            _ = try await list.append(AppendRequest(drafts: (0..<batch).map { Draft(data: text(appended + $0)) }))
            appended += batch
        }
    }

    /// Appends one text a request, by so many clients at once, each of which waits for its answer.
    static func appendOneByOne(_ count: Int, to list: BlockList, inFlight: Int) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<inFlight {
                group.addTask {
                    for number in 0..<(count / inFlight) {
                        _ = try await list.append(AppendRequest(drafts: [Draft(data: text(number))]))
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// A text of 64 bytes.
    private static func text(_ number: Int) -> String {
        let digits = String(number)
        return digits + String(repeating: ".", count: 64 - digits.utf8.count)
    }
}
