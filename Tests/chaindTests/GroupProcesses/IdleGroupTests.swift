// What real nodes with equal lists still say to each other, counted on the links between them.

import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(3)))
struct IdleGroupTests {
    @Test func anIdleGroupExchangesAFewSmallMessagesHoweverLongItsList() async throws {
        try await withGroup(count: 3) { group in
            try await group.waitUntilEqual()
            let short = try await Self.trafficOfIdleSeconds(4, in: group)
            for batch in 0..<5 {
                let texts = (0..<1_000).map { "batch \(batch), text \($0)" }
                #expect(try await group.nodes[batch % 3].client.post("/blocks/batch", ["data": texts]).status == 200)
            }
            #expect(try await group.waitUntilEqual().height == 5_000)
            // What follows a change is over.
            try await Task.sleep(for: .seconds(2))
            let long = try await Self.trafficOfIdleSeconds(4, in: group)
            for traffic in [short, long] {
                // Each node asks each other for its health and for its status, both once a second here: about 48, and on
                // a busy machine at least one of each on each of the six links.
                #expect(12...60 ~= traffic.requests, "\(traffic)")
                #expect(traffic.sizeBytes < traffic.requests * 2_000, "\(traffic)")
            }
        }
    }

    /// What goes through all links in so many seconds.
    private static func trafficOfIdleSeconds(_ seconds: Int, in group: NodeGroup) async throws -> LinkTraffic {
        let before = traffic(in: group)
        try await Task.sleep(for: .seconds(seconds))
        return traffic(in: group) - before
    }

    private static func traffic(in group: NodeGroup) -> LinkTraffic {
        var sum = LinkTraffic()
        for caller in group.nodes.indices {
            for node in group.nodes.indices where node != caller {
                let traffic = group.traffic(from: caller, to: node)
                sum.requests += traffic.requests
                sum.sizeBytes += traffic.sizeBytes
            }
        }
        return sum
    }
}
