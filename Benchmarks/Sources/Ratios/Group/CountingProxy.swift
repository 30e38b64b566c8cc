// Counts the requests that reach a node: it stands before the node, under the address that the others know.

import Foundation
import Glibc
import Synchronization

/// Passes everything on and counts the first lines of requests, until `stop()`.
final class CountingProxy: Sendable {
    let port: Int
    private let target: Int
    private let counts = Mutex<[String: Int]>([:])
    private let stopSign = StopSign()

    /// - Parameter target: the port of the node.
    init(target: Int) throws {
        self.target = target
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in.loopback(port: 0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) | listen(listener, 512) | getsockname(listener, $0, &size)
            }
        }
        guard code == 0 else {
            close(listener)
            throw MeasurementError("no proxy: \(errno)")
        }
        port = Int(in_port_t(bigEndian: address.sin_port))
        Thread.detachNewThread { [self] in
            serve(listener)
        }
    }

    func stop() { stopSign.raise() }

    /// How many requests came for each method and path.
    var requests: [String: Int] { counts.withLock { $0 } }

    /// One end of a connection, by its descriptor.
    private struct End {
        let other: Int32
        /// Whether requests come from it.
        let isClient: Bool
        /// The end of what came before, which may be the beginning of a first line.
        var rest = ""
    }

    private func serve(_ listener: Int32) {
        var ends: [Int32: End] = [:]
        defer {
            for descriptor in ends.keys { close(descriptor) }
            close(listener)
        }
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while !stopSign.isRaised {
            var polled = ([listener] + ends.keys).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard poll(&polled, nfds_t(polled.count), 100) > 0 else { continue }
            for descriptor in polled.filter({ $0.revents != 0 }).map(\.fd) {
                if descriptor == listener {
                    accept(listener, into: &ends)
                } else if let end = ends[descriptor] {
                    let count = recv(descriptor, &buffer, buffer.count, 0)
                    if count > 0, send(end.other, buffer, count, Int32(MSG_NOSIGNAL)) == count {
                        if end.isClient { ends[descriptor]?.rest = self.count(in: end.rest, buffer[..<count]) }
                    } else {
                        for closed in [descriptor, end.other] {
                            ends[closed] = nil
                            close(closed)
                        }
                    }
                }
            }
        }
    }

    private func accept(_ listener: Int32, into ends: inout [Int32: End]) {
        let client = Glibc.accept(listener, nil, nil)
        guard client >= 0 else { return }
        let node = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in.loopback(port: target)
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(node, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0 else {
            close(client)
            close(node)
            return
        }
        ends[client] = End(other: node, isClient: true)
        ends[node] = End(other: client, isClient: false)
    }

    /// Counts the first lines in what came.
    ///
    /// - Returns: what may be the beginning of another.
    private func count(in rest: String, _ bytes: ArraySlice<UInt8>) -> String {
        let parts = (rest + String(decoding: bytes, as: UTF8.self)).components(separatedBy: "\r\n")
        for line in parts.dropLast() where line.hasSuffix(" HTTP/1.1") {
            let words = line.split(separator: " ").suffix(3)
            guard words.count == 3, let method = words.first, let path = words.dropFirst().first else { continue }
            // The body of the request before may end just before the method.
            let name = String(method.reversed().prefix { $0.isUppercase }.reversed()) + " " + path
            counts.withLock { $0[name, default: 0] += 1 }
        }
        return String(parts.last?.suffix(1_000) ?? "")
    }
}
