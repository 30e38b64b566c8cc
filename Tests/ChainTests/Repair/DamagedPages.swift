// A database whose pages are overwritten, and a member that has the same blocks.

import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Chain

/// What stands in a page after it was damaged.
enum PageDamage: String, CaseIterable {
    case zeros, ones, noise, anotherPage

    static let pageSizeBytes = 4_096

    /// A file with a page damaged; the first one is 0.
    func done(to good: Data, page: Int) -> Data {
        let size = PageDamage.pageSizeBytes
        var content = good
        let range = page * size..<(page + 1) * size
        var random = SeededGenerator(seed: UInt64(page))
        switch self {
        case .zeros: content.replaceSubrange(range, with: Data(repeating: 0, count: size))
        case .ones: content.replaceSubrange(range, with: Data(repeating: 0xFF, count: size))
        case .noise:
            content.replaceSubrange(
                range, with: Data((0..<size).map { _ in UInt8.random(in: 0...255, using: &random) }))
        case .anotherPage:
            let other = (page + 6) % (good.count / size - 1) + 1
            content.replaceSubrange(range, with: good[other * size..<(other + 1) * size])
        }
        return content
    }
}

/// A list with every kind of row: long and short blocks, some appended again, orphans, replaced blocks that are not gone
/// through, idempotency keys; and a member that has its blocks.
struct ListOfAllKinds {
    static let height = 700
    static let keys = 40
    static let orphans = 10

    let list: ForkedList
    let member: ForkedList
    /// The file of the closed list.
    let good: Data

    static func with(_ body: (ListOfAllKinds) async throws -> Void) async throws {
        try await withLists(3) { lists in
            try await lists[0].append(150)
            _ = try await lists[1].pull(from: lists[0])
            try await lists[0].append(150 + orphans)
            try await lists[1].append(400, name: "better")
            _ = try await lists[0].pull(from: lists[1])
            try await lists[0].tidyAll()
            for number in 0..<keys {
                let draft = Draft(data: String(repeating: "\(number)", count: 1_500))
                _ = try await lists[0].list.append(
                    AppendRequest(
                        drafts: [draft], idempotency: Idempotency(key: "key \(number)", requestHash: .zero)))
            }
            try await lists[0].append(height)
            _ = try await lists[2].pull(from: lists[0])
            // So that there are pages that nothing uses.
            for _ in 0..<3 { try await lists[0].list.setRecord("large", to: [UInt8](repeating: 7, count: 20_000)) }
            try await lists[0].list.setRecord("large", to: [7])
            try await lists[0].list.setRecord("own", to: [1, 2, 3])
            try await lists[0].close()
            let good = try Data(contentsOf: URL(fileURLWithPath: lists[0].path))
            try await body(ListOfAllKinds(list: lists[0], member: lists[2], good: good))
        }
    }

    var pages: Range<Int> { 0..<good.count / PageDamage.pageSizeBytes }

    /// Makes the file what it was, but for what a test changes.
    func put(_ content: Data) throws { try content.write(to: URL(fileURLWithPath: list.path)) }

    /// Overwrites the file that a list has open, as a failing disk would: it stays the same file.
    func overwrite(_ content: Data) throws {
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: list.path))
        try file.write(contentsOf: content)
        try file.close()
    }

    /// What is wrong with the closed list after it was rebuilt; leaves it closed.
    func expectWhole(_ report: RebuildReport, _ comment: Comment) async throws {
        try await list.open()
        let opened = try list.list
        #expect(try opened.status.height == member.list.status.height, comment)
        #expect(try opened.status.headHash == member.list.status.headHash, comment)
        #expect(try await list.scrub() == [], comment)
        #expect(try await opened.validate().isValid, comment)
        #expect(try await opened.structureFault() == nil, comment)
        #expect(opened.status.repairs.contains { $0.fault.hasPrefix("structure of the file: rebuilt") }, comment)
        if !report.incompleteTables.contains("orphans") {
            #expect(try await opened.orphans(before: nil, limit: 100).count == ListOfAllKinds.orphans, comment)
        }
        if !report.incompleteTables.contains("properties") {
            #expect(try await opened.record("own") == [1, 2, 3], comment)
        }
        try await expectKeys(areWhole: !report.incompleteTables.contains("idempotency"), comment)
        #expect(try opened.status.headHash == member.list.status.headHash, "a retry appended: \(comment)")
        _ = try await opened.append(AppendRequest(drafts: [Draft(data: "goes on")]))
        try await list.close()
    }

    /// Each retry is answered with its block, or with that its outcome is unknown; none appends.
    private func expectKeys(areWhole: Bool, _ comment: Comment) async throws {
        for number in 0..<ListOfAllKinds.keys {
            let request = AppendRequest(
                drafts: [Draft(data: "x")], idempotency: Idempotency(key: "key \(number)", requestHash: .zero))
            do throws(AppendError) {
                let blocks = try await list.openedForAppends().append(request)
                #expect(blocks.first?.data == String(repeating: "\(number)", count: 1_500), comment)
            } catch {
                guard case .outcomeUnknown = error, !areWhole else {
                    Issue.record("key \(number): \(error), \(comment)")
                    continue
                }
            }
        }
    }
}

extension ForkedList {
    /// The list, for calls whose errors are typed.
    fileprivate func openedForAppends() throws(AppendError) -> BlockList {
        do {
            return try list
        } catch {
            throw .closed
        }
    }

    /// The list as what a rebuilding asks.
    func source() -> RebuildSource {
        RebuildSource(name: "http://member:1") { [self] after in
            guard try await list.block(at: after.height)?.hash == after.hash else {
                throw TestSupportError("another list")
            }
            let runs = Mutex(try await self.runs(from: after.height + 1))
            return { runs.withLock { $0.isEmpty ? nil : $0.removeFirst() } }
        }
    }
}
