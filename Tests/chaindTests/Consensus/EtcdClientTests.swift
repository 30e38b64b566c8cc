// The client of etcd against an etcd of one member: what each request does, and what is refused.

import Foundation
import TestSupport
import Testing

@testable import chaind

@Suite struct EtcdClientTests {
    /// Runs a body with an etcd of one member and its client.
    private func withClient(_ arguments: [String] = [], _ body: (Etcd, EtcdCluster) async throws -> Void) async throws {
        try await withEtcd(members: 1, arguments: arguments) { cluster in
            try await withEtcdClient(EtcdSettings(endpoints: cluster.endpoints)) { try await body($0, cluster) }
        }
    }

    // MARK: Transactions

    @Test func aTransactionTakesOneBranch() async throws {
        try await withClient { etcd, _ in
            let transaction = EtcdTransaction(
                comparisons: [.createRevision("list/head", 0), .modRevision("list/lock", 0)],
                success: [
                    .put("list/head", [0, 255, 10]), .put("list/a", []), .delete(EtcdRange(prefix: "nothing/")),
                    .range(EtcdRange(prefix: "list/")), .range(EtcdRange("list/none")),
                ],
                failure: [.range(EtcdRange("list/head"))])
            let head = EtcdEntry(key: "list/head", value: [0, 255, 10], createRevision: 2, modRevision: 2)
            let a = EtcdEntry(key: "list/a", value: [], createRevision: 2, modRevision: 2)
            let done = try await etcd.transact(transaction)
            #expect(done.isSucceeded && done.revision == 2 && !done.clusterID.isEmpty)
            #expect(done.ranges == [[a, head], []])

            let again = try await etcd.transact(transaction)
            #expect(!again.isSucceeded && again.revision == 2 && again.clusterID == done.clusterID)
            #expect(again.ranges == [[head]])

            let replaced = try await etcd.transact(
                EtcdTransaction(
                    comparisons: [.modRevision("list/head", 2), .createRevision("list/head", 2)],
                    success: [.put("list/head", [1]), .delete(EtcdRange("list/a")), .range(EtcdRange(prefix: "list/"))])
            )
            #expect(replaced.isSucceeded && replaced.revision == 3)
            #expect(
                replaced.ranges == [[EtcdEntry(key: "list/head", value: [1], createRevision: 2, modRevision: 3)]])

            #expect(
                try await etcd.transact(EtcdTransaction(success: [.delete(EtcdRange(prefix: "list/"))])).isSucceeded)
            #expect(try await etcd.range(EtcdRange(prefix: "list/"), 10) == EtcdRangeAnswer(entries: [], revision: 4))
        }
    }

    @Test func aRangeIsInOrderAndLimited() async throws {
        try await withClient { etcd, cluster in
            for key in ["b/2", "b/10", "b/", "a", "b0"] { _ = try await etcd.transact(.put(key, key)) }
            #expect(try await etcd.range(EtcdRange(prefix: "b/"), 10).entries.map(\.key) == ["b/", "b/10", "b/2"])
            let some = try await etcd.range(EtcdRange("a", before: "b/2"), 2)
            #expect(some.entries.map(\.key) == ["a", "b/"] && some.revision == 6)
            #expect(try await etcd.range(EtcdRange("b"), 1).entries.isEmpty)

            // A key of another user of this etcd, 0x62 0x2F 0xFF.
            struct Answer: Decodable {}
            let _: Answer = try await cluster.ask(0, "kv/put", ["key": "Yi//"])
            #expect(
                try await etcd.range(EtcdRange("b/2", before: "b0"), 10).entries.map(\.key) == ["b/2", "b/\u{FFFD}"])
        }
    }

    @Test func aValueIsAsLargeAsEtcdTakes() async throws {
        try await withClient { etcd, _ in
            let large = (0..<1_572_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
            let answer = try await etcd.transact(
                EtcdTransaction(success: [.put("a", large), .range(EtcdRange("a"))]))
            #expect(answer.ranges.first?.first?.value == large)
            for sizeBytes in [1_600_000, 3_000_000] {
                let larger = EtcdTransaction(success: [.put("a", [UInt8](repeating: 1, count: sizeBytes))])
                #expect(try await etcdFailure { try await etcd.transact(larger) }?.isRefused == true)
            }
            #expect(try await etcd.range(EtcdRange("a"), 1).revision == answer.revision)
        }
    }

    @Test func aTransactionThatEtcdDoesNotTakeIsRefused() async throws {
        try await withClient { etcd, _ async throws in
            let twice = EtcdTransaction(success: [.put("a", [1]), .put("a", [2])])
            #expect(
                try await etcdFailure { try await etcd.transact(twice) }
                    == .refused("etcdserver: duplicate key given in txn request"))
            let put = EtcdTransaction.Operation.put
            let many = (0..<EtcdTransaction.operationsMax).map { put("key\($0)", [], nil) }
            #expect(try await etcd.transact(EtcdTransaction(success: many)).isSucceeded)
            let tooMany = EtcdTransaction(success: many + [put("one more", [], nil)])
            #expect(
                try await etcdFailure { try await etcd.transact(tooMany) }
                    == .refused("etcdserver: too many operations in txn request"))
        }
    }

    // MARK: Leases

    @Test func aLeaseEndsWithItsKeys() async throws {
        try await withClient { etcd, _ in
            let lease = try await etcd.grantLease(60)
            _ = try await etcd.transact(.put("a", "value", leaseID: lease))
            #expect(try await etcd.keepAlive(lease))
            try await etcd.revokeLease(lease)
            #expect(try await etcd.range(EtcdRange("a"), 1).entries.isEmpty)
            #expect(try await !etcd.keepAlive(lease))
            // It is over, as was wanted.
            try await etcd.revokeLease(lease)
            #expect(
                try await etcdFailure {
                    try await etcd.transact(.put("a", "value", leaseID: lease))
                } == .refused("etcdserver: requested lease not found"))
        }
    }

    @Test func aLeaseThatIsNotRenewedIsLost() async throws {
        try await withClient { etcd, _ in
            let lease = try await etcd.grantLease(1)
            _ = try await etcd.transact(.put("a", "value", leaseID: lease))
            try await eventually("the key is gone", timeoutSeconds: 10) {
                try await etcd.range(EtcdRange("a"), 1).entries.isEmpty
            }
            #expect(try await !etcd.keepAlive(lease))
        }
    }

    // MARK: Watches

    @Test func aWatchTellsWhatChanges() async throws {
        try await withClient { etcd, _ in
            _ = try await etcd.transact(.put("a/1", "old"))
            _ = try await etcd.transact(.put("a/1", "new"))
            let watch = try await etcd.watch(EtcdRange(prefix: "a/"), 3)
            _ = try await etcd.transact(
                EtcdTransaction(success: [.put("a/2", [65]), .put("b", [66]), .delete(EtcdRange("a/1"))]))
            let events = try await watch.next(3)
            #expect(events.map(\.text) == ["a/1=new", "a/2=A", "-a/1"])
            #expect(
                events == [
                    .put(EtcdEntry(key: "a/1", value: Array("new".utf8), createRevision: 2, modRevision: 3)),
                    .put(EtcdEntry(key: "a/2", value: [65], createRevision: 4, modRevision: 4)),
                    .deleted(key: "a/1", revision: 4),
                ])
        }
    }

    /// Without fragments they would come as one line of 10 MB.
    @Test func largeChangesComeOneByOne() async throws {
        try await withClient { etcd, _ in
            let values = (0..<8).map { [UInt8](repeating: UInt8($0), count: 1_000_000) }
            for (index, value) in values.enumerated() {
                _ = try await etcd.transact(EtcdTransaction(success: [.put("a/\(index)", value)]))
            }
            let watch = try await etcd.watch(EtcdRange(prefix: "a/"), 1)
            var found: [[UInt8]] = []
            while found.count < values.count {
                let events = try #require(try await watch.next())
                #expect(events.count <= 2)
                for case .put(let entry) in events { found.append(entry.value) }
            }
            #expect(found == values)
        }
    }

    @Test func aWatchFromBeforeACompactionSaysSo() async throws {
        try await withClient { etcd, _ in
            for value in 1...5 { _ = try await etcd.transact(.put("a", "\(value)")) }
            try await etcd.compact(5)
            // It is done, as was wanted.
            try await etcd.compact(5)
            try await etcd.compact(4)
            let watch = try await etcd.watch(EtcdRange("a"), 3)
            #expect(
                try await etcdFailure { try await watch.next() } == .compacted(revision: 5))
            #expect(try await watch.next() == nil)
            #expect(try await etcd.watch(EtcdRange("a"), 5).next(2).map(\.text) == ["a=4", "a=5"])
            #expect(try await etcdFailure { try await etcd.compact(100) }?.isRefused == true)
        }
    }

    @Test func aWatchThatIsCancelledOrDroppedEndsItsConnection() async throws {
        try await withClient { etcd, cluster in
            let watch = try await etcd.watch(EtcdRange("a"), 1)
            let dropped = Task { _ = try await etcd.watch(EtcdRange("a"), 1) }
            try await dropped.value
            try await eventually("etcd has one watcher", timeoutSeconds: 10) { try await watcherCount(cluster) == 1 }
            let waiting = Task { try await watch.next() }
            try await Task.sleep(for: .milliseconds(50))
            waiting.cancel()
            #expect(try await waiting.value == nil)
            try await eventually("etcd has no watcher", timeoutSeconds: 10) { try await watcherCount(cluster) == 0 }
        }
    }

    private func watcherCount(_ cluster: EtcdCluster) async throws -> Int? {
        let port = try #require(URL(string: cluster.endpoints[0])?.port)
        let metrics = try await HTTPTestClient(port: port, isNode: false).get("/metrics").text
        let line = metrics.split(separator: "\n").first { $0.hasPrefix("etcd_debugging_mvcc_watcher_total ") }
        return line.flatMap { Int($0.split(separator: " ")[1]) }
    }

    // MARK: The database

    @Test func statusTellsVersionAndSize() async throws {
        try await withClient { etcd, cluster async throws in
            let statuses = await etcd.status()
            #expect(statuses.map(\.endpoint) == cluster.endpoints)
            #expect(statuses.first?.version.hasPrefix("3.") == true)
            #expect(try #require(statuses.first).usedSizeBytes > 0)
            #expect(try #require(statuses.first).sizeBytes >= #require(statuses.first).usedSizeBytes)
        }
    }

    @Test func aFullEtcdSaysSo() async throws {
        try await withClient(["--quota-backend-bytes", "1000000"]) { etcd, _ in
            let large = EtcdTransaction(success: [.put("a", [UInt8](repeating: 1, count: 500_000))])
            var failure: EtcdError?
            for _ in 0..<10 where failure == nil {
                failure = try await etcdFailure { try await etcd.transact(large) }
            }
            #expect(failure == .full)
            #expect(try await etcdFailure { try await etcd.grantLease(10) } == .full)
            #expect(try await etcdFailure { try await etcd.transact(.put("b", "b")) } == .full)
            #expect(try await etcd.range(EtcdRange("a"), 1).entries.count == 1)
            #expect(try await etcd.transact(EtcdTransaction(success: [.delete(EtcdRange("a"))])).isSucceeded)
        }
    }
}
