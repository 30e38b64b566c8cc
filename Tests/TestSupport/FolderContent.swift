// What is in a folder, to be compared with what is in it later.

import Foundation

/// The files of a folder, by their names, with their bytes.
public struct FolderContent: Equatable, Sendable {
    public let files: [String: Data]

    public init(_ path: String) throws {
        var files: [String: Data] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: path) {
            files[name] = try Data(contentsOf: URL(fileURLWithPath: path + "/" + name))
        }
        self.files = files
    }
}
