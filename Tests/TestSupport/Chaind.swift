// The program as the tests build it: where it is, and how to run its commands, and others, to their end.

import Foundation

/// The built program.
public enum Chaind {
    /// The executable, which the package manager puts beside the test bundle, whatever the scratch path.
    public static let executable = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appendingPathComponent("chaind").path

    /// Our environment without what would set the program, and with what the test asks for. A node says only what is wrong.
    public static func environment(_ additions: [String: String] = [:]) -> [String: String] {
        var environment = ProcessInfo.processInfo.environment
        for name in environment.keys where name.hasPrefix("CHAIND_") || name == "SERVER_ID" || name == "UVICORN_PORT" {
            environment[name] = nil
        }
        environment["CHAIND_LOG_LEVEL"] = "warning"
        return environment.merging(additions) { $1 }
    }
}

/// What a command left behind.
public struct CommandResult: Sendable {
    /// The exit status, 128 + the signal's number where a signal ended it.
    public let status: Int32
    /// What it wrote to standard output, the last megabyte.
    public let output: String
    /// What it wrote to standard error, the last megabyte.
    public let error: String
}

/// Runs `chaind` with arguments until it ends, in a folder of its own unless one is given.
///
/// - Throws: `TestSupportError` if it still runs after the time-out; it is killed then.
public func runChaind(
    _ arguments: [String], environment: [String: String] = [:], standardInput: [UInt8] = [],
    directory: String? = nil, timeoutSeconds: Double = 60
) async throws -> CommandResult {
    try await runCommand(
        [Chaind.executable] + arguments, environment: Chaind.environment(environment), standardInput: standardInput,
        directory: directory, timeoutSeconds: timeoutSeconds)
}

/// Runs a command, which is looked for in `PATH`, until it ends; otherwise as `runChaind`.
public func runCommand(
    _ command: [String], environment: [String: String] = ProcessInfo.processInfo.environment,
    standardInput: [UInt8] = [], directory: String? = nil, timeoutSeconds: Double = 60
) async throws -> CommandResult {
    try await withTemporaryDirectory { scratch in
        let streams = ChildProcess.Streams(
            input: scratch.path("input"), output: scratch.path("output"), error: scratch.path("error"))
        try Data(standardInput).write(to: URL(fileURLWithPath: streams.input))
        let child = try ChildProcess(
            command, environment: environment, directory: directory ?? scratch.path, streams: streams)
        defer { child.stop() }
        let status = try await child.wait(timeoutSeconds: timeoutSeconds)
        return CommandResult(status: status, output: endOfFile(streams.output), error: endOfFile(streams.error))
    }
}
