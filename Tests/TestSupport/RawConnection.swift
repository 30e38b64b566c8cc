// Bytes to and from a port, for requests that no HTTP client would send.

import Foundation

/// A TCP connection to 127.0.0.1. Its calls block, so they run on a dispatch queue and not in the cooperative pool.
public final class RawConnection: Sendable {
    private let descriptor: Int32
    private let queue = DispatchQueue(label: "test.raw-connection")

    /// Connects. Each send and receive gives up after the time-out.
    ///
    /// - Parameter from: the last number of the address that it comes from, 127.0.0.1 or another one of this machine.
    public init(port: Int, from: UInt8 = 1, timeoutSeconds: Int = 30) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw TestSupportError("socket: \(String(cString: strerror(errno)))") }
        var timeout = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        let code =
            withLoopbackAddress(port: 0, last: from) { bind(descriptor, $0, $1) }
            | withLoopbackAddress(port: port) { connect(descriptor, $0, $1) }
        guard code == 0 else {
            let reason = String(cString: strerror(errno))
            close(descriptor)
            throw TestSupportError("connecting to port \(port): \(reason)")
        }
    }

    deinit { close(descriptor) }

    /// Sends all of the bytes.
    public func send(_ bytes: [UInt8]) async throws {
        try await onQueue { descriptor in
            var sent = 0
            while sent < bytes.count {
                let count = bytes[sent...].withUnsafeBytes {
                    Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { throw TestSupportError("send: \(String(cString: strerror(errno)))") }
                sent += count
            }
        }
    }

    /// Sends all of a text.
    public func send(_ text: String) async throws { try await send(Array(text.utf8)) }

    /// The next bytes that come, at most `limit`; empty once the other side has closed or reset the connection.
    ///
    /// - Throws: `TestSupportError` if nothing comes before the time-out.
    public func receive(limit: Int = 65_536) async throws -> [UInt8] {
        try await onQueue { descriptor in
            var buffer = [UInt8](repeating: 0, count: limit)
            let count = recv(descriptor, &buffer, limit, 0)
            if count < 0 && errno == ECONNRESET { return [] }
            guard count >= 0 else { throw TestSupportError("receive: \(String(cString: strerror(errno)))") }
            return Array(buffer[..<count])
        }
    }

    /// All that comes until the other side closes, at most `limit` bytes.
    public func receiveToEnd(limit: Int = 64 * 1024 * 1024) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < limit {
            let piece = try await receive()
            if piece.isEmpty { break }
            bytes += piece
        }
        return bytes
    }

    /// Says that nothing more will be sent; answers can still be received.
    public func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    private func onQueue<Result: Sendable>(
        _ work: @escaping @Sendable (Int32) throws -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Swift.Result { try work(self.descriptor) }) }
        }
    }
}

/// Calls a socket function with the address of a port of 127.0.0.1.
func withLoopbackAddress<Result>(
    port: Int, last: UInt8 = 1, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
) -> Result {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = (UInt32(0x7f00_0000) | UInt32(last)).bigEndian
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
}
