// A file that is there once it is whole.

import Glibc

/// Writes a file under another name, which goes away unless it is finished.
final class NewFile {
    private static let bufferSizeBytesMax = 1 << 20

    let path: String
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private var isFinished = false

    /// Where the file is until it is whole.
    var partialPath: String { path + ".partial" }

    /// - Throws: `CommandError` if the file is there already or cannot be made.
    init(path: String) throws(CommandError) {
        guard access(path, F_OK) != 0 else { throw CommandError("\(path): is there already, and is not written over") }
        self.path = path
        descriptor = open(path + ".partial", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw CommandError(errno: errno, path) }
    }

    deinit {
        close(descriptor)
        if !isFinished { unlink(partialPath) }
    }

    /// Writes a text.
    func write(_ text: String) throws(CommandError) { try write(text.utf8) }

    /// Writes bytes.
    func write(_ bytes: some Collection<UInt8>) throws(CommandError) {
        buffer += bytes
        if buffer.count >= Self.bufferSizeBytesMax { try flush() }
    }

    /// Puts on disk what was written.
    func sync() throws(CommandError) {
        try flush()
        guard fsync(descriptor) == 0 else { throw CommandError(errno: errno, path) }
    }

    /// Syncs the file and gives it its name.
    func finish() throws(CommandError) {
        try sync()
        // Unlike a rename, a link is not made over a file that came meanwhile.
        guard link(partialPath, path) == 0 else { throw CommandError(errno: errno, path) }
        unlink(partialPath)
        isFinished = true
        try syncFolder(of: path)
    }

    private func flush() throws(CommandError) {
        var rest = buffer[...]
        while !rest.isEmpty {
            let (count, code) = rest.withUnsafeBytes { (Glibc.write(descriptor, $0.baseAddress, $0.count), errno) }
            if count < 0 && code == EINTR { continue }
            guard count > 0 else { throw CommandError(errno: code, path) }
            rest = rest.dropFirst(count)
        }
        buffer.removeAll(keepingCapacity: true)
    }
}

/// Makes a name in a folder durable.
func syncFolder(of path: String) throws(CommandError) {
    let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    let descriptor = open(folder.isEmpty ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw CommandError(errno: errno, folder) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw CommandError(errno: errno, folder) }
}
