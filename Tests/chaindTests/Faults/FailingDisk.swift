// Makes the disk of a node fail on request, without any right that a test may not have. See failing_disk.c.

import Foundation
import TestSupport

/// What the node's environment has to be, and the switches of its faults.
struct FailingDisk {
    /// What a call fails with.
    enum Fault: String {
        /// A sync answers that the device failed.
        case sync
        /// A write answers that the device failed.
        case write
        /// A write answers that there is no room.
        case full
        /// A write takes half of the bytes.
        case short
    }

    /// A file of the database.
    enum File: String {
        case wal, db
    }

    /// Starts a node on this disk.
    let environment: [String: String]
    private let controls: String

    /// Compiles the library into a folder.
    init(in directory: TemporaryDirectory) async throws {
        let library = try await compileLibrary("failing_disk.c", into: directory.path)
        controls = directory.path("faults")
        try FileManager.default.createDirectory(atPath: controls, withIntermediateDirectories: true)
        environment = ["LD_PRELOAD": library, "FAILING_DISK": controls]
    }

    /// Makes the next such call fail.
    func failOnce(_ file: File, _ fault: Fault) throws {
        try Data().write(to: URL(fileURLWithPath: "\(controls)/\(file)-\(fault)"))
    }

    /// Whether no fault waits any more for the call that it is meant for.
    var isSpent: Bool {
        get throws { try FileManager.default.contentsOfDirectory(atPath: controls).isEmpty }
    }

    /// Makes every such call fail, until `mend`.
    func fail(_ file: File, _ fault: Fault) throws {
        try Data().write(to: URL(fileURLWithPath: "\(controls)/\(file)-\(fault)-always"))
    }

    /// Ends what `fail` began.
    func mend(_ file: File, _ fault: Fault) throws {
        try FileManager.default.removeItem(atPath: "\(controls)/\(file)-\(fault)-always")
    }
}

/// Compiles one of the C files beside this one as a library to be loaded into a node, and gives its path.
func compileLibrary(_ name: String, into directory: String) async throws -> String {
    let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(name).path
    let library = "\(directory)/\(name).so"
    // The Swift toolchain brings clang.
    let result = try await runCommand(["clang", "-shared", "-fPIC", "-O1", "-o", library, source])
    guard result.status == 0 else { throw TestSupportError("compiling \(source): \(result.error)") }
    return library
}

/// Runs a body with a started node whose disk fails on request.
func withNodeOnFailingDisk(_ body: (NodeProcess, FailingDisk) async throws -> Void) async throws {
    try await withTemporaryDirectory { directory in
        let disk = try await FailingDisk(in: directory)
        let node = try NodeProcess(directory: directory.path, environment: disk.environment)
        defer { node.stop() }
        try await node.start()
        try await body(node, disk)
    }
}
