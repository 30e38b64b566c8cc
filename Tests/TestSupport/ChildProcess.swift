// One process that a test started: its signals, its end, and what it wrote.

import Foundation
import Synchronization

/// A failure of what the tests stand on, with what a reader needs to find the cause.
public struct TestSupportError: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}

/// A child process. It is reaped by whoever waits for it; `stop()` makes sure that it is gone.
public final class ChildProcess: Sendable {
    /// The files that stand for the child's standard streams.
    public struct Streams: Sendable {
        var input = "/dev/null"
        var output: String
        var error: String

        public init(input: String = "/dev/null", output: String, error: String) {
            self.input = input
            self.output = output
            self.error = error
        }
    }

    /// The process id.
    public let processID: pid_t
    /// The exit status as a shell gives it (128 + the signal's number), once the child is reaped. The lock keeps a
    /// signal from reaching another process that was given the id of a reaped child.
    private let exitStatus = Mutex<Int32?>(nil)

    /// Starts a command in a folder, with exactly the given environment.
    public init(_ command: [String], environment: [String: String], directory: String, streams: Streams) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, streams.input, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, streams.output, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        posix_spawn_file_actions_addopen(&actions, 2, streams.error, O_WRONLY | O_CREAT | O_APPEND, 0o644)

        // Signals as a shell would leave them, whatever the test runner ignores or blocks.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        for signal in [SIGINT, SIGTERM, SIGPIPE, SIGHUP] { sigaddset(&signals, signal) }
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))

        // `env` goes to the folder and then becomes the executable, process id and all.
        let launcher = "/usr/bin/env"
        var arguments = ([launcher, "-C", directory] + command).map { strdup($0) } + [nil]
        var variables = environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { for string in arguments + variables { free(string) } }
        var processID: pid_t = 0
        let code = posix_spawn(&processID, launcher, &actions, &attributes, &arguments, &variables)
        guard code == 0 else {
            throw TestSupportError("starting \(command): \(String(cString: strerror(code)))")
        }
        self.processID = processID
    }

    /// Sends a signal, unless the child is reaped already.
    public func signal(_ signal: Int32) {
        exitStatus.withLock { status in
            if status == nil { kill(processID, signal) }
        }
    }

    /// The exit status if the child has ended: 128 + the signal's number where a signal ended it, as in a shell.
    public func statusIfEnded() -> Int32? {
        exitStatus.withLock { status in
            if let status { return status }
            var word: Int32 = 0
            guard waitpid(processID, &word, WNOHANG) == processID else { return nil }
            status = word & 0x7f == 0 ? (word >> 8) & 0xff : 128 + (word & 0x7f)
            return status
        }
    }

    /// Waits for the end of the child.
    ///
    /// - Throws: `TestSupportError` if it still runs after the time-out.
    public func wait(timeoutSeconds: Double) async throws -> Int32 {
        let deadline = ContinuousClock.now + .seconds(timeoutSeconds)
        while true {
            if let status = statusIfEnded() { return status }
            guard ContinuousClock.now < deadline else {
                throw TestSupportError("process \(processID) still runs after \(timeoutSeconds) s")
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// Kills the child, if it still runs, and reaps it. It does not wait for tasks, so it works in a cancelled one.
    public func stop() {
        signal(SIGKILL)
        for _ in 0..<2_000 where statusIfEnded() == nil { usleep(1_000) }
    }
}

/// The end of a file as text, at most a megabyte of it: enough to read why a process failed. Empty without a file.
func endOfFile(_ path: String) -> String {
    guard let file = FileHandle(forReadingAtPath: path) else { return "" }
    do {
        let size = try file.seekToEnd()
        try file.seek(toOffset: size > 1_000_000 ? size - 1_000_000 : 0)
        let bytes = try file.read(upToCount: 1_000_000) ?? Data()
        try file.close()
        return String(decoding: bytes, as: UTF8.self)
    } catch {
        return "(\(path): \(error))"
    }
}
