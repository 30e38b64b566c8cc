// The client of etcd against one of three members, of which some are killed or stand still.

import TestSupport
import Testing

@testable import chaind

@Suite struct EtcdFailoverTests {
    /// A client that is quickly out of patience.
    private func hasty(_ endpoints: [String]) -> EtcdSettings {
        EtcdSettings(endpoints: endpoints, attemptSeconds: 0.5, statusSeconds: 0.5)
    }

    @Test func theNextEndpointIsAskedAfterAFailure() async throws {
        try await withEtcd { cluster in
            let leader = try await cluster.leaderIndex()
            let others = [0, 1, 2].filter { $0 != leader }
            cluster.kill(others[0])
            let nobody = cluster.endpoints[others[0]]
            let endpoints = [nobody, cluster.endpoints[others[1]], cluster.endpoints[leader]]
            try await withEtcdClient(hasty(endpoints)) { etcd in
                // A transaction is sent once.
                let failure = try await etcdFailure { try await etcd.transact(.put("a", "1")) }
                #expect(failure?.isUnknown == true && failure?.description.contains(nobody) == true)
                #expect(try await etcd.transact(.put("a", "1")).isSucceeded)
                #expect(await etcd.status().map(\.endpoint) == Array(endpoints[1...]))
            }
            try await withEtcdClient(hasty(endpoints)) { etcd async throws in
                // A read goes on by itself, and what comes after it stays where it was answered.
                #expect(try await etcd.range(EtcdRange("a"), 1).entries.count == 1)
                #expect(try await etcd.transact(.put("a", "2")).isSucceeded)
            }
            try await withEtcdClient(hasty(endpoints)) { etcd async throws in
                #expect(try await etcd.watch(EtcdRange("a"), 2).next(1).first?.text == "a=1")
                #expect(try await etcd.transact(.put("a", "3")).isSucceeded)
            }
        }
    }

    @Test func aMemberThatStandsStillIsLeft() async throws {
        try await withEtcd { cluster in
            let leader = try await cluster.leaderIndex()
            let still = (leader + 1) % 3
            cluster.freeze(still)
            let endpoints = [cluster.endpoints[still], cluster.endpoints[leader]]
            try await withEtcdClient(hasty(endpoints)) { etcd async throws in
                let start = ContinuousClock.now
                #expect(
                    try await etcdFailure { try await etcd.transact(.put("a", "1")) }
                        == .unknown("\(endpoints[0]): nothing came in time"))
                #expect(ContinuousClock.now - start < .seconds(1))
                #expect(try await etcd.transact(.put("a", "1")).isSucceeded)
                #expect(try await etcd.transact(.put("a", "1")).isSucceeded)
                #expect(await etcd.status().map(\.endpoint) == [endpoints[1]])
            }
        }
    }

    /// With two of three members still, nobody can know what became of a transaction.
    @Test func aTransactionOfUnknownOutcomeIsDoneOnceAtMost() async throws {
        try await withEtcd { cluster in
            let leader = try await cluster.leaderIndex()
            let others = [0, 1, 2].filter { $0 != leader }
            try await withEtcdClient(hasty([cluster.endpoints[leader], cluster.endpoints[others[0]]])) { etcd in
                _ = try await etcd.transact(.put("b", "1"))
                for other in others { cluster.freeze(other) }
                let transaction = EtcdTransaction.create("a", "mine")
                let start = ContinuousClock.now
                let first = try await etcdFailure { try await etcd.transact(transaction) }
                #expect(first?.isUnknown == true)
                #expect(ContinuousClock.now - start < .seconds(1))
                for other in others { cluster.thaw(other) }

                var answer: EtcdTransactionAnswer?
                try await eventually("the transaction is answered") {
                    answer = try await etcd.transact(transaction)
                    return true
                }
                let entry: EtcdEntry
                if answer?.isSucceeded == true {
                    entry = try #require(try await etcd.range(EtcdRange("a"), 1).entries.first)
                } else {
                    entry = try #require(answer?.ranges.first?.first)
                }
                #expect(entry.value == Array("mine".utf8) && entry.createRevision == entry.modRevision)
            }
        }
    }

    /// A member that is cut off from the others says so at once: nobody waits for it.
    @Test func aMemberWithoutALeaderIsLeft() async throws {
        try await withEtcd { cluster in
            try await withEtcdClient(EtcdSettings(endpoints: [cluster.endpoints[0]], attemptSeconds: 10)) { etcd in
                _ = try await etcd.transact(.put("a", "1"))
                let watch = try await etcd.watch(EtcdRange("a"), 1)
                #expect(try await watch.next(1).count == 1)
                cluster.kill(1)
                cluster.kill(2)
                let ended = try await etcdFailure { try await watch.next() }
                #expect(ended == .unknown("\(cluster.endpoints[0]): etcdserver: no leader"))
                let failure = try await etcdFailure { try await etcd.transact(.put("a", "2")) }
                #expect(failure == .unknown("\(cluster.endpoints[0]): status 503: etcdserver: no leader"))
                #expect(
                    try await etcdFailure { try await etcd.range(EtcdRange("a"), 1) }?
                        .isUnknown == true)
            }
        }
    }

    @Test func aWatchEndsWithItsEndpointAndGoesOnAtAnother() async throws {
        try await withEtcd { cluster in
            let leader = try await cluster.leaderIndex()
            let other = (leader + 1) % 3
            try await withEtcdClient(hasty([cluster.endpoints[other], cluster.endpoints[leader]])) { etcd in
                _ = try await etcd.transact(.put("a", "1"))
                let watch = try await etcd.watch(EtcdRange("a"), 1)
                #expect(try await watch.next(1).map(\.text) == ["a=1"])
                cluster.kill(other)
                #expect(try await watch.next() == nil)
                #expect(try await watch.next() == nil)
                _ = try await etcd.transact(.put("a", "2"))
                #expect(try await etcd.watch(EtcdRange("a"), 1).next(2).map(\.text) == ["a=1", "a=2"])
            }
        }
    }

    @Test func aSilentWatchEnds() async throws {
        try await withEtcd { cluster in
            let leader = try await cluster.leaderIndex()
            let endpoint = cluster.endpoints[(leader + 1) % 3]
            try await withEtcdClient(EtcdSettings(endpoints: [endpoint], watchIdleSeconds: 0.5)) { etcd in
                let watch = try await etcd.watch(EtcdRange("a"), 1)
                let start = ContinuousClock.now
                #expect(try await watch.next() == nil)
                #expect(ContinuousClock.now - start < .seconds(1.5))
                // And so does one whose member stands still.
                let stillWatch = try await etcd.watch(EtcdRange("a"), 1)
                cluster.freeze((leader + 1) % 3)
                #expect(try await stillWatch.next() == nil)
            }
        }
    }
}
