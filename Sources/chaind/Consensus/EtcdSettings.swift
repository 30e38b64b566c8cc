// Where etcd is, who we are to it, and how patient we are with it.

import Foundation
import NIOSSL

/// What a client of etcd has to be told. `EtcdClient` checks it.
struct EtcdSettings: Sendable {
    /// URLs such as `http://127.0.0.1:2379`, of any or all members.
    var endpoints: [String]
    var userName: String?
    var password: String?
    /// PEM file of the authorities that vouch for etcd; the system's where it is nil.
    var caPath: String?
    /// PEM files with which we show who we are, where etcd asks for it.
    var certificatePath: String?
    var keyPath: String?
    /// For one attempt: the connection, the login if there has to be one, the request and the whole answer.
    var attemptSeconds = 2.0
    /// For all endpoints to say how they are.
    var statusSeconds = 2.0
    /// How long nothing at all may come on a watch before it ends. etcd itself may be silent for 10 minutes.
    var watchIdleSeconds = 60.0

    /// The endpoints without a slash at the end.
    ///
    /// - Throws: `CommandError` that names what is not an endpoint.
    func checkedEndpoints() throws(CommandError) -> [String] {
        guard !endpoints.isEmpty else { throw CommandError("etcd: no endpoint") }
        return try endpoints.map { endpoint throws(CommandError) in
            guard let parts = URLComponents(string: endpoint), ["http", "https"].contains(parts.scheme),
                parts.host?.isEmpty == false, ["", "/"].contains(parts.path), parts.user == nil,
                parts.password == nil, parts.query == nil, parts.fragment == nil
            else {
                throw CommandError("etcd: \(oneLine(endpoint)): not a URL such as http://127.0.0.1:2379")
            }
            return endpoint.hasSuffix("/") ? String(endpoint.dropLast()) : endpoint
        }
    }

    /// The name and the password, or nil without a name.
    ///
    /// - Throws: `CommandError` if there is only one of them.
    func checkedUser() throws(CommandError) -> EtcdUser? {
        switch (userName, password) {
        case (nil, nil): return nil
        case (let name?, let password?): return EtcdUser(name: name, password: password)
        default: throw CommandError("etcd: a user name and a password go together")
        }
    }

    /// How connections to `https` endpoints are made.
    ///
    /// - Throws: `CommandError` that names the file that is not what it should be.
    func tlsConfiguration() throws(CommandError) -> TLSConfiguration {
        do {
            return try .client(caPath: caPath, certificatePath: certificatePath, keyPath: keyPath)
        } catch {
            throw CommandError("etcd: \(error)")
        }
    }
}

/// Who we are to an etcd that asks for it.
struct EtcdUser: Sendable {
    let name: String
    let password: String
}
