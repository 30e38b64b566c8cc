// What a node measures, as Prometheus reads it.

import Foundation
import TestSupport
import Testing

@Suite struct MetricsTests {
    @Test func whatANodeDidIsCounted() async throws {
        try await withNode { node async throws in
            _ = try await node.client.post("/blocks/", ["data": "one"])
            _ = try await node.client.post("/blocks/batch", ["data": ["two", "three", "four"]])
            _ = try await node.client.get("/blocks/99")
            _ = try await node.client.get("/blocks/7")
            let metrics = try await Metrics(of: node)
            #expect(metrics.value("chaind_head_height") == 4)
            #expect(metrics.value("chaind_appended_blocks_total") == 4)
            #expect(metrics.value("chaind_append_batch_blocks_count") == 2)
            #expect(metrics.value("chaind_append_batch_blocks_sum") == 4)
            #expect(metrics.value(#"chaind_append_batch_blocks_bucket{le="1"}"#) == 1)
            #expect(metrics.value(#"chaind_append_batch_blocks_bucket{le="5"}"#) == 2)
            #expect(try #require(metrics.value("chaind_commit_duration_seconds_count")) >= 2)
            #expect(
                metrics.value(#"chaind_http_request_duration_seconds_count{route="/blocks/",status="200"}"#) == 1)
            #expect(
                metrics.value(#"chaind_http_request_duration_seconds_count{route="/blocks/{block}",status="404"}"#) == 2
            )
            for status in [500, 503, 504, 507] {
                let failed = "chaind_http_request_duration_seconds_count{route=\"/blocks/\",status=\"\(status)\"}"
                #expect(metrics.value(failed) == 0)
            }
            #expect(metrics.value("chaind_ready") == 1)
            #expect(metrics.value("chaind_validation_valid") == 1)
            #expect(metrics.value("chaind_damaged_blocks") == 0)
            #expect(metrics.value("chaind_event_listeners") == 0)
            #expect(try #require(metrics.value("process_resident_memory_bytes")) > 1_000_000)
            #expect(try #require(metrics.value("chaind_database_bytes")) > 4_096)
            #expect(try #require(metrics.value("chaind_disk_free_bytes")) > 0)
            let now = Date().timeIntervalSince1970
            #expect(try #require(metrics.value("process_start_time_seconds")) > now - 60)
            #expect(try #require(metrics.value("chaind_head_timestamp_seconds")) > now - 60)
            #expect(metrics.value(#"chaind_build_info{version="0.1.0"}"#) == 1)
        }
    }

    @Test func theMembersAreSeen() async throws {
        try await withGroup(count: 3) { group in
            let node = group.nodes[0]
            _ = try await node.client.post("/blocks/?wait=3&timeout=30", ["data": "one"])
            try await eventually("both members are up") {
                let metrics = try await Metrics(of: node)
                return [1, 2].map(group.address(of:)).allSatisfy {
                    metrics.value("chaind_member_up{member=\"\($0)\"}") == 1
                        && metrics.value("chaind_member_lag_blocks{member=\"\($0)\"}") == 0
                }
            }
            let lost = group.address(of: 2)
            group.nodes[2].stop()
            try await eventually("the third is removed") {
                let metrics = try await Metrics(of: node)
                return metrics.value("chaind_member_up{member=\"\(lost)\"}") == 0
                    && metrics.value("chaind_member_state{member=\"\(lost)\",state=\"removed\"}") == 1
                    && metrics.value("chaind_member_failures{member=\"\(lost)\"}") ?? 0 >= 3
            }
        }
    }

    @Test func whatGaveWayIsCounted() async throws {
        try await withGroup(count: 2, meeting: .none) { group in
            for (index, texts) in [["one", "two"], ["three"]].enumerated() {
                for text in texts { _ = try await group.nodes[index].client.post("/blocks/", ["data": text]) }
            }
            try await group.join(1, on: 0, merging: true)
            try await eventually("the shorter list gave way, and is appended again") {
                let metrics = try await Metrics(of: group.nodes[1])
                return metrics.value("chaind_reorganisations_total") ?? 0 >= 1
                    && metrics.value("chaind_orphans_total") == 1 && metrics.value("chaind_pending_orphans") == 0
                    && metrics.value("chaind_head_height") == 3
            }
        }
    }
}

/// The figures of a node, by their names and labels as they are written; the form of the text was checked.
private struct Metrics {
    private var values: [String: Double] = [:]

    init(of node: NodeProcess) async throws {
        let answer = try await node.client.get("/metrics")
        guard answer.status == 200, answer.fields["content-type"] == "text/plain; version=0.0.4; charset=utf-8" else {
            throw TestSupportError("\(answer.status): \(answer.text)")
        }
        try self.init(answer.text)
    }

    private init(_ text: String) throws {
        var family = ""
        var families: Set<String> = []
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 3)
            if line.hasPrefix("# HELP ") {
                family = String(words[2])
                guard families.insert(family).inserted, words.count == 4 else { throw TestSupportError("\(line)") }
            } else if line.hasPrefix("# TYPE ") {
                guard words[2] == family, ["counter", "gauge", "histogram"].contains(words[3]) else {
                    throw TestSupportError("\(line)")
                }
            } else {
                // Labels may have spaces, values have none.
                guard let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...]),
                    line.hasPrefix(family)
                else { throw TestSupportError("\(line)") }
                values[String(line[..<space])] = value
            }
        }
    }

    func value(_ name: String) -> Double? { values[name] }
}
