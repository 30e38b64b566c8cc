// How much memory a real node takes while it does everything at once.

import AsyncHTTPClient
import Foundation
import NIOCore

/// A node as a process, and its peak of `RssAnon`: what it allocated, without the pages of files.
enum NodeMemory {
    /// The node did not do what it was asked.
    struct Failure: Error {
        let reason: String
    }

    /// How often each client asks, so that the measurement ends.
    private static let rounds = 5

    /// Serves `folder/chain.db` while one client streams the list, one validates it and eight append.
    static func peakBytes(chaind: String, folder: String) async throws -> Int {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: chaind)
        let port = 20_000 + Int(getpid()) % 10_000
        process.arguments = ["serve", "--data-dir", folder, "--port", "\(port)"]
        try process.run()
        defer {
            process.terminate()
            process.waitUntilExit()
        }
        let url = "http://127.0.0.1:\(port)"
        try await waitForAnswer(url)
        return try await withThrowingTaskGroup(of: Int.self) { group in
            let pid = process.processIdentifier
            group.addTask {
                var peak = 0
                while !Task.isCancelled {
                    peak = max(peak, try anonymousBytes(of: pid))
                    do { try await Task.sleep(for: .milliseconds(20)) } catch { return peak }
                }
                return peak
            }
            group.addTask { try await repeated { try await readWhole(url + "/blocks/") } }
            group.addTask { try await repeated { try await readWhole(url + "/blocks/valid") } }
            for client in 0..<8 {
                group.addTask {
                    for number in 0..<(200 * rounds) { try await append("\(client) \(number)", to: url) }
                    return 0
                }
            }
            // All but the one that samples.
            for _ in 0..<10 { _ = try await group.next() }
            group.cancelAll()
            return try await group.next() ?? 0
        }
    }

    private static func repeated(_ work: () async throws -> Void) async throws -> Int {
        for _ in 0..<rounds { try await work() }
        return 0
    }

    private static func waitForAnswer(_ url: String) async throws {
        for _ in 0..<200 {
            do {
                return try await readWhole(url + "/")
            } catch {
                try await Task.sleep(for: .milliseconds(50))
            }
        }
        throw Failure(reason: "the node does not answer")
    }

    private static func readWhole(_ url: String) async throws {
        let response = try await HTTPClient.shared.execute(HTTPClientRequest(url: url), timeout: .minutes(10))
        var bytes = 0
        for try await part in response.body { bytes += part.readableBytes }
        guard response.status == .ok, bytes > 0 else { throw Failure(reason: "\(url): \(response.status)") }
    }

    private static func append(_ text: String, to url: String) async throws {
        var request = HTTPClientRequest(url: url + "/blocks/")
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        request.body = .bytes(ByteBuffer(string: "{\"data\": \"\(text)\"}"))
        let response = try await HTTPClient.shared.execute(request, timeout: .minutes(1))
        _ = try await response.body.collect(upTo: 1 << 20)
        guard response.status == .ok else { throw Failure(reason: "append: \(response.status)") }
    }

    private static func anonymousBytes(of pid: Int32) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("RssAnon:") }),
            let kilobytes = Int(line.filter(\.isNumber))
        else { throw Failure(reason: "no RssAnon in /proc/\(pid)/status") }
        return kilobytes * 1024
    }
}
