// What an append is answered with, and what it leaves in the list.

import Chain
import Synchronization
import TestSupport
import Testing

@Suite struct AppendTests {
    /// Calls `body` with an open list and a clock, and validates the whole list at the end.
    private func withList(
        options: BlockListOptions = .init(), _ body: (BlockList, Clock) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            let clock = Clock()
            let list = try await BlockList.open(path: directory.path("chain.db"), options: options) { clock.now }
            try await body(list, clock)
            #expect(try await list.validate().isValid)
            try await list.close()
            #expect(try await BlockList.verify(path: directory.path("chain.db")) { _ in }.isValid)
        }
    }

    /// A clock that a test sets.
    final class Clock: Sendable {
        private let seconds = Mutex<Int64>(1_700_000_000)

        var now: Int64 { seconds.withLock { $0 } }

        func set(_ now: Int64) { seconds.withLock { $0 = now } }
    }

    private func draft(_ text: String) -> AppendRequest { AppendRequest(drafts: [Draft(data: text)]) }

    @Test func blocksFollowTheHeadAndComeBackTheSame() async throws {
        try await withList { list, clock in
            let texts = ["hello", "", "olá, 世界 🌍", "\0", "\u{202E}\"\\\n", String(repeating: "a", count: 1024 * 1024)]
            var previous = Block.genesis
            for text in texts {
                let blocks = try await list.append(draft(text))
                #expect(blocks.count == 1)
                #expect(
                    blocks[0]
                        == Block(
                            height: previous.height + 1, timestamp: 1_700_000_000, data: text,
                            previousHash: previous.hash))
                #expect(try await list.block(at: blocks[0].height) == blocks[0])
                #expect(try await list.block(hash: blocks[0].hash) == blocks[0])
                previous = blocks[0]
            }
            #expect(list.status.headHash == previous.hash)
            #expect(list.status.height == texts.count)
        }
    }

    @Test func oneTextIsAnsweredWithItsBlock() async throws {
        var options = BlockListOptions()
        options.dataSizeBytesMax = 5
        try await withList(options: options) { list, _ in
            let block = try await list.append("hello")
            #expect(
                block == Block(height: 1, timestamp: 1_700_000_000, data: "hello", previousHash: Block.genesis.hash))
            #expect(try await list.block(at: 1) == block)
            await #expect(throws: AppendError.textTooLarge(index: 0, sizeBytes: 6, sizeBytesMax: 5)) {
                try await list.append("hello!")
            }
        }
    }

    @Test func aClockThatWentBackGivesTheHeadsTimestamp() async throws {
        try await withList { list, clock in
            for (now, timestamp) in [
                (1_700_000_000, 1_700_000_000), (1_600_000_000, 1_700_000_000), (-5, 1_700_000_000),
                (1_700_000_001, 1_700_000_001),
            ] as [(Int64, Int64)] {
                clock.set(now)
                let block = try await list.append(draft("at \(now)"))[0]
                #expect(block.timestamp == timestamp)
            }
        }
    }

    @Test func aRequestIsAppendedWholeOrNotAtAll() async throws {
        try await withList { list, _ in
            let drafts = [Draft(data: "1", timestamp: 1_800_000_000), Draft(data: "2", timestamp: 1_799_999_999)]
            await #expect(
                throws: AppendError.timeGoesBack(
                    index: 1, timestamp: 1_799_999_999, headTimestamp: 1_800_000_000)
            ) { try await list.append(AppendRequest(drafts: drafts)) }
            #expect(list.status.height == 0)
            let all = try await list.append(AppendRequest(drafts: (0..<10_000).map { Draft(data: "\($0)") }))
            #expect(all.map(\.data) == (0..<10_000).map { "\($0)" })
            #expect(all.map(\.height) == Array(1...10_000))
            await #expect(throws: AppendError.textCount(found: 0, max: 10_000)) {
                try await list.append(AppendRequest(drafts: []))
            }
            await #expect(throws: AppendError.textCount(found: 10_001, max: 10_000)) {
                try await list.append(AppendRequest(drafts: (0...10_000).map { Draft(data: "\($0)") }))
            }
        }
    }

    @Test func theLastHashMustBeTheHeads() async throws {
        try await withList { list, _ in
            let first = try await list.append(
                AppendRequest(drafts: [Draft(data: "1")], lastHash: Block.genesis.hash))[0]
            await #expect(throws: AppendError.invalidLastHash(head: first)) {
                try await list.append(AppendRequest(drafts: [Draft(data: "2")], lastHash: Block.genesis.hash))
            }
            #expect(list.status.height == 1)
        }
    }

    /// Of many that want to follow the same head, one does; what fails takes no other along.
    @Test func concurrentAppendsFailAlone() async throws {
        try await withList { list, _ in
            let outcomes = await withTaskGroup(of: (plain: Bool, ok: Bool).self) { group in
                for number in 0..<400 {
                    let lastHash = number % 2 == 0 ? Block.genesis.hash : nil
                    group.addTask {
                        do throws(AppendError) {
                            _ = try await list.append(
                                AppendRequest(drafts: [Draft(data: "\(number)")], lastHash: lastHash))
                            return (lastHash == nil, true)
                        } catch {
                            if case .invalidLastHash(let head) = error {
                                #expect(head.height > 0)
                            } else {
                                Issue.record("\(error)")
                            }
                            return (lastHash == nil, false)
                        }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(outcomes.filter { $0.plain && $0.ok }.count == 200)
            #expect(outcomes.filter { !$0.plain && $0.ok }.count <= 1)
            #expect(list.status.height == outcomes.filter(\.ok).count)
            var texts: Set<String> = []
            for try await slice in list.slices(from: 1) {
                for block in slice.blocks { #expect(texts.insert(block.data).inserted) }
            }
            #expect(texts.count == list.status.height)
        }
    }

    @Test func retriesWithAKeyGiveTheSameBlocks() async throws {
        try await withTemporaryDirectory { directory in
            let clock = Clock()
            let path = directory.path("chain.db")
            @Sendable func request(_ texts: [String], key: String) -> AppendRequest {
                let hash = Array(texts.joined(separator: "/").utf8).withUnsafeBytes { Hash(sha256: $0) }
                return AppendRequest(
                    drafts: texts.map { Draft(data: $0) }, idempotency: Idempotency(key: key, requestHash: hash))
            }
            var list = try await BlockList.open(path: path) { clock.now }
            let first = try await list.append(request(["a", "b"], key: "1"))
            _ = try await list.append(request(["a", "b"], key: "2"))
            #expect(try await list.append(request(["a", "b"], key: "1")) == first)
            await #expect(throws: AppendError.idempotencyKeyReused) { try await list.append(request(["c"], key: "1")) }
            #expect(list.status.height == 4)

            // At the same time.
            let answers = try await withThrowingTaskGroup(of: [Block].self) { [list] group in
                for _ in 0..<50 { group.addTask { try await list.append(request(["x", "y"], key: "3")) } }
                return try await group.reduce(into: Set<[Block]>()) { $0.insert($1) }
            }
            #expect(answers.count == 1)
            #expect(list.status.height == 6)

            // Across a restart, and until the 24 hours are over.
            try await list.close()
            list = try await BlockList.open(path: path) { clock.now }
            #expect(try await list.append(request(["a", "b"], key: "1")) == first)
            clock.set(clock.now + Idempotency.lifetimeSeconds - 1)
            #expect(try await list.append(request(["a", "b"], key: "1")) == first)
            clock.set(clock.now + 1)
            #expect(try await list.append(request(["a", "b"], key: "1"))[0].height == 7)
            #expect(try await list.validate().isValid)
            try await list.close()
        }
    }

    @Test(arguments: ["identities = x'00'", "identities = x''", "identities = zeroblob(32)", "request = x'00'"])
    func aDamagedKeyIsNeverAnsweredAsIfItWereWhole(change: String) async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.path("chain.db")
            let request = AppendRequest(
                drafts: [Draft(data: "a")], idempotency: Idempotency(key: "1", requestHash: .zero))
            var list = try await BlockList.open(path: path) { 1_700_000_000 }
            _ = try await list.append(request)
            try await list.close()
            try RawDatabase(path: path).execute("UPDATE idempotency SET \(change)")
            list = try await BlockList.open(path: path) { 1_700_000_000 }
            do {
                _ = try await list.append(request)
                Issue.record("a damaged key was answered")
            } catch AppendError.outcomeUnknown, AppendError.pending {
                // Both are 504: an identity that no block has may be one that is still to be appended again. Nobody else's
                // append fails for it.
                #expect(try await list.append(AppendRequest(drafts: [Draft(data: "b")]))[0].height == 2)
            }
            try await list.close()
        }
    }

    @Test func anIdentityStandsInTheListOnce() async throws {
        try await withList { list, _ in
            let first = try await list.append(draft("hello"))[0]
            func again(_ block: Block) -> AppendRequest {
                AppendRequest(drafts: [Draft(data: block.data, origin: Origin(of: block))])
            }
            await #expect(throws: AppendError.identityExists(height: 1)) { try await list.append(again(first)) }

            let orphan = Block(height: 9, timestamp: 1_699_000_000, data: "lost", previousHash: first.hash)
            let returned = try await list.append(again(orphan))[0]
            #expect(returned.identity == orphan.hash)
            #expect(returned.origin == Origin(of: orphan))
            #expect(try await list.block(at: returned.height) == returned)
            await #expect(throws: AppendError.identityExists(height: 2)) { try await list.append(again(orphan)) }
            await #expect(throws: AppendError.identityExists(height: 2)) { try await list.append(again(returned)) }

            let other = Block(height: 9, timestamp: 1_699_000_000, data: "twice", previousHash: first.hash)
            let draft = Draft(data: "twice", origin: Origin(of: other))
            await #expect(throws: AppendError.identityExists(height: 3)) {
                try await list.append(AppendRequest(drafts: [draft, draft]))
            }
            let wrong = Draft(data: "another text", origin: Origin(of: other))
            await #expect(throws: AppendError.invalidOrigin(index: 0)) {
                try await list.append(AppendRequest(drafts: [wrong]))
            }
            #expect(list.status.height == 2)
        }
    }

    @Test func limitsAreSaidAndLeaveTheListAsItWas() async throws {
        var options = BlockListOptions()
        options.dataSizeBytesMax = 10
        options.queueAppendsMax = 5
        try await withList(options: options) { list, _ in
            await #expect(throws: AppendError.textTooLarge(index: 1, sizeBytes: 11, sizeBytesMax: 10)) {
                try await list.append(
                    AppendRequest(drafts: [Draft(data: "é23456789"), Draft(data: "é234567890")]))
            }
            #expect(list.status.height == 0)
            let refused = await withTaskGroup(of: Bool.self) { group in
                for number in 0..<500 {
                    group.addTask {
                        do throws(AppendError) {
                            _ = try await list.append(AppendRequest(drafts: [Draft(data: "\(number)")]))
                            return false
                        } catch {
                            #expect(error == .queueFull)
                            return true
                        }
                    }
                }
                return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(refused > 0)
            #expect(list.status.height == 500 - refused)
        }
    }

    @Test func aClosedListTakesNothingAndLosesNothing() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.path("chain.db")
            let list = try await BlockList.open(path: path) { 1_700_000_000 }
            // So much text that it takes more than one transaction.
            let padding = String(repeating: ".", count: 150_000)
            let appended = await withTaskGroup(of: Block?.self) { group in
                for number in 0..<300 {
                    group.addTask {
                        do throws(AppendError) {
                            return try await list.append(AppendRequest(drafts: [Draft(data: "\(number)" + padding)]))[0]
                        } catch {
                            #expect(error == .closed)
                            return nil
                        }
                    }
                    if number == 150 {
                        group.addTask {
                            await #expect(throws: Never.self) { try await list.close() }
                            return nil
                        }
                    }
                }
                return await group.reduce(into: [Block]()) { if let block = $1 { $0.append(block) } }
            }
            // What was taken before was written before: nothing opened the database again.
            #expect(try directory.names() == ["chain.db", "chain.db.lock"])
            await #expect(throws: AppendError.closed) { try await list.append(draft("late")) }
            await #expect(throws: ReadError.closed) { try await list.block(at: 0) }
            let reopened = try await BlockList.open(path: path) { 1_700_000_000 }
            #expect(reopened.status.height == appended.count)
            for block in appended { #expect(try await reopened.block(at: block.height) == block) }
            try await reopened.close()
        }
    }

    @Test func cancellingACallerDoesNotCancelItsBlock() async throws {
        try await withList { list, _ in
            let task = Task { try await list.append(draft("kept")) }
            task.cancel()
            let blocks = try await task.value
            #expect(try await list.block(at: blocks[0].height)?.data == "kept")
        }
    }
}
