// The least that catching up can be: the file goes through a loopback socket, is synced, and checked by SQLite.

import CSQLite
import Foundation

enum FileTransfer {
    /// Copies a database file, both ends in threads of their own.
    static func run(from source: String, to target: String) async throws {
        var ends: [Int32] = [0, 0]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else {
            throw MeasurementError("socketpair: \(errno)")
        }
        let (sending, receiving) = (ends[0], ends[1])
        async let sent: Void = inThread { try send(source, to: sending) }
        async let received: Void = inThread { try receive(target, from: receiving) }
        _ = try await (sent, received)
        try check(target)
        try FileManager.default.removeItem(atPath: target)
    }

    private static func send(_ path: String, to socket: Int32) throws {
        defer { close(socket) }
        let file = open(path, O_RDONLY)
        guard file >= 0 else { throw MeasurementError("\(path): \(errno)") }
        defer { close(file) }
        try pump(from: file, to: socket)
    }

    private static func receive(_ path: String, from socket: Int32) throws {
        defer { close(socket) }
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        guard file >= 0 else { throw MeasurementError("\(path): \(errno)") }
        defer { close(file) }
        try pump(from: socket, to: file)
        guard fsync(file) == 0 else { throw MeasurementError("fsync: \(errno)") }
    }

    private static func pump(from source: Int32, to target: Int32) throws {
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = read(source, &buffer, buffer.count)
            guard count >= 0 else { throw MeasurementError("read: \(errno)") }
            if count == 0 { return }
            var written = 0
            while written < count {
                let more = buffer.withUnsafeBytes { bytes in
                    bytes.baseAddress.map { write(target, $0 + written, count - written) } ?? -1
                }
                guard more > 0 else { throw MeasurementError("write: \(errno)") }
                written += more
            }
        }
    }

    private static func check(_ path: String) throws {
        var database: OpaquePointer?
        defer { sqlite3_close_v2(database) }
        guard sqlite3_open_v2(path, &database, SQLITE_OPEN_READONLY, nil) == SQLITE_OK,
            sqlite3_exec(database, "PRAGMA quick_check", nil, nil, nil) == SQLITE_OK
        else { throw MeasurementError("quick_check failed") }
    }
}
