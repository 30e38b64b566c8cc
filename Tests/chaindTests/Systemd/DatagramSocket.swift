// The socket at which systemd would listen.

import Foundation
import TestSupport

/// A datagram socket at a path, or at an abstract name with a leading @.
final class DatagramSocket: Sendable {
    private let descriptor: Int32

    init(_ name: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = name.hasPrefix("@") ? [0] + name.utf8.dropFirst() : Array(name.utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let size = MemoryLayout<sockaddr_un>.size - MemoryLayout.size(ofValue: address.sun_path) + bytes.count
        let code = withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(size)) }
        }
        guard descriptor >= 0, code == 0 else {
            throw TestSupportError("binding \(name): \(String(cString: strerror(errno)))")
        }
    }

    deinit { close(descriptor) }

    /// What came since the last call.
    func received() -> [String] {
        var texts: [String] = []
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            guard count >= 0 else { return texts }
            texts.append(String(decoding: buffer[..<count], as: UTF8.self))
        }
    }

    /// Waits for the next datagrams, and gives all that are there.
    func next(timeoutSeconds: Double = 30) async throws -> [String] {
        var texts: [String] = []
        try await eventually("systemd is told something", timeoutSeconds: timeoutSeconds) {
            texts = received()
            return !texts.isEmpty
        }
        return texts
    }

    /// All that comes within a time.
    func received(withinSeconds seconds: Double) async throws -> [String] {
        try await Task.sleep(for: .seconds(seconds))
        return received()
    }
}
