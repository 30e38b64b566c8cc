// Reads what is imported, from a file or a pipe, without holding a thread of the cooperative pool while it waits.

import Dispatch
import Glibc

/// A file that is open for reading; closed with the object.
final class InputFile: Sendable {
    /// How much is read at once.
    static let chunkSizeBytes = 256 * 1024

    /// How long a read waits before it looks whether it was cancelled.
    private static let waitMilliseconds: Int32 = 100

    /// The size of a regular file when it was opened; `nil` for a pipe, whose end nobody knows.
    let sizeBytes: Int?

    private let path: String
    private let descriptor: Int32
    private let queue = DispatchQueue(label: "chaind.import.input")

    /// Opens a file, or standard input where `path` is `-`.
    convenience init(path: String) throws(CommandError) {
        let isStandardInput = path == "-"
        let descriptor = isStandardInput ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw CommandError(errno: errno, path) }
        try self.init(path: isStandardInput ? "standard input" : path, descriptor: descriptor)
    }

    private init(path: String, descriptor: Int32) throws(CommandError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let code = errno
            close(descriptor)
            throw CommandError(errno: code, path)
        }
        self.path = path
        self.descriptor = descriptor
        sizeBytes = status.st_mode & S_IFMT == S_IFREG ? Int(status.st_size) : nil
    }

    deinit { close(descriptor) }

    /// The next bytes; empty at the end.
    func read() async throws -> [UInt8] {
        while true {
            try Task.checkCancellation()
            let bytes = try await withCheckedThrowingContinuation { continuation in
                queue.async { continuation.resume(with: Result { try self.readWithinWait() }) }
            }
            if let bytes { return bytes }
        }
    }

    /// All that comes, as one text.
    ///
    /// - Throws: `CommandError` if it is not UTF-8, or larger than any block.
    func text() async throws -> String {
        var content: [UInt8] = []
        while true {
            let bytes = try await read()
            if bytes.isEmpty { break }
            content += bytes
            guard content.count <= Self.textSizeBytesMax else {
                throw CommandError("\(path): larger than \(Self.textSizeBytesMax) bytes, which no block can be")
            }
        }
        guard let text = String(validating: content, as: UTF8.self) else { throw CommandError("\(path): is not UTF-8") }
        return text
    }

    private static let textSizeBytesMax = 16 << 20

    /// Goes on at an offset of a regular file.
    func seek(to offset: Int) throws(CommandError) {
        guard lseek(descriptor, off_t(offset), SEEK_SET) >= 0 else { throw CommandError(errno: errno, path) }
    }

    /// A file of the same content that can be read twice: this one, or a copy without a name.
    func seekable() async throws -> InputFile {
        if sizeBytes != nil { return self }
        let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/var/tmp"
        var name = Array("\(folder)/chaind-import-XXXXXX".utf8CString)
        let copy = mkstemp(&name)
        guard copy >= 0 else { throw CommandError(errno: errno, "making a temporary file in \(folder)") }
        unlink(name)
        do {
            while true {
                let bytes = try await read()
                if bytes.isEmpty { break }
                try InputFile.write(bytes, to: copy)
            }
            guard lseek(copy, 0, SEEK_SET) == 0 else { throw CommandError(errno: errno, path) }
        } catch {
            close(copy)
            throw error
        }
        return try InputFile(path: path, descriptor: copy)
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) throws(CommandError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let (count, code) = rest.withUnsafeBytes { (Glibc.write(descriptor, $0.baseAddress, $0.count), errno) }
            if count < 0 && code == EINTR { continue }
            guard count > 0 else { throw CommandError(errno: code, "writing a temporary file") }
            rest = rest.dropFirst(count)
        }
    }

    /// `nil` if nothing came in time.
    private func readWithinWait() throws(CommandError) -> [UInt8]? {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        let ready = poll(&waiting, 1, InputFile.waitMilliseconds)
        if ready == 0 || (ready < 0 && errno == EINTR) { return nil }
        guard ready > 0 else { throw CommandError(errno: errno, path) }
        var (count, code) = (0, Int32(0))
        let bytes = [UInt8](unsafeUninitializedCapacity: InputFile.chunkSizeBytes) { buffer, initializedCount in
            (count, code) = (Glibc.read(descriptor, buffer.baseAddress, buffer.count), errno)
            initializedCount = max(0, count)
        }
        if count < 0 && (code == EINTR || code == EAGAIN) { return nil }
        guard count >= 0 else { throw CommandError(errno: code, path) }
        return bytes
    }
}

extension CommandError {
    /// What the system refused just now.
    init(errno code: Int32, _ operation: String) {
        self.init("\(operation): \(String(cString: strerror(code)))")
    }
}
