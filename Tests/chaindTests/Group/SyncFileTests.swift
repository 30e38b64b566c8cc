// sync.json between several nodes: read, replaced whole, rebuilt, never waited for without end.

import Foundation
import TestSupport
import Testing

@testable import chaind

@Suite struct SyncFileTests {
    private func file(_ directory: TemporaryDirectory) -> SyncFile { SyncFile(path: directory.path("sync.json")) }

    private func addresses(in directory: TemporaryDirectory) throws -> [String]? {
        let data = try Data(contentsOf: URL(fileURLWithPath: directory.path("sync.json")))
        return try JSONDecoder().decode([String: [String]].self, from: data)["addresses"]
    }

    private func put(_ text: String, in directory: TemporaryDirectory) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: directory.path("sync.json")))
    }

    @Test func nodesFindEachOther() async throws {
        try await withTemporaryDirectory { directory in
            let first = try file(directory).update(up: [address(1)], down: [])
            #expect(first.found == [])
            #expect(first.fault == .missing)
            let second = try file(directory).update(up: [address(2)], down: [])
            #expect(second.found == [address(1)])
            #expect(second.fault == nil)
            #expect(try addresses(in: directory) == ["http://localhost:8001", "http://localhost:8002"])
            #expect(try directory.names() == ["sync.json", "sync.json.lock"])
        }
    }

    @Test func whoIsDownIsTakenOutAndStrangersStay() async throws {
        try await withTemporaryDirectory { directory in
            try put(
                #"{"addresses": ["http://localhost:8002", "http://localhost:8009", "HTTP://Localhost:8001/"]}"#,
                in: directory)
            let update = try file(directory).update(up: [address(0), address(1)], down: [address(2), address(3)])
            #expect(update.found == [address(1), address(2), address(9)])
            #expect(
                try addresses(in: directory)
                    == ["http://localhost:8000", "http://localhost:8001", "http://localhost:8009"])
        }
    }

    @Test func aFileThatIsRightIsLeftAlone() async throws {
        try await withTemporaryDirectory { directory in
            try put(#"{"addresses": ["http://localhost:8001"]}"#, in: directory)
            _ = try file(directory).update(up: [address(1)], down: [])
            let before = try FolderContent(directory.path)
            let update = try file(directory).update(up: [address(1)], down: [address(2)])
            #expect(update.found == [address(1)])
            #expect(try FolderContent(directory.path) == before)
            #expect(before.files["sync.json"] == Data(#"{"addresses": ["http://localhost:8001"]}"#.utf8))
        }
    }

    @Test(arguments: [
        ("", SyncFile.Fault.empty),
        ("{", .damaged("no JSON")),
        ("\0\0\0\0", .damaged("no JSON")),
        ("\u{1F600}", .damaged("no JSON")),
        ("[]", .damaged("no list of addresses")),
        ("null", .damaged("no JSON")),
        ("{}", .damaged("no list of addresses")),
        (#"{"addresses": null}"#, .damaged("no list of addresses")),
        (#"{"addresses": {"a": 1}}"#, .damaged("no list of addresses")),
        (#"{"addresses": [1, null, ["http://a"], "localhost", "http://a/b"]}"#, .entries(5)),
        (#"{"addresses": ["#, .damaged("no JSON")),
        (String(repeating: "[", count: 100_000), .damaged("no JSON")),
        (String(repeating: " ", count: 1 << 20) + "{}", .damaged("larger than 1 MiB")),
    ])
    func aFileThatCannotBeUsedIsReportedAndRebuilt(text: String, fault: SyncFile.Fault) async throws {
        try await withTemporaryDirectory { directory in
            try put(text, in: directory)
            let update = try file(directory).update(up: [address(1)], down: [])
            #expect(update.found == [])
            #expect(update.fault == fault)
            #expect(try addresses(in: directory) == ["http://localhost:8001"])
            #expect(try file(directory).update(up: [address(1)], down: []).fault == nil)
        }
    }

    @Test func entriesThatAreNoAddressesAreSkippedAndTheOthersTaken() async throws {
        try await withTemporaryDirectory { directory in
            try put(
                #"{"addresses": ["http://localhost:8002", "http://localhost:8003/x", 7], "more": 1}"#, in: directory)
            let update = try file(directory).update(up: [address(2)], down: [])
            #expect(update.found == [address(2)])
            #expect(update.fault == .entries(2))
            #expect(try addresses(in: directory) == ["http://localhost:8002"])
        }
    }

    @Test func atMost1024AddressesAreTaken() async throws {
        try await withTemporaryDirectory { directory in
            let many = (0..<1_100).map { "\"http://a\($0)\"" }.joined(separator: ",")
            try put("{\"addresses\": [\(many)]}", in: directory)
            let update = try file(directory).update(up: [], down: [])
            #expect(update.found.count == 1_024)
            #expect(update.fault == .entries(76))
        }
    }

    @Test func aChangeIsSeenAndOurOwnIsNone() async throws {
        try await withTemporaryDirectory { directory in
            #expect(!file(directory).hasChanged(since: nil))
            let first = try file(directory).update(up: [address(1)], down: []).stamp
            #expect(file(directory).hasChanged(since: nil))
            #expect(!file(directory).hasChanged(since: first))
            let second = try file(directory).update(up: [address(2)], down: []).stamp
            #expect(file(directory).hasChanged(since: first))
            #expect(!file(directory).hasChanged(since: second))
            try FileManager.default.removeItem(atPath: directory.path("sync.json"))
            #expect(file(directory).hasChanged(since: second))
        }
    }

    @Test func aFileOfTheSameSizeIsAnotherByItsTimeOrItsPlace() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.path("sync.json")
            let first = try file(directory).update(up: [address(1)], down: []).stamp
            let text = try Data(contentsOf: URL(fileURLWithPath: path))
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSince1970: 1)], ofItemAtPath: path)
            #expect(file(directory).hasChanged(since: first))
            let second = try file(directory).update(up: [address(1)], down: []).stamp
            #expect(!file(directory).hasChanged(since: second))
            try text.write(to: URL(fileURLWithPath: path), options: .atomic)
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSince1970: 1)], ofItemAtPath: path)
            #expect(file(directory).hasChanged(since: second))
        }
    }

    @Test func nodesThatWriteAtOnceLoseNothingAndReadersSeeItWhole() async throws {
        try await withTemporaryDirectory { directory in
            let file = file(directory)
            _ = try file.update(up: [address(0)], down: [])
            let failures = await withTaskGroup(of: String?.self) { group in
                for writer in 1...8 {
                    group.addTask {
                        await onThread { () -> String? in
                            do {
                                for turn in 0..<10 { _ = try file.update(up: [address(100 * writer + turn)], down: []) }
                                return nil
                            } catch {
                                return "\(error)"
                            }
                        }
                    }
                }
                group.addTask { await onThread { readUntilWhole(file.path, count: 81) } }
                return await group.reduce(into: []) { $0 += [$1].compactMap(\.self) }
            }
            #expect(failures == [])
            #expect(try addresses(in: directory)?.count == 81)
            #expect(try directory.names() == ["sync.json", "sync.json.lock"])
        }
    }

    @Test func anotherProcessThatHasTheLockIsWaitedForButNotForEver() async throws {
        try await withTemporaryDirectory { directory in
            var file = file(directory)
            let script = """
                exec 9>sync.json.lock && flock 9 && touch locked &&
                until test -e go; do sleep 0.01; done &&
                printf '{"addresses": ["http://localhost:8007"]}' > sync.json
                """
            let child = try ChildProcess(
                ["sh", "-c", script], environment: ["PATH": "/usr/bin:/bin"], directory: directory.path,
                streams: .init(output: directory.path("output"), error: directory.path("error")))
            defer { child.stop() }
            for _ in 0..<500 where try !directory.names().contains("locked") {
                try await Task.sleep(for: .milliseconds(10))
            }
            file.lockSecondsMax = 0.05
            let error = #expect(throws: SyncFileError.self) { try file.update(up: [address(1)], down: []) }
            #expect(error?.code == EWOULDBLOCK)
            #expect(error?.description.contains("locking") == true)
            file.lockSecondsMax = 10
            let waiting = file
            async let update = onThread { Result { try waiting.update(up: [address(1)], down: []) } }
            try await Task.sleep(for: .milliseconds(50))
            try Data().write(to: URL(fileURLWithPath: directory.path("go")))
            #expect(try await update.get().found == [address(7)])
            #expect(try await child.wait(timeoutSeconds: 10) == 0)
        }
    }

    @Test func aLinkIsFollowedSoThatAllLockTheSameFile() async throws {
        try await withTemporaryDirectory { directory in
            _ = try file(directory).update(up: [address(1)], down: [])
            try FileManager.default.createDirectory(atPath: directory.path("other"), withIntermediateDirectories: false)
            let link = directory.path("other/sync.json")
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "../sync.json")
            let linked = SyncFile(path: link)
            #expect(try linked.update(up: [address(2)], down: []).found == [address(1)])
            #expect(try addresses(in: directory)?.count == 2)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path("other")) == ["sync.json"])
        }
    }

    @Test func whatIsNoFileIsLeftAlone() async throws {
        try await withTemporaryDirectory { directory in
            try #require(mkfifo(directory.path("sync.json"), 0o600) == 0)
            let error = #expect(throws: SyncFileError.self) { try file(directory).update(up: [address(1)], down: []) }
            #expect(error?.description.hasSuffix("sync.json: not a regular file") == true)
            #expect(try directory.names() == ["sync.json", "sync.json.lock"])
        }
    }

    @Test func aFolderThatIsMissingIsAnError() async throws {
        try await withTemporaryDirectory { directory in
            let file = SyncFile(path: directory.path("missing/sync.json"))
            let error = #expect(throws: SyncFileError.self) { try file.update(up: [address(1)], down: []) }
            #expect(error?.code == ENOENT)
            #expect(!file.hasChanged(since: nil))
        }
    }
}

/// Reads the file without its lock until it has so many addresses.
///
/// - Returns: what went wrong.
@Sendable private func readUntilWhole(_ path: String, count: Int) -> String? {
    do {
        for _ in 0..<1_000_000 {
            let data = try Data(contentsOf: URL(fileURLWithPath: path))
            let found = try JSONDecoder().decode([String: [String]].self, from: data)["addresses"] ?? []
            if found.isEmpty { return "empty" }
            if found.count == count { return nil }
        }
        return "addresses are missing"
    } catch {
        return "\(error)"
    }
}

/// Runs what blocks on a thread of its own.
private func onThread<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
        Thread { continuation.resume(returning: body()) }.start()
    }
}
