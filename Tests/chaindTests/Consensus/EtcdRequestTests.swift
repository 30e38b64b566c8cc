// What is sent to etcd, byte for byte: a name that it does not know, it ignores without a word.

import Foundation
import NIOCore
import Testing

@testable import chaind

@Suite struct EtcdRequestTests {
    private func text<Answer>(_ request: EtcdRequest<Answer>) -> String {
        "\(request.path) \(String(buffer: request.body))"
    }

    @Test func transactions() {
        let transaction = EtcdTransaction(
            comparisons: [.createRevision("a", 0), .modRevision("bc", 12)],
            success: [
                .put("a", Array("value".utf8)), .put("b", [], leaseID: 7_587_861_540_711_705_105), .delete(.init("c")),
                .delete(.init(prefix: "c/")), .range(.init("d")),
            ],
            failure: [.range(.init("e", before: "f"))])
        #expect(
            text(.transaction(transaction)) == """
                kv/txn {"compare":[\
                {"key":"YQ==","target":"CREATE","result":"EQUAL","create_revision":"0"},\
                {"key":"YmM=","target":"MOD","result":"EQUAL","mod_revision":"12"}],\
                "success":[\
                {"request_put":{"key":"YQ==","value":"dmFsdWU="}},\
                {"request_put":{"key":"Yg==","value":"","lease":"7587861540711705105"}},\
                {"request_delete_range":{"key":"Yw=="}},\
                {"request_delete_range":{"key":"Yy8=","range_end":"YzA="}},\
                {"request_range":{"key":"ZA=="}}],\
                "failure":[\
                {"request_range":{"key":"ZQ==","range_end":"Zg=="}}]}
                """)
        #expect(text(.transaction(EtcdTransaction())) == #"kv/txn {"compare":[],"success":[],"failure":[]}"#)
    }

    @Test func otherRequests() {
        #expect(text(.range(.init("a"), limit: 10)) == #"kv/range {"key":"YQ==","limit":"10"}"#)
        #expect(
            text(.range(.init(prefix: "a/"), limit: 1)) == #"kv/range {"key":"YS8=","range_end":"YTA=","limit":"1"}"#)
        #expect(text(.status()) == "maintenance/status {}")
        #expect(text(.grantLease(seconds: 3)) == #"lease/grant {"TTL":"3"}"#)
        #expect(text(.keepAlive(leaseID: 3)) == #"lease/keepalive {"ID":"3"}"#)
        #expect(text(.revokeLease(leaseID: 3)) == #"lease/revoke {"ID":"3"}"#)
        #expect(text(.compact(revision: 3)) == #"kv/compaction {"revision":"3"}"#)
        #expect(
            text(.login(EtcdUser(name: "a\"b", password: "ö\n")))
                == #"auth/authenticate {"name":"a\"b","password":"ö\n"}"#)
        #expect(
            text(.watch(.init(prefix: "a/"), fromRevision: 5)) == """
                watch {"create_request":{"key":"YS8=","range_end":"YTA=","start_revision":"5",\
                "progress_notify":true,"fragment":true}}
                """)
    }

    /// In the alphabet with plus and slash, and padded.
    @Test func valuesOfAllBytes() {
        for sizeBytes in [0, 1, 2, 3, 255, 256] {
            let value = (0..<sizeBytes).map { UInt8(255 - $0 % 256) }
            let request = text(.transaction(EtcdTransaction(success: [.put("a", value)])))
            #expect(request.contains(#""value":"\#(Data(value).base64EncodedString())"}"#))
        }
    }
}
