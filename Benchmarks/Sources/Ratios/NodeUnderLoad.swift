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
    /// How often the text that was to be counted stood in the body.
    var count = 0

    /// Whether a body of unknown length ended as it should: with the chunk of no bytes.
    var isWhole: Bool { isOK && end.hasSuffix("\r\n0\r\n\r\n") }
}

/// Runs `chaind serve` on a folder until `stop()`.
final class NodeUnderLoad: Sendable {
    private let process: Process
    private let port: Int

    /// - Parameter syncFile: the file that the nodes of a group share; a node alone has one of its own.
    init(chaind: String, dataDirectory: String, syncFile: String? = nil, arguments: [String] = []) async throws {
        port = Int.random(in: 20_000..<32_000)
        process = Process()
        process.executableURL = URL(fileURLWithPath: chaind)
        process.arguments =
            [
                "serve", "--port", "\(port)", "--data-dir", dataDirectory, "--sync-file",
                syncFile ?? dataDirectory + "/sync.json",
            ] + arguments
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

    /// Where the node is found.
    var url: String { "http://localhost:\(port)" }

    /// Processor time that the process has taken, of which a second has a hundred ticks on Linux.
    func processorSeconds() throws -> Double {
        let line = try String(contentsOfFile: "/proc/\(process.processIdentifier)/stat", encoding: .utf8)
        // The name in parentheses may have spaces; the times are the 12th and the 13th field after it.
        let fields = line.split(separator: ")").last.map { $0.split(separator: " ") } ?? []
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
            throw MeasurementError("no times in the status of the process")
        }
        return (user + system) / 100
    }

    /// The height of its list.
    func height() async throws -> Int {
        let answer = try await exchange("GET", "/")
        let digits = answer.end.components(separatedBy: "\"height\":").last?.prefix { $0.isNumber } ?? ""
        guard let height = Int(digits) else { throw MeasurementError("no height: \(answer.end)") }
        return height
    }

    /// Waits until the list has a height, looking every few milliseconds.
    func waitForHeight(_ height: Int, seconds: Double) async throws {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while try await self.height() < height {
            guard ContinuousClock.now < deadline else { throw MeasurementError("no height \(height) in \(seconds) s") }
            try await Task.sleep(for: .milliseconds(5))
        }
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
    ///
    /// - Parameter text: is counted in the answer.
    func exchange(
        _ method: String, _ path: String, body: String = "", counting text: String = ""
    ) async throws -> Answer {
        try await withCheckedThrowingContinuation { continuation in
            // Sockets block, so each request has a thread for its time.
            Thread.detachNewThread { [port] in
                continuation.resume(with: Result { try NodeUnderLoad.exchange(port, method, path, body, text) })
            }
        }
    }

    private static func exchange(
        _ port: Int, _ method: String, _ path: String, _ body: String, _ text: String
    ) throws -> Answer {
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
            if !text.isEmpty {
                // What may be the beginning of the text at the end of what came before is looked at again.
                let seen = String(decoding: end.suffix(text.utf8.count - 1) + buffer[..<count], as: UTF8.self)
                answer.count += seen.components(separatedBy: text).count - 1
            }
            end = (end + buffer[..<count]).suffix(1_000)
        }
        answer.end = String(decoding: end, as: UTF8.self)
        return answer
    }
}
