// Programs that chaind is compared with, where they are installed.

import Foundation

enum Tool {
    /// Where Debian puts what we look for; PostgreSQL's programs are not in the path.
    private static let folders =
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        + ["/usr/sbin", "/usr/lib/postgresql/15/bin"]

    /// The path of a program; `nil` where it is not installed.
    static func path(_ name: String) -> String? {
        folders.map { $0 + "/" + name }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    /// Runs a program to its end.
    ///
    /// - Parameter user: runs it as this user where we are root.
    /// - Returns: what it printed.
    @discardableResult
    static func run(_ program: String, _ arguments: [String], user: String? = nil, input: Data = Data()) throws
        -> String
    {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = asUser(user) + [program] + arguments
        let (sent, received) = (Pipe(), Pipe())
        process.standardInput = sent
        process.standardOutput = received
        process.standardError = FileHandle.nullDevice
        try process.runUnblocked()
        // What is printed before all is read is little.
        try sent.fileHandleForWriting.write(contentsOf: input)
        try sent.fileHandleForWriting.close()
        let output = try received.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw MeasurementError(
                "\(program) \(arguments.joined(separator: " ")): status \(process.terminationStatus)")
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// What goes before a command that is run as a user where we are root.
    static func asUser(_ user: String?) -> [String] {
        guard let user, getuid() == 0 else { return [] }
        return ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"]
    }
}

extension Process {
    /// Starts it with no signal blocked. It would inherit what a thread of the concurrency pool blocks, which is nearly
    /// all, and some servers could not be told to end.
    func runUnblocked() throws {
        var none = sigset_t()
        var before = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try run()
    }
}
