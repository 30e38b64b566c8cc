// A node as a process, and requests to it over plain sockets, so that the load costs little beside the node.

import Foundation
import Synchronization

/// Tells tasks that the measurement is over.
final class StopSign: Sendable {
    private let raised = Mutex(false)

    var isRaised: Bool { raised.withLock { $0 } }

    func raise() { raised.withLock { $0 = true } }
}

/// What a request was answered with. Of a long body, only the end is kept.
struct Answer: Sendable {
    var isOK = false
    var sizeBytes = 0
    var end = ""

    /// Whether a body of unknown length ended as it should: with the chunk of no bytes.
    var isWhole: Bool { isOK && end.hasSuffix("\r\n0\r\n\r\n") }
}

/// Runs `chaind serve` on a folder until `stop()`.
final class NodeUnderLoad: Sendable {
    private let process: Process
    private let port: Int

    init(chaind: String, dataDirectory: String) async throws {
        port = Int.random(in: 20_000..<32_000)
        process = Process()
        process.executableURL = URL(fileURLWithPath: chaind)
        process.arguments = ["serve", "--port", "\(port)", "--data-dir", dataDirectory]
        try process.run()
        for _ in 0..<1_000 {
            do {
                if try await exchange("GET", "/").isOK { return }
            } catch is MeasurementError {
                // Not listening yet.
            }
            try await Task.sleep(for: .milliseconds(10))
        }
        stop()
        throw MeasurementError("\(chaind) does not answer")
    }

    func stop() {
        process.terminate()
        process.waitUntilExit()
    }

    /// Memory that belongs to the process alone; mapped pages of files do not count.
    func anonymousMegabytes() throws -> Double {
        let status = try String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") }
        guard let kilobytes = line?.split(separator: " ").dropFirst().first.flatMap({ Double($0) }) else {
            throw MeasurementError("no RssAnon in the status of the process")
        }
        return kilobytes / 1_000 * 1.024
    }

    /// Sends a request on a connection of its own and reads the answer to its end.
    func exchange(_ method: String, _ path: String, body: String = "") async throws -> Answer {
        try await withCheckedThrowingContinuation { continuation in
            // Sockets block, so each request has a thread for its time.
            Thread.detachNewThread { [port] in
                continuation.resume(with: Result { try NodeUnderLoad.exchange(port, method, path, body) })
            }
        }
    }

    private static func exchange(_ port: Int, _ method: String, _ path: String, _ body: String) throws -> Answer {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw MeasurementError("socket: \(errno)") }
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0 else { throw MeasurementError("connecting: \(errno)") }
        let request = Array(
            """
            \(method) \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
            Content-Length: \(body.utf8.count)\r\n\r\n\(body)
            """.utf8)
        guard send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
            throw MeasurementError("sending: \(errno)")
        }
        var answer = Answer()
        var end: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count >= 0 else { throw MeasurementError("receiving: \(errno)") }
            if count == 0 { break }
            if answer.sizeBytes == 0 { answer.isOK = buffer.starts(with: Array("HTTP/1.1 200 ".utf8)) }
            answer.sizeBytes += count
            end = (end + buffer[..<count]).suffix(1_000)
        }
        answer.end = String(decoding: end, as: UTF8.self)
        return answer
    }
}
