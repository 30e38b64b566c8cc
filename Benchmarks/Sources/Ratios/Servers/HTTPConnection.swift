// A connection for one request after the other, over a plain blocking socket, so that it costs little beside the server.

import Foundation

/// What a request was answered with.
struct HTTPAnswer: Sendable {
    let status: Int
    /// The first bytes of the body, as many as were to be kept.
    let body: [UInt8]
    /// How long the whole body was.
    let bodySizeBytes: Int

    var text: String { String(decoding: body, as: UTF8.self) }
}

/// Belongs to one thread.
final class HTTPConnection {
    private let descriptor: Int32
    private var received: [UInt8] = []
    /// Where in `received` what was not taken yet begins.
    private var place = 0

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw MeasurementError("socket: \(errno)") }
        var address = sockaddr_in.loopback(port: port)
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        var noDelay: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &noDelay, socklen_t(MemoryLayout<Int32>.size))
        // The last reference closes the socket, also where the initializer throws from here on.
        guard code == 0 else { throw MeasurementError("connecting to port \(port): \(errno)") }
    }

    deinit { close(descriptor) }

    /// Sends a request and reads its answer.
    ///
    /// - Throws: `MeasurementError` if the answer was cut off.
    func exchange(
        _ method: String, _ path: String, body: String = "", keepingBytesMax: Int = 64 << 10
    ) throws -> HTTPAnswer {
        let request = Array(
            """
            \(method) \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
            Content-Length: \(body.utf8.count)\r\n\r\n\(body)
            """.utf8)
        guard send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
            throw MeasurementError("sending: \(errno)")
        }
        let status = try line().split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        var sizeBytes: Int? = 0
        while true {
            let field = try line().lowercased()
            if field.isEmpty { break }
            let value = field.split(separator: ":").last?.trimmingCharacters(in: .whitespaces) ?? ""
            if field.hasPrefix("content-length:") { sizeBytes = Int(value) }
            if field.hasPrefix("transfer-encoding:") { sizeBytes = nil }
        }
        var kept: [UInt8] = []
        if let sizeBytes {
            try take(sizeBytes, keepingBytesMax: keepingBytesMax, in: &kept)
            return HTTPAnswer(status: status, body: kept, bodySizeBytes: sizeBytes)
        }
        var total = 0
        while let chunkSizeBytes = Int(try line(), radix: 16), chunkSizeBytes > 0 {
            try take(chunkSizeBytes, keepingBytesMax: keepingBytesMax, in: &kept)
            total += chunkSizeBytes
            _ = try line()
        }
        _ = try line()
        return HTTPAnswer(status: status, body: kept, bodySizeBytes: total)
    }

    private func line() throws -> String {
        while true {
            if let end = received[place...].firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: received[place..<end], as: UTF8.self)
                place = end + 1
                return line.trimmingCharacters(in: .newlines)
            }
            try receive()
        }
    }

    private func take(_ count: Int, keepingBytesMax: Int, in kept: inout [UInt8]) throws {
        var left = count
        while left > 0 {
            if place == received.count { try receive() }
            let taken = min(left, received.count - place)
            kept += received[place..<(place + min(taken, keepingBytesMax - kept.count))]
            place += taken
            left -= taken
        }
    }

    private func receive() throws {
        received.removeFirst(place)
        place = 0
        let known = received.count
        received.append(contentsOf: repeatElement(0, count: 256 << 10))
        let count = received.withUnsafeMutableBytes { buffer in
            buffer.baseAddress.map { recv(descriptor, $0 + known, buffer.count - known, 0) } ?? -1
        }
        received.removeLast(received.count - known - max(0, count))
        guard count > 0 else { throw MeasurementError(count == 0 ? "the answer was cut off" : "receiving: \(errno)") }
    }
}

extension sockaddr_in {
    static func loopback(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }
}
