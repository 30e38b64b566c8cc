// A file system of a few megabytes, in memory, to be filled up. Mounting takes root's rights.

import Foundation
import TestSupport

/// A mounted tmpfs.
struct SmallDisk {
    /// Whether this process may mount one.
    static let isAvailable = geteuid() == 0 && FileManager.default.fileExists(atPath: "/proc/self/mounts")

    /// Where it is mounted.
    let path: String
    private var fillerPath: String { path + "/filler" }

    /// Makes the room that is left as large as asked for, by a file that takes the rest.
    func leave(freeBytes: Int) throws {
        if FileManager.default.fileExists(atPath: fillerPath) { try FileManager.default.removeItem(atPath: fillerPath) }
        var size = statvfs()
        guard statvfs(path, &size) == 0 else { throw TestSupportError("statvfs: \(String(cString: strerror(errno)))") }
        let fillerBytes = Int(size.f_bavail) * Int(size.f_frsize) - freeBytes
        guard fillerBytes > 0 else { throw TestSupportError("there are no \(freeBytes) bytes") }
        try Data(repeating: 1, count: fillerBytes).write(to: URL(fileURLWithPath: fillerPath))
    }

    /// Makes room again.
    func empty() throws {
        try FileManager.default.removeItem(atPath: fillerPath)
    }
}

/// Runs a body with a started node whose database is on a disk of its own.
func withNodeOnSmallDisk(sizeBytes: Int, _ body: (NodeProcess, SmallDisk) async throws -> Void) async throws {
    try await withTemporaryDirectory { directory in
        let disk = SmallDisk(path: directory.path("disk"))
        try FileManager.default.createDirectory(atPath: disk.path, withIntermediateDirectories: true)
        let mounted = try await runCommand(
            ["mount", "-t", "tmpfs", "-o", "size=\(sizeBytes)", "chaind-test", disk.path])
        guard mounted.status == 0 else { throw TestSupportError("mounting: \(mounted.error)") }
        let result: Result<Void, any Error>
        do {
            let node = try NodeProcess(directory: directory.path, dataDirectory: disk.path + "/db")
            defer { node.stop() }
            try await node.start()
            try await body(node, disk)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        // In a task of its own, so that a cancelled test leaves no mount behind.
        let unmounted = try await Task { try await runCommand(["umount", disk.path]) }.value
        guard unmounted.status == 0 else { throw TestSupportError("unmounting: \(unmounted.error)") }
        try result.get()
    }
}
