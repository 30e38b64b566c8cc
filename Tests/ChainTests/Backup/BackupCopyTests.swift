// Copies of a database that goes on changing between their steps, and of one that is damaged.

import Foundation
import TestSupport
import Testing

@testable import Chain

struct BackupCopyTests {
    /// Copies run by run, with what happens to the list between them.
    ///
    /// - Returns: how often it waited.
    @discardableResult
    private func copy(
        _ list: ForkedList, to target: String, between: (_ step: Int) async throws -> Void
    ) async throws -> Int {
        let copy = BackupCopy(source: list.path, target: target, pieceSizeBytesMax: 1)
        try await copy.begin()
        var (steps, waits) = (0, 0)
        while true {
            let step = try await copy.step(leavingOut: [])
            if case .done = step { break }
            if case .waiting = step { waits += 1 }
            steps += 1
            guard steps < 10_000 else { throw TestSupportError("the copy does not end") }
            try await between(steps)
        }
        #expect(steps > 1, "it was copied at once")
        try await copy.end()
        return waits
    }

    /// Expects that a copy is a list of its own, with the blocks of the other.
    private func expectCopy(_ path: String, of list: ForkedList) async throws {
        let report = try await BlockList.verify(path: path) { _ in }
        #expect(report.isValid, "\(report)")
        #expect(try await BlockList.structureFault(path: path) == nil)
        let copy = ForkedList(path: path)
        try await copy.open()
        #expect(try copy.list.status.headHash == list.list.status.headHash)
        #expect(try await copy.texts() == list.texts())
        try await copy.tidyAll()
        try await copy.list.validateInBackground()
        for step in 0..<3 { try await copy.append(try copy.list.status.height + 100, name: "further \(step)") }
        #expect(try await copy.list.validate().isValid)
        try await copy.close()
    }

    @Test func smallRunsThatAreMergedMeanwhileAreThereOnce() async throws {
        try await withLists(1) { lists in
            for number in 0..<40 {
                _ = try await lists[0].list.append(AppendRequest(drafts: [Draft(data: "small \(number)")]))
            }
            let target = lists[0].path + ".copy"
            try await copy(lists[0], to: target) { step in
                if step == 20 { try await lists[0].append(400) }
            }
            try await expectCopy(target, of: lists[0])
        }
    }

    @Test func blocksThatAreReplacedMeanwhileAreNotInIt() async throws {
        try await withLists(2) { lists in
            try await lists[0].append(600)
            _ = try await lists[1].pull(from: lists[0])
            try await lists[0].append(2_000, name: "replaced")
            try await lists[1].append(3_000, name: "better")
            let target = lists[0].path + ".copy"
            let waits = try await copy(lists[0], to: target) { step in
                if step == 5 { #expect(try await lists[0].pull(from: lists[1]) != nil) }
                // Until it is gone through, what was replaced stands where the copy has the list.
                if step == 100 { try await lists[0].tidyAll() }
            }
            #expect(waits > 0)
            try await expectCopy(target, of: lists[0])
        }
    }

    /// Appends, forks, adoptions of what was replaced before, and merges, at random between the steps.
    @Test(arguments: 0..<12) func whateverHappensMeanwhileItIsTheList(seed: Int) async throws {
        try await withLists(3) { lists in
            var random = SeededGenerator(seed: UInt64(seed))
            try await lists[0].append(Int.random(in: 300...900, using: &random))
            for other in 1...2 { _ = try await lists[other].pull(from: lists[0]) }
            let target = lists[0].path + ".copy"
            try await copy(lists[0], to: target) { step in
                guard step < 80 else { return try await lists[0].tidyAll() }
                let list = lists[Int.random(in: 0..<3, using: &random)]
                switch Int.random(in: 0..<6, using: &random) {
                case 0: try await lists[0].pullIfBetter(from: lists[Int.random(in: 1...2, using: &random)])
                case 1: try await list.append(try list.list.status.height + Int.random(in: 1...90, using: &random))
                case 2: try await lists[0].tidyAll()
                case 3: try await list.pullIfBetter(from: lists[0])
                default:
                    for number in 0..<Int.random(in: 0..<20, using: &random) {
                        _ = try await list.list.append(AppendRequest(drafts: [Draft(data: "\(step) \(number)")]))
                    }
                }
            }
            try await expectCopy(target, of: lists[0])
        }
    }

    @Test func whatStandsBesideTheListComesAlong() async throws {
        try await ListOfAllKinds.with { kinds in
            let target = kinds.list.path + ".copy"
            try await kinds.list.open()
            // Replaced, and not gone through.
            try await kinds.list.append(720, name: "replaced")
            try await kinds.member.append(760, name: "better")
            _ = try await kinds.list.pull(from: kinds.member)
            let opened = try kinds.list.list
            let head = try await BlockList.backUp(path: kinds.list.path, to: target, leavingOut: ["large"]) { _ in }
            #expect(head.hash == opened.status.headHash && head.height == opened.status.height)
            let copy = ForkedList(path: target)
            try await copy.open()
            try await copy.tidyAll()
            try await kinds.list.tidyAll()
            let orphans = try await opened.orphans(before: nil, limit: 100)
            #expect(try await copy.list.orphans(before: nil, limit: 100).map(\.hash) == orphans.map(\.hash))
            #expect(try await copy.list.orphans(before: nil, limit: 100).map(\.state) == orphans.map(\.state))
            #expect(orphans.count > ListOfAllKinds.orphans)
            #expect(try await copy.list.record("own") == [1, 2, 3])
            #expect(try await copy.list.record("large") == nil)
            #expect(try await opened.record("large") == [7])
            let marks = "SELECT count(*) FROM runs WHERE acknowledged IS NULL"
            #expect(try RawDatabase(path: target).integers(marks) != [0])
            let retry = AppendRequest(
                drafts: [Draft(data: "x")], idempotency: Idempotency(key: "key 7", requestHash: .zero))
            #expect(try await copy.list.append(retry).first?.data == String(repeating: "7", count: 1_500))
            #expect(try copy.list.status.headHash == head.hash)
            try await copy.close()
            let names = try FileManager.default.contentsOfDirectory(
                atPath: URL(fileURLWithPath: target).deletingLastPathComponent().path)
            #expect(!names.contains { $0.contains(".partial") } && !names.contains("list-0.db.copy-wal"), "\(names)")
        }
    }

    // MARK: Damage

    @Test(.timeLimit(.minutes(3)), arguments: PageDamage.allCases)
    func aDamagedPageMakesNoWrongCopy(damage: PageDamage) async throws {
        try await ListOfAllKinds.with { kinds in
            let target = kinds.list.path + ".copy"
            let good = try await BlockList.backUp(path: kinds.list.path, to: target) { _ in }
            let rows = try Self.rows(target)
            try FileManager.default.removeItem(atPath: target)
            var copies = 0
            for page in kinds.pages {
                try kinds.put(damage.done(to: kinds.good, page: page))
                do {
                    let head = try await BlockList.backUp(path: kinds.list.path, to: target) { _ in }
                    #expect(head.hash == good.hash && head.height == good.height, "page \(page)")
                    #expect(try Self.rows(target) == rows, "page \(page)")
                    try FileManager.default.removeItem(atPath: target)
                    copies += 1
                } catch {
                    #expect(error is BackupError || error is OpenError || error is ReadError, "page \(page): \(error)")
                    #expect(!FileManager.default.fileExists(atPath: target), "page \(page)")
                    #expect(!FileManager.default.fileExists(atPath: target + ".partial"), "page \(page)")
                }
            }
            // Pages that nothing uses.
            #expect(copies > 0 && copies < kinds.pages.count / 2, "\(copies)")
            try kinds.put(kinds.good)
        }
    }

    /// How many rows the tables have.
    private static func rows(_ path: String) throws -> [Int64] {
        let tables = ["runs", "origins", "orphans", "idempotency", "properties", "leftovers", "repairs", "appends"]
        return try tables.flatMap { try RawDatabase(path: path).integers("SELECT count(*) FROM \($0)") }
    }

    @Test(arguments: [0, 1, 77, 254, 255, 256, 300])
    func aDamagedBlockIsNamed(height: Int) async throws {
        try await withLists(1) { lists in
            try await lists[0].append(300)
            try await lists[0].close()
            let database = RawDatabase(path: lists[0].path)
            var runs = try database.runs()
            let index = try #require(runs.lastIndex { $0.position <= height })
            let place = 8 * Int(runs[index].blocks) + 32 * (height - Int(runs[index].position))
            runs[index].content[place] ^= 1
            try database.replaceRuns(runs)
            do {
                _ = try await BlockList.backUp(path: lists[0].path, to: lists[0].path + ".copy") { _ in }
                Issue.record("it was backed up")
            } catch BackupError.damaged(let found) {
                #expect(found == height)
            }
        }
    }

    @Test func whatStandsAtTheNameStaysThere() async throws {
        try await withLists(1) { lists in
            try await lists[0].append(3)
            for name in ["", "-wal"] {
                let target = lists[0].path + ".copy"
                try Data("mine".utf8).write(to: URL(fileURLWithPath: target + name))
                do {
                    _ = try await BlockList.backUp(path: lists[0].path, to: target) { _ in }
                    Issue.record("it was written over")
                } catch let error as OpenError {
                    #expect(error.reason == .exists && error.path == target + name)
                }
                #expect(try Data(contentsOf: URL(fileURLWithPath: target + name)) == Data("mine".utf8))
                try FileManager.default.removeItem(atPath: target + name)
            }
        }
    }

    /// A database of version 2 lacks a table, and of version 1 more.
    @Test func aDatabaseOfAnEarlierVersionIsRefused() async throws {
        try await withLists(1) { lists in
            try await lists[0].close()
            try RawDatabase(path: lists[0].path).execute("DROP TABLE appends; PRAGMA user_version = 2")
            do {
                _ = try await BlockList.backUp(path: lists[0].path, to: lists[0].path + ".copy") { _ in }
                Issue.record("it was backed up")
            } catch BackupError.file(let error) {
                #expect(error.reason == .earlierVersion(found: 2))
            }
            // As a backup that was made then, it is restored.
            let restored = lists[0].path + ".restored"
            _ = try await BlockList.restore(
                backup: lists[0].path, to: restored, now: { 0 }, onProgress: { _ in }
            ) { _ in }
            #expect(try RawDatabase(path: restored).integers("PRAGMA user_version") == [3])
        }
    }
}
