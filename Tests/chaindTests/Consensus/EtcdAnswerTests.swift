// What etcd answers, as etcd 3.4.23 wrote it, and what no etcd would answer.

import Testing

@testable import chaind

@Suite struct EtcdAnswerTests {
    private static let header = #""header":{"cluster_id":"17039428444395004608","member_id":"2","revision":"6"}"#
    private static let entry = #"{"key":"YQ==","create_revision":"2","mod_revision":"3","version":"1","value":"Yg=="}"#
    private static let found = EtcdEntry(key: "a", value: [98], createRevision: 2, modRevision: 3)
    private static let twoRanges = EtcdTransaction(
        success: [.range(.init("a")), .put("b", []), .delete(.init("c")), .range(.init("d"))],
        failure: [.range(.init("a"))])

    private func transactionAnswer(_ json: String) throws(JSONSyntaxError) -> EtcdTransactionAnswer {
        try EtcdTransactionAnswer(json: Array(json.utf8), of: EtcdAnswerTests.twoRanges)
    }

    @Test func transactions() throws {
        let succeeded = """
            {\(EtcdAnswerTests.header),"succeeded":true,"responses":[\
            {"response_range":{"header":{"revision":"6"},\
            "kvs":[\(EtcdAnswerTests.entry),{"key":"","create_revision":"1","mod_revision":"1"}],"count":"2"}},\
            {"response_put":{"header":{"revision":"6"}}},\
            {"response_delete_range":{"header":{"revision":"6"},"deleted":"1"}},\
            {"response_range":{"header":{"revision":"6"}}}]}
            """
        let empty = EtcdEntry(key: "", value: [], createRevision: 1, modRevision: 1)
        #expect(
            try transactionAnswer(succeeded)
                == EtcdTransactionAnswer(
                    isSucceeded: true, revision: 6, clusterID: "17039428444395004608",
                    ranges: [[EtcdAnswerTests.found, empty], []]))
        let failed = #"{\#(EtcdAnswerTests.header),"responses":[{"response_range":{"header":{"revision":"6"}}}]}"#
        #expect(
            try transactionAnswer(failed)
                == EtcdTransactionAnswer(
                    isSucceeded: false, revision: 6, clusterID: "17039428444395004608", ranges: [[]]))
    }

    @Test(arguments: [
        "", "null", "[]", "{}", "{", "\"", "{\"header\":null}", "{\"header\":{}}", "{\"header\":[]}",
        "{\(header)}", "{\(header),\"succeeded\":true}", "{\(header),\"succeeded\":\"true\"}",
        "{\(header),\"responses\":{}}", "{\(header),\"responses\":[1]}", "{\(header),\"responses\":[{}]}",
        "{\(header),\"responses\":[{\"response_range\":[]}]}",
        "{\(header),\"responses\":[{\"response_range\":{\"kvs\":[{\"key\":\"?\"}]}}]}",
        "{\(header),\"responses\":[{\"response_range\":{\"kvs\":[{\"key\":1}]}}]}",
        "{\(header),\"responses\":[{\"response_range\":{\"kvs\":[{\"mod_revision\":\"x\"}]}}]}",
        "{\(header),\"responses\":[{\"response_range\":{\"kvs\":[{\"mod_revision\":\"9223372036854775808\"}]}}]}",
        "{\(header),\"responses\":[{\"response_range\":{}}]} more",
        "{\(header),\"responses\":[{\"response_range\":{\"more\":\(String(repeating: "[", count: 1_000))",
    ])
    func noTransactionAnswer(json: String) {
        #expect(throws: JSONSyntaxError.self) { try transactionAnswer(json) }
    }

    @Test func ranges() throws {
        let json = #"{\#(EtcdAnswerTests.header),"kvs":[\#(EtcdAnswerTests.entry)],"more":true,"count":"5"}"#
        #expect(
            try EtcdRangeAnswer(json: Array(json.utf8))
                == EtcdRangeAnswer(entries: [EtcdAnswerTests.found], revision: 6))
        #expect(
            try EtcdRangeAnswer(json: Array("{\(EtcdAnswerTests.header)}".utf8))
                == EtcdRangeAnswer(entries: [], revision: 6))
        #expect(throws: JSONSyntaxError.self) { try EtcdRangeAnswer(json: Array("{}".utf8)) }
    }

    @Test func aKeyThatIsNoTextIsReadAsFarAsItCan() throws {
        let json = #"{\#(EtcdAnswerTests.header),"kvs":[{"key":"Yf8=","create_revision":"1","mod_revision":"1"}]}"#
        #expect(try EtcdRangeAnswer(json: Array(json.utf8)).entries.first?.key == "a\u{FFFD}")
    }

    @Test func leases() throws {
        let result = #"{"result":{\#(EtcdAnswerTests.header),"ID":"12""#
        #expect(try EtcdAnswer.isLeaseAlive(json: Array((result + #","TTL":"3"}}"# + "\n").utf8)))
        #expect(try !EtcdAnswer.isLeaseAlive(json: Array((result + "}}").utf8)))
        #expect(throws: JSONSyntaxError.self) { try EtcdAnswer.isLeaseAlive(json: Array("{}".utf8)) }
        #expect(try EtcdAnswer.leaseID(json: Array(#"{\#(EtcdAnswerTests.header),"ID":"12","TTL":"2"}"#.utf8)) == 12)
        #expect(throws: JSONSyntaxError.self) { try EtcdAnswer.leaseID(json: Array("{}".utf8)) }
    }

    @Test func watches() throws {
        func line(_ result: String) throws(JSONSyntaxError) -> EtcdWatchLine {
            try EtcdWatchLine(json: Array(#"{"result":{\#(EtcdAnswerTests.header)\#(result)}}"#.utf8))
        }
        #expect(try line(#","created":true"#).isCreated)
        #expect(try line("").events == [])
        let events = try line(
            #","events":[{"kv":\#(EtcdAnswerTests.entry)},{"type":"DELETE","kv":{"key":"YQ==","mod_revision":"7"}}]"#)
        #expect(events.events == [.put(EtcdAnswerTests.found), .deleted(key: "a", revision: 7)])
        #expect(try line(#","canceled":true,"compact_revision":"9""#).compactRevision == 9)
        #expect(throws: JSONSyntaxError.self) { try line(#","events":[{}]"#) }
        #expect(throws: JSONSyntaxError.self) { try line(#","events":[{"type":"MOVE","kv":{}}]"#) }
        #expect(throws: JSONSyntaxError.self) { try EtcdWatchLine(json: Array("{}".utf8)) }
        let error = #"{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader","http_status":"x"}}"#
        #expect(try EtcdWatchLine(json: Array(error.utf8)).error == "etcdserver: no leader")
    }
}
