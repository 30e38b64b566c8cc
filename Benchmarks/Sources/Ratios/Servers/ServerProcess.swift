// A server as a process: started, waited for, watched and stopped in one way, whatever it is.

import Foundation

/// Runs until `stop()`.
final class ServerProcess: Sendable {
    let port: Int
    private let process: Process

    /// Starts a program and waits until it takes connections.
    ///
    /// - Parameters:
    ///   - user: runs it as this user where we are root; some servers refuse to be root.
    ///   - log: takes what it prints.
    init(_ program: String, _ arguments: [String], port: Int, user: String? = nil, log: String) async throws {
        self.port = port
        process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = Tool.asUser(user) + [program] + arguments
        try Data().write(to: URL(fileURLWithPath: log))
        let output = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        process.standardOutput = output
        process.standardError = output
        process.standardInput = FileHandle.nullDevice
        try process.runUnblocked()
        for _ in 0..<15_000 where process.isRunning {
            do {
                _ = try HTTPConnection(port: port)
                return
            } catch is MeasurementError {
                try? await Task.sleep(for: .milliseconds(1))
            }
        }
        stop()
        let said = String(decoding: try Data(contentsOf: URL(fileURLWithPath: log)).suffix(1_000), as: UTF8.self)
        throw MeasurementError("\(program) does not serve: \(said)")
    }

    /// Lets it end, for a while.
    func stop() {
        process.terminate()
        for _ in 0..<2_000 where process.isRunning { usleep(10_000) }
        kill()
    }

    /// Ends it at once.
    func kill() {
        Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// A port that nobody has now.
    static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in.loopback(port: 0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, size) | getsockname(descriptor, $0, &size)
            }
        }
        guard code == 0 else { throw MeasurementError("no free port: \(errno)") }
        return Int(in_port_t(bigEndian: address.sin_port))
    }

    // MARK: What it costs

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

    /// Memory that belongs to the process alone; mapped pages of files do not count.
    func anonymousMegabytes() throws -> Double {
        let status = try String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") }
        guard let kilobytes = line?.split(separator: " ").dropFirst().first.flatMap({ Double($0) }) else {
            throw MeasurementError("no RssAnon in the status of the process")
        }
        return kilobytes / 1_000 * 1.024
    }
}
