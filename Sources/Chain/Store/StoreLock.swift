// One process at a time may write a database: an advisory lock on a file beside it, which names who has it.

import Glibc
import Synchronization

/// Holds `DATABASE.lock` locked until it is released. The file stays; a lock ends with its process, however that ends.
final class StoreLock: Sendable {
    private let descriptor: Mutex<Int32?>

    /// Takes the lock for the database at `path`.
    ///
    /// - Throws: `OpenError.inUse` with the other's process id, or `OpenError.fileSystem`.
    init(path: String) throws(OpenError) {
        let lockPath = path + ".lock"
        let descriptor = Glibc.open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw OpenError(path: path, reason: .fileSystem(operation: "creating \(lockPath)", code: errno))
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            let holder = StoreLock.processID(descriptor)
            close(descriptor)
            throw OpenError(
                path: path,
                reason: code == EWOULDBLOCK
                    ? .inUse(processID: holder) : .fileSystem(operation: "locking \(lockPath)", code: code))
        }
        let text = Array("\(getpid())\n".utf8)
        guard ftruncate(descriptor, 0) == 0, pwrite(descriptor, text, text.count, 0) == text.count else {
            let code = errno
            close(descriptor)
            throw OpenError(path: path, reason: .fileSystem(operation: "writing \(lockPath)", code: code))
        }
        self.descriptor = Mutex(descriptor)
    }

    deinit { release() }

    /// Lets another process have the database.
    func release() {
        descriptor.withLock { descriptor in
            guard let open = descriptor else { return }
            // Closing alone would leave the lock with a child process that is just being started.
            flock(open, LOCK_UN)
            close(open)
            descriptor = nil
        }
    }

    /// Refuses if another process holds the lock; creates nothing.
    ///
    /// - Throws: `OpenError.inUse`.
    static func checkFree(path: String) throws(OpenError) {
        let descriptor = Glibc.open(path + ".lock", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_SH | LOCK_NB) == 0 else {
            throw OpenError(path: path, reason: .inUse(processID: processID(descriptor)))
        }
    }

    /// Removes the lock file of a database that is never opened under this name again.
    static func remove(path: String) { unlink(path + ".lock") }

    private static func processID(_ descriptor: Int32) -> Int? {
        var buffer = [UInt8](repeating: 0, count: 32)
        let count = pread(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { return nil }
        return Int(String(decoding: buffer[..<count], as: UTF8.self).prefix { $0.isNumber })
    }
}
