// A folder of a test's own, removed with all that is in it.

import Foundation

/// A new folder below the system's temporary folder, or in memory.
public struct TemporaryDirectory: Sendable {
    /// The absolute path, without a slash at the end.
    public let path: String

    /// Creates the folder. Who creates it calls `remove()`; `withTemporaryDirectory` does both.
    ///
    /// - Parameter isInMemory: for files that are synced often and are gone after the test; where the system has no
    ///   such place, they are on disk.
    public init(isInMemory: Bool = false) throws {
        let name = "chaind-test-\(UUID().uuidString.prefix(13))"
        let hasMemory = isInMemory && FileManager.default.isWritableFile(atPath: Self.memoryPath)
        let parent = hasMemory ? URL(fileURLWithPath: Self.memoryPath) : FileManager.default.temporaryDirectory
        path = parent.appendingPathComponent(name).path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    private static let memoryPath = "/dev/shm"

    /// The path of an entry of the folder.
    public func path(_ name: String) -> String { path + "/" + name }

    /// The names in the folder, sorted.
    public func names() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path).sorted()
    }

    /// Removes the folder and all that is in it.
    public func remove() throws {
        try FileManager.default.removeItem(atPath: path)
    }
}

/// Runs a body with a folder of its own, and removes the folder however the body ends.
public func withTemporaryDirectory<Result>(
    isInMemory: Bool = false, isolation: isolated (any Actor)? = #isolation,
    _ body: (TemporaryDirectory) async throws -> sending Result
) async throws -> sending Result {
    let directory = try TemporaryDirectory(isInMemory: isInMemory)
    let result: Result
    do {
        result = try await body(directory)
    } catch {
        try directory.remove()
        throw error
    }
    try directory.remove()
    return result
}
