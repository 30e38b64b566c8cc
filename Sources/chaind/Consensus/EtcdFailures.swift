// Sorts the failures of requests to etcd: what is certainly not done, and all else.

import Foundation
import NIOSSL

extension EtcdError {
    /// What etcd says to who uses or ends a lease that is over.
    static let noLease = "requested lease not found"
    /// What it says to a compaction that was done before.
    static let alreadyCompacted = "required revision has been compacted"
    /// What it says to a login where it asks nobody who they are.
    static let noLoginNeeded = "authentication is not enabled"

    /// The failure that an answer other than 200 is. Only what is refused before anything is written counts as refused:
    /// what is answered by 5xx may be done later.
    init(status: Int, message: String, endpoint: String) {
        switch status {
        case 401, 403: self = .denied(message)
        case 400 where message.contains("invalid user ID or password"): self = .denied("wrong user name or password")
        case 400 where EtcdError.isSpentLogin(message): self = .denied(message)
        case 429 where message.contains("database space exceeded"): self = .full
        case 400, 429: self = .refused(message)
        case 404 where message.contains(EtcdError.noLease): self = .refused(message)
        case 412 where message.contains(EtcdError.noLoginNeeded): self = .refused(message)
        default: self = .unknown("\(endpoint): status \(status): \(message)")
        }
    }

    /// The failure that the end of a watch is, where etcd gives a reason: a code and a message in one text.
    init(cancelReason reason: String, endpoint: String) {
        let isDenied = EtcdError.isSpentLogin(reason) || reason.contains("permission denied")
        self = isDenied ? .denied(reason) : .unknown("\(endpoint): \(reason)")
    }

    /// The failure of a request that got no answer, or none of etcd's.
    init(_ error: any Error, endpoint: String) {
        switch error {
        case let error as EtcdError: self = error
        case let error as JSONSyntaxError: self = .unknown("\(endpoint): not an answer of etcd: \(error.message)")
        case NIOSSLError.handshakeFailed(let error): self = .unknown("\(endpoint): \(EtcdError.reason(of: error))")
        case let error as BoringSSLError: self = .unknown("\(endpoint): \(EtcdError.reason(of: error))")
        default: self = .unknown("\(endpoint): \(PeerError(error))")
        }
    }

    /// Why there is no secure connection, in BoringSSL's words without its code and its place in a source file.
    private static func reason(of error: BoringSSLError) -> String {
        let text = "\(error)"
        let words = text.components(separatedBy: "OPENSSL_internal:").last?.components(separatedBy: " at ").first
        let reason = (words ?? text).replacing("_", with: " ").lowercased()
        return reason == "certificate verify failed" ? "its certificate is not vouched for" : "TLS: \(oneLine(reason))"
    }

    /// Whether what was to be written was to be under a lease that is over.
    var isLeaseOver: Bool {
        if case .refused(let message) = self { message.contains(EtcdError.noLease) } else { false }
    }

    /// Whether a new login helps: there was none, a member does not know the token any more, or it is from before a
    /// change of users and rights.
    var isSpentLogin: Bool {
        if case .denied(let message) = self { EtcdError.isSpentLogin(message) } else { false }
    }

    private static func isSpentLogin(_ message: String) -> Bool {
        ["user name is empty", "invalid auth token", "revision of auth store is old"].contains { message.contains($0) }
    }
}
