// `chaind backup` and `chaind restore` as processes, beside real nodes.

import Chain
import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3)))
struct BackupTests {
    /// What a command prints with `--json`.
    private struct Printed: Decodable {
        struct Since: Decodable {
            let height: Int
            let hash: String
        }

        let file: String
        let height: Int
        let headHash: String
        let since: Since?

        enum CodingKeys: String, CodingKey {
            case file, height, since
            case headHash = "head_hash"
        }
    }

    private static func printed(_ result: CommandResult) throws -> Printed {
        #expect(result.status == 0, "\(result.error)")
        return try JSONDecoder().decode(Printed.self, from: Data(result.output.utf8))
    }

    private static func backUp(_ node: NodeProcess, to path: String, since: String? = nil) async throws -> Printed {
        try await backUp(dataDirectory: node.dataDirectory, to: path, since: since)
    }

    private static func backUp(
        dataDirectory: String, to path: String, since: String? = nil
    ) async throws -> Printed {
        try Self.printed(
            try await runChaind(
                ["backup", "--to", path, "--data-dir", dataDirectory, "--json"] + (since.map { ["--since", $0] } ?? [])
            ))
    }

    private static func append(_ texts: [String], to node: NodeProcess) async throws {
        #expect(try await node.client.post("/blocks/batch", ["data": texts]).status == 200)
    }

    /// Makes a closed database whose blocks name their heights, or goes on with one.
    private static func append(_ heights: ClosedRange<Int>, name: String = "text", in folder: String) async throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let list = try await BlockList.open(path: folder + "/chain.db", now: { 1_800_000_000 })
        _ = try await list.append(AppendRequest(drafts: heights.map { Draft(data: "\(name) \($0)") }))
        try await list.close()
    }

    private static func names(_ folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    }

    // MARK: Beside a node

    @Test func aNodeUnderLoadIsBackedUp() async throws {
        try await withNode { node async throws in
            try await withTemporaryDirectory { directory in
                let load = Load()
                async let running: Void = load.run(on: node, seconds: 4)
                var backups: [Printed] = []
                for number in 0..<4 {
                    try await Task.sleep(for: .milliseconds(500))
                    let acknowledged = await load.ledger.acknowledged.map(\.height).max() ?? 0
                    let backup = try await Self.backUp(node, to: directory.path("backup-\(number)"))
                    #expect(backup.height >= acknowledged && acknowledged > 0)
                    backups.append(backup)
                }
                await running
                #expect(try Self.names(directory.path) == (0..<4).map { "backup-\($0)" })
                #expect(backups[0].height < backups[3].height)
                for backup in backups {
                    let block: BlockAnswer = try await node.client.get("/blocks/\(backup.height)").json()
                    #expect(block.hash == backup.headHash)
                    #expect(try await verifiedTexts(backup.file).count == backup.height)
                }
                #expect(node.error == "")
                #expect(try await node.end(SIGTERM) == 0)
                #expect(try Self.names(node.dataDirectory) == ["chain.db", "chain.db.lock"])
            }
        }
    }

    @Test func aNodeServesABackup() async throws {
        try await withTemporaryDirectory { directory in
            try await Self.append(1...300, in: directory.path("db"))
            let list = try await BlockList.open(path: directory.path("db/chain.db"), now: { 1_800_000_000 })
            for name in ["database_id", "members"] { try await list.setRecord(name, to: Array("[]".utf8)) }
            try await list.close()
            let backup = try await Self.backUp(dataDirectory: directory.path("db"), to: directory.path("backup"))
            #expect(backup.height == 300)
            // What tells one database from another is not in it.
            let records = "SELECT count(*) FROM properties WHERE name = 'record."
            #expect(try RawDatabase(path: backup.file).integers(records + "database_id'") == [0])
            #expect(try RawDatabase(path: backup.file).integers(records + "members'") == [1])
            try FileManager.default.createDirectory(
                atPath: directory.path("copy/db"), withIntermediateDirectories: true)
            try FileManager.default.copyItem(
                atPath: directory.path("backup"), toPath: directory.path("copy/db/chain.db"))
            let node = try NodeProcess(directory: directory.path("copy"))
            defer { node.stop() }
            try await node.start()
            #expect(try await node.client.get("/").json(StatusAnswer.self).headHash == backup.headHash)
            try await Self.append(["more"], to: node)
            #expect(try await node.client.get("/blocks/valid").json(ValidationAnswer.self).state == "valid")
        }
    }

    @Test func aKilledBackupLeavesNoFile() async throws {
        try await withTemporaryDirectory { directory in
            try FileManager.default.createDirectory(atPath: directory.path("db"), withIntermediateDirectories: true)
            let list = try await BlockList.open(path: directory.path("db/chain.db"), now: { 1_800_000_000 })
            for number in 0..<100 {
                let text = "\(number) " + String(repeating: "x", count: 900_000)
                _ = try await list.append(AppendRequest(drafts: [Draft(data: text)]))
            }
            try await list.close()
            let file = directory.path("backup")
            var killed = 0
            for milliseconds in stride(from: 10, to: 400, by: 30) {
                let child = try ChildProcess(
                    [Chaind.executable, "backup", "--to", file, "--data-dir", directory.path("db")],
                    environment: Chaind.environment(), directory: directory.path,
                    streams: .init(output: directory.path("output"), error: directory.path("error")))
                defer { child.stop() }
                try await Task.sleep(for: .milliseconds(milliseconds))
                child.signal(SIGKILL)
                _ = try await child.wait(timeoutSeconds: 30)
                if FileManager.default.fileExists(atPath: file) {
                    #expect(try await runChaind(["verify", file]).status == 0, "after \(milliseconds) ms")
                    try FileManager.default.removeItem(atPath: file)
                } else if FileManager.default.fileExists(atPath: file + ".partial") {
                    killed += 1
                }
            }
            #expect(killed > 0, "none was killed while it copied")
            // What a kill left is not in the way.
            #expect(try await Self.backUp(dataDirectory: directory.path("db"), to: file).height == 100)
            #expect(try Self.names(directory.path) == ["backup", "db", "error", "output"])
        }
    }

    @Test(.enabled(if: SmallDisk.isAvailable))
    func aFullDiskLeavesNoFile() async throws {
        try await withNodeOnSmallDisk(sizeBytes: 64 << 20) { node, disk in
            for number in 0..<20 {
                try await Self.append(["\(number) " + String(repeating: "x", count: 1_000_000)], to: node)
            }
            try disk.leave(freeBytes: 2 << 20)
            for arguments in [[], ["--json"]] {
                let file = disk.path + "/backup"
                let result = try await runChaind(
                    ["backup", "--to", file, "--data-dir", node.dataDirectory] + arguments)
                #expect(result.status == 1 && result.output == "", "\(result.output)")
                #expect(result.error.contains("is full") || result.error.contains("No space left"), "\(result.error)")
                #expect(try Self.names(disk.path) == ["db", "filler"])
            }
            try await Self.append(["small"], to: node)
            try disk.empty()
            #expect(try await Self.backUp(node, to: disk.path + "/backup").height == 21)
        }
    }

    @Test func aDamagedListIsNotBackedUp() async throws {
        try await withTemporaryDirectory { directory in
            try await Self.append(1...300, in: directory.path("db"))
            let full = try await Self.backUp(dataDirectory: directory.path("db"), to: directory.path("full"))
            try await Self.append(301...600, in: directory.path("db"))
            try RawDatabase(path: directory.path("db/chain.db")).damage("text 417")
            for since in [[], ["--since", full.file]] {
                let result = try await runChaind(
                    ["backup", "--to", directory.path("new"), "--data-dir", directory.path("db")] + since)
                #expect(result.status == 1 && result.output == "")
                #expect(result.error.hasSuffix("block 417 is damaged; nothing was backed up\n"), "\(result.error)")
            }
            #expect(try Self.names(directory.path) == ["db", "full"])
        }
    }

    @Test func whatIsNoDatabaseSaysSoByItsStatus() async throws {
        try await withTemporaryDirectory { directory in
            try FileManager.default.createDirectory(atPath: directory.path("db"), withIntermediateDirectories: true)
            func backUp(_ to: String = "new") async throws -> CommandResult {
                try await runChaind(["backup", "--to", to], directory: directory.path)
            }
            #expect(try await backUp().status == 2)
            try Data("text".utf8).write(to: URL(fileURLWithPath: directory.path("db/chain.db")))
            #expect(try await backUp().status == 2)
            #expect(
                try await runChaind(["restore", "db/chain.db", "--data-dir", "d"], directory: directory.path).status
                    == 2)
            try FileManager.default.removeItem(atPath: directory.path("db/chain.db"))
            try await Self.append(1...3, in: directory.path("db"))
            let inMissingFolder = try await backUp("missing/new")
            #expect(inMissingFolder.status == 1 && inMissingFolder.error.contains("No such file"))
            #expect(try await backUp().status == 0)
            let again = try await backUp()
            #expect(again.status == 1)
            #expect(again.error == "chaind: new: is there already, and is not written over; nothing was backed up\n")
            #expect(try Self.names(directory.path) == ["d", "db", "new"])
        }
    }

    // MARK: Incremental backups

    @Test func increments() async throws {
        try await withTemporaryDirectory { directory in
            let folder = directory.path("db")
            var earlier: String?
            var heads: [Printed] = []
            for (number, heights) in [1...300, 301...900, 901...901].enumerated() {
                try await Self.append(heights, in: folder)
                let file = directory.path("backup-\(number)")
                heads.append(try await Self.backUp(dataDirectory: folder, to: file, since: earlier))
                #expect(heads[number].since?.height == (number == 0 ? nil : heads[number - 1].height))
                #expect(heads[number].since?.hash == (number == 0 ? nil : heads[number - 1].headHash))
                earlier = file
            }
            // Nothing was appended since.
            heads.append(
                try await Self.backUp(dataDirectory: folder, to: directory.path("backup-3"), since: earlier))
            #expect(heads[3].headHash == heads[2].headHash)

            let files = heads.map(\.file)
            let restored = try Self.printed(
                try await runChaind(["restore"] + files + ["--data-dir", directory.path("restored"), "--json"]))
            #expect(restored.headHash == heads[3].headHash)
            #expect(try await verifiedTexts(restored.file) == (1...901).map { "text \($0)" })

            func refusal(_ files: [String]) async throws -> String {
                let result = try await runChaind(["restore"] + files + ["--data-dir", directory.path("refused")])
                #expect(result.status == 1 && result.output == "")
                #expect(try Self.names(directory.path("refused")) == ["chain.db.lock"])
                return result.error
            }
            #expect(try await refusal([files[0], files[2]]).contains("goes on after block 900 ("))
            #expect(try await refusal([files[0], files[1], files[1]]).contains("goes on after block 300 ("))
            #expect(try await refusal([files[0], files[0]]).contains("is no incremental backup"))
            // Cut off at any place, or with a byte changed.
            let good = try Data(contentsOf: URL(fileURLWithPath: files[1]))
            let broken = directory.path("broken")
            for size in [0, 3, 60, 117, 2_000, good.count - 5, good.count - 1] {
                try good.prefix(size).write(to: URL(fileURLWithPath: broken))
                #expect(try await refusal([files[0], broken]).hasPrefix("chaind: \(broken): "), "\(size)")
            }
            var changed = good
            let place = try #require(good.firstRange(of: Data("text 555".utf8)))
            changed[place.lowerBound] = UInt8(ascii: "T")
            try changed.write(to: URL(fileURLWithPath: broken))
            #expect(try await refusal([files[0], broken]).contains("block 555, hash: "))
            try (good + Data([0])).write(to: URL(fileURLWithPath: broken))
            #expect(try await refusal([files[0], broken]).contains("follows the end"))

            let existing = try await runChaind(["restore", files[0], "--data-dir", directory.path("restored")])
            #expect(existing.status == 1 && existing.error.contains("is there already"))
            #expect(try await verifiedTexts(restored.file).count == 901)
            let headless = try await runChaind(["restore", files[1], "--data-dir", directory.path("refused")])
            #expect(headless.status == 1 && headless.error.contains("of the blocks after 300: give the full one first"))
        }
    }

    @Test func anIncrementOfAListThatPartedNamesTheHeight() async throws {
        try await withTemporaryDirectory { directory in
            for folder in ["a", "b"] { try await Self.append(1...300, in: directory.path(folder)) }
            try await Self.append(301...700, in: directory.path("a"))
            try await Self.append(301...800, name: "other", in: directory.path("b"))
            let full = try await Self.backUp(dataDirectory: directory.path("a"), to: directory.path("full"))
            try await Self.append(701...900, in: directory.path("a"))
            let increment = try await Self.backUp(
                dataDirectory: directory.path("a"), to: directory.path("increment"), since: full.file)
            try await Self.append(1...300, in: directory.path("c"))
            try await Self.append(301...700, in: directory.path("c"))
            try await Self.append(701...705, in: directory.path("c"))
            try await Self.append(706...1_000, name: "other", in: directory.path("c"))
            for (folder, since, place) in [
                ("b", full.file, "at height 301: "), ("c", increment.file, "at height 706: "),
                ("b", increment.file, "at or below the height at which "),
            ] {
                let result = try await runChaind(
                    ["backup", "--to", directory.path("new"), "--since", since, "--data-dir", directory.path(folder)])
                #expect(result.status == 1 && result.output == "")
                #expect(result.error.contains("\(since): the list parts from it \(place)"), "\(result.error)")
            }
            #expect(try Self.names(directory.path) == ["a", "b", "c", "full", "increment"])
        }
    }

    // MARK: A group

    @Test func aRestoredNodeCatchesUp() async throws {
        try await withGroup(count: 2) { group in
            try await withTemporaryDirectory { directory in
                let (first, second) = (group.nodes[0], group.nodes[1])
                try await Self.append((1...50).map { "before \($0)" }, to: first)
                try await Self.append((1...50).map { "before, second \($0)" }, to: second)
                try await group.waitUntilEqual()
                let backup = try await Self.backUp(second, to: directory.path("backup"))
                try await Self.append((1...50).map { "after \($0)" }, to: second)
                try await group.waitUntilEqual()
                let increment = try await Self.backUp(second, to: directory.path("increment"), since: backup.file)
                try await Self.append((1...50).map { "later, second \($0)" }, to: second)
                try await group.waitUntilEqual()
                // Its disk is lost, and the other goes on.
                try await second.end(SIGKILL)
                try FileManager.default.removeItem(atPath: second.dataDirectory)
                try await Self.append((1...50).map { "away \($0)" }, to: first)

                for files in [[backup.file], [backup.file, increment.file]] {
                    let restored = try await runChaind(["restore"] + files + ["--data-dir", second.dataDirectory])
                    #expect(restored.status == 0, "\(restored.error)")
                    try await second.start()
                    try await group.waitUntilTogether()
                    try await group.waitUntilEqual()
                    try await Self.append(["restored \(files.count)"], to: second)
                    try await group.waitUntilEqual()
                    try await second.end(SIGKILL)
                    let texts = try await verifiedTexts(second.databasePath)
                    #expect(texts.count == 250 + files.count && Set(texts).count == texts.count)
                    try FileManager.default.removeItem(atPath: second.dataDirectory)
                }
                let status: StatusAnswer = try await first.client.get("/").json()
                #expect(status.height == 252)
                let orphans = try await first.client.get("/sync/orphans").text
                #expect(orphans.contains(#""orphans":[]"#), "it was taken for a fork: \(orphans)")
                #expect(try await first.client.get("/blocks/valid").json(ValidationAnswer.self).state == "valid")
            }
        }
    }
}
