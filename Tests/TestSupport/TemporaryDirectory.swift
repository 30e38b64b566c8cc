// A folder of a test's own, removed with all that is in it.

import Foundation

/// A new folder below the system's temporary folder.
public struct TemporaryDirectory: Sendable {
    /// The absolute path, without a slash at the end.
    public let path: String

    /// Creates the folder. Who creates it calls `remove()`; `withTemporaryDirectory` does both.
    public init() throws {
        let name = "chaind-test-\(UUID().uuidString.prefix(13))"
        path = FileManager.default.temporaryDirectory.appendingPathComponent(name).path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

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
    isolation: isolated (any Actor)? = #isolation,
    _ body: (TemporaryDirectory) async throws -> sending Result
) async throws -> sending Result {
    let directory = try TemporaryDirectory()
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
