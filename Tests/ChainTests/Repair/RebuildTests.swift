// Damage to the structure of the file: pages that are lost, overwritten or mixed up, in a file that nobody has open and in
// one that is open.

import Foundation
import TestSupport
import Testing

@testable import Chain

struct RebuildTests {
    private static let now: Int64 = 1_700_000_000

    /// Not the first one: without it, it is no database at all. Every one of those that SQLite may take for good, and of the
    /// first ones, where the roots are; else some.
    private func pages(of kinds: ListOfAllKinds, for damage: PageDamage) -> [Int] {
        kinds.pages.dropFirst().filter { $0 < 20 || $0 % 3 == 0 || damage == .zeros || damage == .anotherPage }
    }

    @Test(arguments: PageDamage.allCases)
    func aFileThatNobodyHasOpenIsRebuiltWhateverPageIsLost(damage: PageDamage) async throws {
        try await ListOfAllKinds.with { kinds in
            for page in pages(of: kinds, for: damage) {
                let content = damage.done(to: kinds.good, page: page)
                try kinds.put(content)
                let comment: Comment = "page \(page), \(damage)"
                let report: RebuildReport
                do {
                    report = try await BlockList.rebuild(
                        path: kinds.list.path, from: [kinds.member.source()], now: Self.now)
                } catch {
                    Issue.record("\(comment): \(error)")
                    continue
                }
                #expect(try Data(contentsOf: URL(fileURLWithPath: report.keptPath)) == content, comment)
                try FileManager.default.removeItem(atPath: report.keptPath)
                if report.height < ListOfAllKinds.height {
                    // The page of the last blocks was another one: what is lost at the end comes with the next sync.
                    #expect(damage == .anotherPage, comment)
                    try await kinds.list.open()
                    try await kinds.list.pull(from: kinds.member)
                    try await kinds.list.close()
                }
                try await kinds.expectWhole(report, comment)
                #expect(try kinds.names() == ["list-0.db", "list-0.db.lock"], comment)
            }
            try await kinds.list.open()
        }
    }

    @Test(arguments: PageDamage.allCases)
    func anOpenFileIsRebuiltWhateverPageIsLost(damage: PageDamage) async throws {
        try await ListOfAllKinds.with { kinds in
            for page in pages(of: kinds, for: damage) {
                let comment: Comment = "page \(page), \(damage)"
                try kinds.put(kinds.good)
                try await kinds.list.open()
                let list = try kinds.list.list
                // Every reader has the old file open.
                for height in 0..<8 { _ = try await list.block(at: height) }
                try kinds.overwrite(damage.done(to: kinds.good, page: page))
                let report: RebuildReport?
                do {
                    report = try await list.rebuild(from: [kinds.member.source()])
                } catch {
                    Issue.record("\(comment): \(error)")
                    try await kinds.closeDamaged()
                    continue
                }
                guard let report else {
                    // What the page holds is not part of the structure: blocks are damaged, and are repaired one by one.
                    try await kinds.closeDamaged()
                    continue
                }
                // Appends go on, and what they write is in the new file's WAL while readers let go of the old file.
                let appended = try await list.append(AppendRequest(drafts: [Draft(data: "appended")]))
                for _ in 0..<8 { #expect(try await list.block(at: appended[0].height) == appended[0], comment) }
                #expect(StoreFile.walSizeBytes(path: kinds.list.path) > 0, comment)
                #expect(try await list.validate().isValid, comment)
                try await kinds.list.close()
                try await kinds.list.open()
                #expect(try kinds.list.list.status.headHash == appended[0].hash, comment)
                try await kinds.list.close()
                try FileManager.default.removeItem(atPath: report.keptPath)
                #expect(try kinds.names() == ["list-0.db", "list-0.db.lock"], comment)
            }
            try await kinds.list.open()
        }
    }

    @Test func aFileThatWasCutOffIsRebuilt() async throws {
        try await ListOfAllKinds.with { kinds in
            for page in kinds.pages.dropFirst() where page % 3 == 0 || page > kinds.pages.count - 4 {
                try kinds.put(kinds.good.prefix(page * PageDamage.pageSizeBytes))
                await #expect(throws: OpenError.self) { try await kinds.list.open() }
                let report = try await BlockList.rebuild(
                    path: kinds.list.path, from: [kinds.member.source()], now: Self.now)
                try FileManager.default.removeItem(atPath: report.keptPath)
                try await kinds.expectWhole(report, "cut off before page \(page)")
            }
            try await kinds.list.open()
        }
    }

    @Test func whatOnlyThisNodeHasIsKeptAndNothingIsReplacedThatNobodyHas() async throws {
        try await ListOfAllKinds.with { kinds in
            try await kinds.list.open()
            let own = try await kinds.list.append(900)
            try await kinds.list.close()
            let good = try Data(contentsOf: URL(fileURLWithPath: kinds.list.path))
            let hash = try #require(own.last?.hash)
            var rebuilt = 0
            for page in 1..<good.count / PageDamage.pageSizeBytes {
                let content = PageDamage.zeros.done(to: good, page: page)
                try kinds.put(content)
                let comment: Comment = "page \(page)"
                do throws(RebuildError) {
                    let report = try await BlockList.rebuild(
                        path: kinds.list.path, from: [kinds.member.source()], now: Self.now)
                    rebuilt += 1
                    try kinds.removeKept(report)
                    // Without the way to the last blocks nobody can tell that there were any; it is said.
                    if report.incompleteTables.contains(where: { $0.hasPrefix("the end of the list") }) { continue }
                    #expect(report.height == 900, comment)
                    try await kinds.expectHead(hash, comment)
                } catch {
                    // A page of blocks that the member has not got.
                    guard case .missing = error else {
                        Issue.record("\(comment): \(error)")
                        continue
                    }
                    #expect(try Data(contentsOf: URL(fileURLWithPath: kinds.list.path)) == content, comment)
                }
            }
            #expect(rebuilt > good.count / PageDamage.pageSizeBytes / 2)
            try kinds.put(good)
            try await kinds.list.open()
        }
    }

    @Test func withNoMemberAFileIsKeptAsItIsAndReadAndHealsLater() async throws {
        try await ListOfAllKinds.with { kinds in
            var before: [Int] = []
            // A page of rows, so that blocks are lost and not only bytes of them.
            for page in kinds.pages.dropFirst(2) where kinds.good[page * PageDamage.pageSizeBytes] == 0x0D {
                try kinds.put(PageDamage.zeros.done(to: kinds.good, page: page))
                guard try await kinds.isOpened() else { continue }
                before = try await kinds.readable()
                if 100..<ListOfAllKinds.height ~= before.count { break }
                try await kinds.closeDamaged()
            }
            #expect(100..<ListOfAllKinds.height ~= before.count)
            let list = try kinds.list.list
            await #expect(throws: RebuildError.self) { _ = try await list.rebuild(from: []) }
            #expect(try await kinds.readable() == before)
            #expect(list.status.structureFault != nil)
            #expect(try kinds.names().filter { $0.contains("rebuilding") || $0.contains("damaged") } == [])
            let report = try #require(try await list.rebuild(from: [kinds.member.source()]))
            #expect(!report.filledHeights.isEmpty)
            #expect(try await kinds.readable().count == ListOfAllKinds.height + 1)
            #expect(list.status.structureFault == nil && list.status.damagedHeights == [])
        }
    }

    @Test func aCrashBetweenAnyTwoStepsLeavesTheOldOrTheNewFile() async throws {
        try await ListOfAllKinds.with { kinds in
            let page = try #require(try kinds.pageOfBlocks())
            let damaged = PageDamage.zeros.done(to: kinds.good, page: page)
            let path = kinds.list.path
            let kept = path + ".damaged"
            for steps in 1...6 {
                try kinds.put(damaged)
                let rebuild = FileRebuild(path: path, known: nil)
                try await rebuild.begin()
                if steps > 1 { try await rebuild.copyAll(filling: [kinds.member.source()], now: Self.now) }
                if steps > 2 { _ = try await rebuild.finish(keptPath: kept, now: Self.now) }
                if steps > 3 { try FileManager.default.linkItem(atPath: path, toPath: kept) }
                if steps > 4 { try StoreFile.replace(path, by: FileRebuild.newPath(path), keeping: kept) }
                if steps > 5 {
                    #expect(try Data(contentsOf: URL(fileURLWithPath: kept)) == damaged)
                } else if steps < 5 {
                    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == damaged, "after step \(steps)")
                }
                // What comes after the crash: the node opens what is there, and rebuilds it if it is still the old one.
                try await kinds.list.open()
                #expect(try kinds.names().allSatisfy { !$0.contains("rebuilding") }, "after step \(steps)")
                _ = try await kinds.list.list.rebuild(from: [kinds.member.source()])
                try await kinds.list.close()
                let report = try await BlockList.rebuild(path: path, from: [kinds.member.source()], now: Self.now)
                try await kinds.expectWhole(report, "after step \(steps)")
                #expect(try Data(contentsOf: URL(fileURLWithPath: kept)) == damaged || steps < 5, "after step \(steps)")
                for name in try kinds.names() where name.contains("damaged") {
                    try FileManager.default.removeItem(atPath: kinds.folder + "/" + name)
                }
            }
            try await kinds.list.open()
        }
    }

    @Test func aKeyThatMayBeLostIsAnUnknownOutcomeForADay() async throws {
        try await withLists(1) { lists in
            let list = lists[0]
            for number in 0..<200 {
                _ = try await list.list.append(
                    AppendRequest(
                        drafts: [Draft(data: "text \(number)")],
                        idempotency: Idempotency(key: "key \(100 + number)", requestHash: .zero)))
            }
            try await list.close()
            let good = try Data(contentsOf: URL(fileURLWithPath: list.path))
            let damaged = PageDamage.zeros.done(to: good, page: try #require(pageOfKeys(around: "key 200", in: good)))
            try damaged.write(to: URL(fileURLWithPath: list.path))
            let report = try await BlockList.rebuild(path: list.path, from: [], now: Self.now)
            #expect(report.incompleteTables == ["idempotency"])
            try await list.open()
            var lost = 0
            for number in 0..<200 {
                let request = AppendRequest(
                    drafts: [Draft(data: "text \(number)")],
                    idempotency: Idempotency(key: "key \(100 + number)", requestHash: .zero))
                do {
                    #expect(try await list.list.append(request).first?.height == number + 1)
                } catch AppendError.outcomeUnknown {
                    lost += 1
                }
            }
            #expect(1..<150 ~= lost, "\(lost)")
            #expect(try list.list.status.height == 200, "no retry was appended")
            let elsewhere = AppendRequest(
                drafts: [Draft(data: "new")], idempotency: Idempotency(key: "new key", requestHash: .zero))
            #expect(try await list.list.append(elsewhere).first?.height == 201)
            // After a day no key is remembered anyway.
            list.clock.withLock { $0 += Idempotency.lifetimeSeconds + 1 }
            let late = AppendRequest(
                drafts: [Draft(data: "late")], idempotency: Idempotency(key: "key 200", requestHash: .zero))
            #expect(try await list.list.append(late).first?.height == 202)
        }
    }

    /// A member whose list parts from ours within what is lost has valid blocks for it, but not ours.
    @Test func blocksThatOursDoNotFollowAreNotTaken() async throws {
        try await ListOfAllKinds.with { kinds in
            let other = ForkedList(path: kinds.member.path + ".other")
            try await other.open()
            let runs = try await kinds.member.runs(from: 1).compactMap { $0.part(1..<600) }
            var reception = try await other.list.reception(after: 0, hash: Block.genesis.hash)
            _ = try await reception.take(runs, latestTimestamp: .max)
            #expect(try other.list.status.height == 599)
            try await other.append(1_000, name: "other")
            let page = try #require(try kinds.pageOfBlocks())
            let content = PageDamage.zeros.done(to: kinds.good, page: page)
            try kinds.put(content)
            await #expect(throws: RebuildError.self) {
                _ = try await BlockList.rebuild(path: kinds.list.path, from: [other.source()], now: Self.now)
            }
            #expect(try Data(contentsOf: URL(fileURLWithPath: kinds.list.path)) == content)
            let report = try await BlockList.rebuild(
                path: kinds.list.path, from: [other.source(), kinds.member.source()], now: Self.now)
            try await kinds.expectWhole(report, "after another list")
            try await other.close()
            try await kinds.list.open()
        }
    }

    @Test func anotherListsBlocksAreNotTaken() async throws {
        try await ListOfAllKinds.with { kinds in
            try await kinds.member.close()
            let other = ForkedList(path: kinds.member.path + ".other")
            try await other.open()
            try await other.append(1_000, name: "other")
            let page = try #require(try kinds.pageOfBlocks())
            let content = PageDamage.zeros.done(to: kinds.good, page: page)
            try kinds.put(content)
            await #expect(throws: RebuildError.self) {
                _ = try await BlockList.rebuild(path: kinds.list.path, from: [other.source()], now: Self.now)
            }
            #expect(try Data(contentsOf: URL(fileURLWithPath: kinds.list.path)) == content)
            try await other.close()
            try await kinds.member.open()
            // The next one that is asked has them.
            let wrong = RebuildSource(name: "http://wrong:1") { after in
                let runs = try await kinds.member.runs(from: after.height + 1)
                return { runs.first?.part(after.height + 1..<after.height + 2) }
            }
            let report = try await BlockList.rebuild(
                path: kinds.list.path, from: [wrong, kinds.member.source()], now: Self.now)
            try await kinds.expectWhole(report, "after a wrong one")
            try await kinds.list.open()
        }
    }
}

/// The leaf of the table of idempotency keys that has a key; the one of its index has more keys.
private func pageOfKeys(around key: String, in content: Data) -> Int? {
    let pages = (0..<content.count / PageDamage.pageSizeBytes).map { page in
        content[page * PageDamage.pageSizeBytes..<(page + 1) * PageDamage.pageSizeBytes]
    }
    let found = pages.indices.filter { pages[$0].first == 0x0A && pages[$0].firstRange(of: Data(key.utf8)) != nil }
    return found.min { pages[$0].ranges(of: Data("key ".utf8)).count < pages[$1].ranges(of: Data("key ".utf8)).count }
}

extension ListOfAllKinds {
    fileprivate var folder: String { URL(fileURLWithPath: list.path).deletingLastPathComponent().path }

    /// The files of the list.
    fileprivate func names() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasPrefix("list-0") }.sorted()
    }

    /// A page that holds blocks of the middle of the list.
    fileprivate func pageOfBlocks() throws -> Int? {
        let place = try #require(good.firstRange(of: Data("text 600,".utf8)))
        return place.lowerBound / PageDamage.pageSizeBytes
    }

    fileprivate func isOpened() async throws -> Bool {
        do {
            try await list.open()
            return true
        } catch let error as OpenError {
            guard error.isDamage else { throw error }
            return false
        }
    }

    fileprivate func readable() async throws -> [Int] {
        var heights: [Int] = []
        for height in 0...ListOfAllKinds.height {
            do throws(ReadError) {
                _ = try await list.openForReads().block(at: height)
                heights.append(height)
            } catch {
                guard case .damaged = error else { throw error }
            }
        }
        return heights
    }

    /// Closes a list whose file is damaged, and puts all its files right.
    fileprivate func closeDamaged() async throws {
        do {
            try await list.close()
        } catch {
            // Its WAL could not be moved into the damaged file.
        }
        for name in ["-wal", "-shm"] where FileManager.default.fileExists(atPath: list.path + name) {
            try FileManager.default.removeItem(atPath: list.path + name)
        }
    }

    fileprivate func removeKept(_ report: RebuildReport) throws(RebuildError) {
        do {
            try FileManager.default.removeItem(atPath: report.keptPath)
        } catch {
            throw .cancelled
        }
    }

    fileprivate func expectHead(_ hash: Hash, _ comment: Comment) async throws(RebuildError) {
        do {
            try await list.open()
            #expect(try list.list.status.headHash == hash, comment)
            #expect(try await list.scrub() == [], comment)
            try await list.close()
        } catch {
            throw .cancelled
        }
    }
}

extension ForkedList {
    fileprivate func openForReads() throws(ReadError) -> BlockList {
        do {
            return try list
        } catch {
            throw .closed
        }
    }
}
