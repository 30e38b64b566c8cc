// sync.json: where nodes of one machine find each other. The file belongs to all of them; nobody keeps it open.

import Foundation
import Glibc

/// A file of addresses that several nodes share.
///
/// A lock on `FILE.lock` beside it lets one at a time read and replace it; it is written aside and renamed, so that
/// whoever reads it without the lock sees it whole. All calls block: they belong on a thread of their own, not in the
/// cooperative pool.
struct SyncFile: Sendable {
    /// The largest file that is read.
    static let sizeBytesMax = 1 << 20

    /// What of the file cannot be used. It is rebuilt from what is known.
    enum Fault: Hashable, Sendable {
        case missing, empty
        /// It is no such file; why, in a line.
        case damaged(String)
        /// This many of its entries are no addresses, or more than there may be.
        case entries(Int)
    }

    /// Tells one state of the file from another.
    struct Stamp: Hashable, Sendable {
        fileprivate let inode: UInt
        fileprivate let sizeBytes: Int
        fileprivate let seconds: Int
        fileprivate let nanoseconds: Int
    }

    /// What an update came upon.
    struct Update: Sendable {
        /// What stood in the file before.
        let found: [MemberAddress]
        /// What was wrong with the file, and is not any more.
        let fault: Fault?
        /// The file as it is now.
        let stamp: Stamp?
    }

    private struct Content: Codable {
        let addresses: [String]
    }

    /// The file, as the settings name it.
    let path: String
    /// How long another node may hold the lock. It takes some milliseconds; one that was stopped meanwhile must not
    /// stop the others.
    var lockSecondsMax = 2.0

    /// Reads what others have put there, and writes what this node knows if that is not what stands there.
    ///
    /// Addresses that this node does not know stay: they are another's, which is about to become a member.
    ///
    /// - Parameters:
    ///   - up: what has to stand there: this node and the members that are on its list.
    ///   - down: what must not: the members that are off the list, and who was forgotten.
    /// - Throws: `SyncFileError`; the file is as it was.
    func update(up: [MemberAddress], down: [MemberAddress]) throws(SyncFileError) -> Update {
        let path = resolvedPath
        let lock = try lock(path + ".lock")
        defer {
            // Closing alone would leave the lock with a child process that is just being started.
            flock(lock, LOCK_UN)
            close(lock)
        }
        let (found, fault) = try read(path)
        let wanted = Set(found).subtracting(down).union(up)
        if fault != nil || wanted != Set(found) { try write(wanted.sorted(), path) }
        return Update(found: found, fault: fault, stamp: Self.stamp(path))
    }

    /// What stands in the file. Nothing is locked or written.
    ///
    /// - Throws: `SyncFileError`.
    func addresses() throws(SyncFileError) -> [MemberAddress] { try read(resolvedPath).found }

    /// Whether the file is another than when it was updated; costs no more than a look at its folder.
    func hasChanged(since stamp: Stamp?) -> Bool { Self.stamp(resolvedPath) != stamp }

    /// Where a symbolic link leads, since nodes that go different ways to one file must lock the same one.
    private var resolvedPath: String {
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    private static func stamp(_ path: String) -> Stamp? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return Stamp(
            inode: status.st_ino, sizeBytes: status.st_size, seconds: status.st_mtim.tv_sec,
            nanoseconds: status.st_mtim.tv_nsec)
    }

    // MARK: Lock

    private func lock(_ lockPath: String) throws(SyncFileError) -> Int32 {
        let descriptor = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw failure("creating \(lockPath)") }
        for _ in 0...Int(lockSecondsMax / 0.01) {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return descriptor }
            guard errno == EWOULDBLOCK else { break }
            usleep(10_000)
        }
        let error = failure("locking \(lockPath)")
        close(descriptor)
        throw error
    }

    // MARK: Reading

    private func read(_ path: String) throws(SyncFileError) -> (found: [MemberAddress], fault: Fault?) {
        // Something that is no file must not keep us waiting for its other end.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT { return ([], .missing) }
            throw failure("opening")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("reading") }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw SyncFileError(path: path, operation: "not a regular file", code: 0)
        }
        guard status.st_size > 0 else { return ([], .empty) }
        guard status.st_size <= Self.sizeBytesMax else { return ([], .damaged("larger than 1 MiB")) }
        var bytes = [UInt8](repeating: 0, count: status.st_size)
        var count = 0
        while count < bytes.count {
            let result = bytes[count...].withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            guard result >= 0 else { throw failure("reading") }
            if result == 0 { break }
            count += result
        }
        return Self.addresses(in: bytes[..<count])
    }

    private static func addresses(in bytes: ArraySlice<UInt8>) -> (found: [MemberAddress], fault: Fault?) {
        let json: Any
        do {
            json = try JSONSerialization.jsonObject(with: Data(bytes))
        } catch {
            return ([], .damaged("no JSON"))
        }
        guard let entries = (json as? [String: Any])?["addresses"] as? [Any] else {
            return ([], .damaged("no list of addresses"))
        }
        var found: Set<MemberAddress> = []
        var skipped = 0
        for entry in entries {
            do throws(MemberAddressError) {
                guard let text = entry as? String, found.count < Membership.entriesMax else { throw .notAbsolute }
                found.insert(try MemberAddress(text))
            } catch {
                skipped += 1
            }
        }
        return (found.sorted(), skipped == 0 ? nil : .entries(skipped))
    }

    // MARK: Writing

    private func write(_ addresses: [MemberAddress], _ path: String) throws(SyncFileError) {
        // Under the lock one name is enough, and what a crash leaves there is overwritten.
        let newPath = path + ".new"
        let descriptor = open(newPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw failure("creating \(newPath)") }
        do throws(SyncFileError) {
            defer { close(descriptor) }
            let bytes = try encode(addresses)
            var count = 0
            while count < bytes.count {
                let result = bytes[count...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
                guard result > 0 else { throw failure("writing \(newPath)") }
                count += result
            }
            guard fsync(descriptor) == 0 else { throw failure("writing \(newPath)") }
            guard rename(newPath, path) == 0 else { throw failure("replacing") }
        } catch {
            unlink(newPath)
            throw error
        }
    }

    private func encode(_ addresses: [MemberAddress]) throws(SyncFileError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .withoutEscapingSlashes]
        do {
            return try Array(encoder.encode(Content(addresses: addresses.map(\.text)))) + Array("\n".utf8)
        } catch {
            throw SyncFileError(path: path, operation: "encoding", code: 0)
        }
    }

    private func failure(_ operation: String) -> SyncFileError {
        SyncFileError(path: path, operation: operation, code: errno)
    }
}

/// Why the file of addresses was neither read nor written. The node goes on without it.
struct SyncFileError: Error, Hashable, Sendable, CustomStringConvertible {
    let path: String
    let operation: String
    /// The `errno`, or 0.
    let code: Int32

    /// One line.
    var description: String { "\(path): \(operation)" + (code == 0 ? "" : ": " + String(cString: strerror(code))) }
}
