// The requests that etcd's JSON gateway takes, byte for byte. It ignores a name that it does not know without a word.

import Foundation
import NIOCore

/// A request with the way to read its answer.
struct EtcdRequest<Answer: Sendable>: Sendable {
    /// Below `/v3/`.
    let path: String
    let body: ByteBuffer
    let decode: @Sendable ([UInt8]) throws(JSONSyntaxError) -> Answer

    /// - Parameter write: writes the members of the body.
    fileprivate init(
        _ path: String, decode: @escaping @Sendable ([UInt8]) throws(JSONSyntaxError) -> Answer,
        write: (inout ByteBuffer) -> Void
    ) {
        self.path = path
        self.decode = decode
        var body = ByteBuffer(string: "{")
        write(&body)
        body.writeString("}")
        self.body = body
    }
}

extension EtcdRequest<EtcdTransactionAnswer> {
    static func transaction(_ transaction: EtcdTransaction) -> EtcdRequest {
        EtcdRequest(
            "kv/txn",
            decode: { bytes throws(JSONSyntaxError) in try .init(json: bytes, of: transaction) },
            write: {
                $0.writeString(#""compare":"#)
                $0.writeArray(transaction.comparisons) { $0.write($1) }
                $0.writeString(#","success":"#)
                $0.writeArray(transaction.success) { $0.write($1) }
                $0.writeString(#","failure":"#)
                $0.writeArray(transaction.failure) { $0.write($1) }
            })
    }
}

extension EtcdRequest<EtcdRangeAnswer> {
    static func range(_ range: EtcdRange, limit: Int) -> EtcdRequest {
        EtcdRequest("kv/range", decode: EtcdRangeAnswer.init(json:)) {
            $0.write(range)
            $0.writeString(#","limit":"\#(limit)""#)
        }
    }
}

extension EtcdRequest<EtcdStatusAnswer> {
    static func status() -> EtcdRequest {
        EtcdRequest("maintenance/status", decode: EtcdStatusAnswer.init(json:)) { _ in }
    }
}

extension EtcdRequest<Int> {
    /// Answered by the id of the new lease.
    static func grantLease(seconds: Int) -> EtcdRequest {
        EtcdRequest("lease/grant", decode: EtcdAnswer.leaseID) { $0.writeString(#""TTL":"\#(seconds)""#) }
    }
}

extension EtcdRequest<Bool> {
    /// Answered by whether there is such a lease.
    static func keepAlive(leaseID: Int) -> EtcdRequest {
        EtcdRequest("lease/keepalive", decode: EtcdAnswer.isLeaseAlive) { $0.writeString(#""ID":"\#(leaseID)""#) }
    }
}

extension EtcdRequest<Void> {
    static func revokeLease(leaseID: Int) -> EtcdRequest {
        EtcdRequest("lease/revoke", decode: EtcdAnswer.done) { $0.writeString(#""ID":"\#(leaseID)""#) }
    }

    static func compact(revision: Int) -> EtcdRequest {
        EtcdRequest("kv/compaction", decode: EtcdAnswer.done) { $0.writeString(#""revision":"\#(revision)""#) }
    }
}

extension EtcdRequest<String> {
    /// Answered by a token.
    static func login(_ user: EtcdUser) -> EtcdRequest {
        EtcdRequest("auth/authenticate", decode: EtcdAnswer.token) {
            $0.writeString(#""name":"#)
            $0.writeJSON(user.name)
            $0.writeString(#","password":"#)
            $0.writeJSON(user.password)
        }
    }
}

extension EtcdRequest<EtcdWatchLine> {
    /// Answered by one line after the other. In fragments, since a line would hold a thousand revisions otherwise.
    static func watch(_ range: EtcdRange, fromRevision: Int) -> EtcdRequest {
        EtcdRequest("watch", decode: EtcdWatchLine.init(json:)) {
            $0.writeString(#""create_request":{"#)
            $0.write(range)
            $0.writeString(#","start_revision":"\#(fromRevision)","progress_notify":true,"fragment":true}"#)
        }
    }
}

extension ByteBuffer {
    fileprivate mutating func write(_ comparison: EtcdTransaction.Comparison) {
        switch comparison {
        case .createRevision(let key, let revision):
            writeKey(key)
            writeString(#","target":"CREATE","result":"EQUAL","create_revision":"\#(revision)""#)
        case .modRevision(let key, let revision):
            writeKey(key)
            writeString(#","target":"MOD","result":"EQUAL","mod_revision":"\#(revision)""#)
        }
    }

    fileprivate mutating func write(_ operation: EtcdTransaction.Operation) {
        switch operation {
        case .put(let key, let value, let leaseID):
            writeString(#""request_put":{"#)
            writeKey(key)
            writeString(#","value":"#)
            writeBase64(Data(value))
            if let leaseID { writeString(#","lease":"\#(leaseID)""#) }
        case .delete(let range):
            writeString(#""request_delete_range":{"#)
            write(range)
        case .range(let range):
            writeString(#""request_range":{"#)
            write(range)
        }
        writeString("}")
    }

    fileprivate mutating func write(_ range: EtcdRange) {
        writeKey(range.key)
        if let end = range.end {
            writeString(#","range_end":"#)
            writeBase64(Data(end.utf8))
        }
    }

    private mutating func writeKey(_ key: String) {
        writeString(#""key":"#)
        writeBase64(Data(key.utf8))
    }

    private mutating func writeBase64(_ bytes: Data) {
        writeString("\"")
        writeBytes(bytes.base64EncodedData())
        writeString("\"")
    }

    /// Writes objects of whose members `write` takes care.
    fileprivate mutating func writeArray<Element>(
        _ elements: [Element], _ write: (inout ByteBuffer, Element) -> Void
    ) {
        writeString("[")
        for (index, element) in elements.enumerated() {
            writeString(index == 0 ? "{" : ",{")
            write(&self, element)
            writeString("}")
        }
        writeString("]")
    }
}
