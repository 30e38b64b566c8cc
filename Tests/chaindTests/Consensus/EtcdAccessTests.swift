// Who is let in: users and their rights, certificates, and settings that cannot be.

import Foundation
import TestSupport
import Testing

@testable import chaind

@Suite struct EtcdAccessTests {
    // MARK: Users

    private struct Done: Decodable {}

    /// An etcd with `root`, and with `user`, who may do all below `list/`; cheap passwords, and tokens for a second.
    private func withUsers(_ body: (EtcdCluster) async throws -> Void) async throws {
        try await withEtcd(members: 1, arguments: ["--bcrypt-cost", "4", "--auth-token-ttl", "1"]) { cluster in
            for name in ["root", "user"] {
                let _: Done = try await cluster.ask(0, "auth/user/add", ["name": name, "password": "secret"])
                let _: Done = try await cluster.ask(0, "auth/role/add", ["name": name])
                let _: Done = try await cluster.ask(0, "auth/user/grant", ["user": name, "role": name])
            }
            struct Grant: Encodable {
                struct Permission: Encodable {
                    enum CodingKeys: String, CodingKey {
                        case permType, key
                        case end = "range_end"
                    }
                    let permType = "READWRITE"
                    let key = Data("list/".utf8)
                    let end = Data("list0".utf8)
                }
                let name = "user"
                let perm = Permission()
            }
            let _: Done = try await cluster.ask(0, "auth/role/grant", Grant())
            let _: Done = try await cluster.ask(0, "auth/enable")
            try await body(cluster)
        }
    }

    private func settings(_ cluster: EtcdCluster, _ userName: String?, _ password: String?) -> EtcdSettings {
        EtcdSettings(endpoints: cluster.endpoints, userName: userName, password: password)
    }

    @Test func aUserIsLetInToWhatItMayDo() async throws {
        try await withUsers { cluster in
            try await withEtcdClient(settings(cluster, "user", "secret")) { etcd in
                #expect(try await etcd.transact(.create("list/a", "1")).isSucceeded)
                #expect(try await etcd.range(EtcdRange(prefix: "list/"), 1).entries.count == 1)
                let lease = try await etcd.grantLease(10)
                #expect(try await etcd.transact(.put("list/b", "1", leaseID: lease)).isSucceeded)
                #expect(try await etcd.keepAlive(lease))
                try await etcd.revokeLease(lease)
                #expect(try await etcd.watch(EtcdRange(prefix: "list/"), 1).next(1).first?.text == "list/a=1")
                #expect(await etcd.status().count == 1)

                let denied = EtcdError.denied("etcdserver: permission denied")
                #expect(
                    try await etcdFailure { try await etcd.transact(.put("other", "")) } == denied)
                #expect(
                    try await etcdFailure { try await etcd.range(EtcdRange("other"), 1) } == denied)
                #expect(
                    try await etcdFailure { try await etcd.watch(EtcdRange("other"), 1) }?
                        .isDenied == true)
                #expect(try await etcd.transact(.put("list/c", "1")).isSucceeded)
            }
        }
    }

    @Test func aStrangerIsNotLetIn() async throws {
        try await withUsers { cluster in
            for name in ["user", "nobody"] {
                try await withEtcdClient(settings(cluster, name, "wrong")) { etcd async throws in
                    let denied = EtcdError.denied("wrong user name or password")
                    #expect(
                        try await etcdFailure { try await etcd.transact(.put("list/a", "")) } == denied)
                    #expect(
                        try await etcdFailure { try await etcd.watch(EtcdRange("list/a"), 1) } == denied)
                }
            }
            try await withEtcdClient(settings(cluster, nil, nil)) { etcd async throws in
                #expect(
                    try await etcdFailure { try await etcd.transact(.put("list/a", "")) }
                        == .denied("etcdserver: user name is empty"))
                #expect(
                    try await etcdFailure { try await etcd.watch(EtcdRange("list/a"), 1) }?
                        .isDenied == true)
            }
        }
    }

    @Test func aSpentLoginIsRenewed() async throws {
        try await withUsers { cluster in
            try await withEtcdClient(settings(cluster, "user", "secret")) { etcd in
                func useAll() async throws {
                    #expect(try await etcd.transact(.put("list/a", "1")).isSucceeded)
                    #expect(try await etcd.range(EtcdRange("list/a"), 1).entries.count == 1)
                    #expect(try await etcd.watch(EtcdRange("list/a"), 2).next(1).first?.text == "list/a=1")
                }
                try await useAll()
                // Its members forget all tokens.
                try cluster.start(0)
                try await cluster.waitUntilReady()
                try await useAll()
                // The tokens of who changes a password are from before.
                struct Login: Decodable { let token: String }
                let root: Login = try await cluster.ask(0, "auth/authenticate", ["name": "root", "password": "secret"])
                let _: Done = try await cluster.ask(
                    0, "auth/user/changepw", ["name": "user", "password": "secret"], token: root.token)
                try await useAll()
                try await Task.sleep(for: .milliseconds(2_500))
                try await useAll()
            }
        }
    }

    /// Users may come later.
    @Test func aUserIsLetInWhereNobodyIsAskedWhoTheyAre() async throws {
        try await withEtcd(members: 1, arguments: ["--bcrypt-cost", "4"]) { cluster in
            try await withEtcdClient(settings(cluster, "root", "secret")) { etcd in
                #expect(try await etcd.transact(.put("a", "1")).isSucceeded)
                let _: Done = try await cluster.ask(0, "auth/user/add", ["name": "root", "password": "secret"])
                let _: Done = try await cluster.ask(0, "auth/user/grant", ["user": "root", "role": "root"])
                let _: Done = try await cluster.ask(0, "auth/enable")
                #expect(try await etcd.transact(.put("a", "2")).isSucceeded)
            }
        }
    }

    // MARK: Certificates

    /// Makes authorities, and for each a server and a client that it vouches for.
    private func makeCertificates(_ directory: TemporaryDirectory, authorities: [String]) async throws {
        func openssl(_ arguments: String) async throws {
            let result = try await runCommand(
                ["openssl"] + arguments.split(separator: " ").map(String.init), directory: directory.path)
            guard result.status == 0 else { throw TestSupportError("openssl: \(result.error)") }
        }
        let newKey = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
        try Data("subjectAltName=IP:127.0.0.1".utf8)
            .write(to: URL(fileURLWithPath: directory.path("extensions")))
        for name in authorities {
            try await openssl("req -x509 \(newKey) -keyout \(name).key -out \(name).pem -subj /CN=\(name) -days 2")
            for holder in ["\(name)-server", "\(name)-client"] {
                try await openssl("req \(newKey) -keyout \(holder).key -out \(holder).csr -subj /CN=\(holder)")
                try await openssl(
                    "x509 -req -in \(holder).csr -CA \(name).pem -CAkey \(name).key -CAcreateserial "
                        + "-out \(holder).pem -days 2 -extfile extensions")
            }
        }
    }

    @Test func etcdAndClientShowCertificates() async throws {
        try await withTemporaryDirectory { directory in
            try await makeCertificates(directory, authorities: ["ours", "theirs"])
            let arguments = [
                "--cert-file", directory.path("ours-server.pem"), "--key-file", directory.path("ours-server.key"),
                "--client-cert-auth", "--trusted-ca-file", directory.path("ours.pem"),
            ]
            try await withEtcd(members: 1, scheme: "https", arguments: arguments) { cluster in
                var settings = EtcdSettings(endpoints: cluster.endpoints)
                settings.caPath = directory.path("ours.pem")
                settings.certificatePath = directory.path("ours-client.pem")
                settings.keyPath = directory.path("ours-client.key")
                try await withEtcdClient(settings) { etcd async throws in
                    #expect(try await etcd.transact(.put("a", "1")).isSucceeded)
                    #expect(try await etcd.watch(EtcdRange("a"), 1).next(1).count == 1)
                }

                var strangeEtcd = settings
                strangeEtcd.caPath = directory.path("theirs.pem")
                try await expectNoConnection(strangeEtcd, because: "its certificate is not vouched for")
                var strangeClient = settings
                strangeClient.certificatePath = directory.path("theirs-client.pem")
                strangeClient.keyPath = directory.path("theirs-client.key")
                try await expectNoConnection(strangeClient, because: "TLS: sslv3 alert bad certificate")
                var noCertificate = settings
                noCertificate.certificatePath = nil
                noCertificate.keyPath = nil
                try await expectNoConnection(noCertificate, because: "TLS: sslv3 alert bad certificate")
                var plain = settings
                plain.endpoints = plain.endpoints.map { $0.replacing("https", with: "http") }
                try await expectNoConnection(plain, because: "no connection: Remote connection closed")
            }
        }
    }

    private func expectNoConnection(_ settings: EtcdSettings, because reason: String) async throws {
        try await withEtcdClient(settings) { etcd in
            let failure = try await etcdFailure { try await etcd.transact(.put("a", "2")) }
            #expect(failure == .unknown("\(settings.endpoints[0]): \(reason)"))
        }
    }

    // MARK: Settings

    @Test(arguments: [
        "", "127.0.0.1:2379", "ftp://127.0.0.1", "http://", "http://127.0.0.1:2379/v3", "http://a:b@127.0.0.1",
        "http://127.0.0.1?a", "http://127.0.0.1#a", "http://a b",
    ])
    func anEndpointIsAURL(endpoint: String) {
        #expect {
            _ = try EtcdClient(settings: EtcdSettings(endpoints: ["http://127.0.0.1:2379", endpoint]))
        } throws: { error in
            "\(error)" == "etcd: \(endpoint): not a URL such as http://127.0.0.1:2379"
        }
    }

    @Test func settingsGoTogether() async throws {
        func failure(_ change: (inout EtcdSettings) -> Void) -> String {
            var settings = EtcdSettings(endpoints: ["http://127.0.0.1:2379"])
            change(&settings)
            do throws(CommandError) {
                _ = try EtcdClient(settings: settings)
                return ""
            } catch {
                return error.description
            }
        }
        try await withTemporaryDirectory { directory in
            let file = directory.path("file")
            try Data("no certificate".utf8).write(to: URL(fileURLWithPath: file))
            try await makeCertificates(directory, authorities: ["ours"])
            #expect(failure { $0.endpoints = [] } == "etcd: no endpoint")
            #expect(failure { $0.userName = "a" } == "etcd: a user name and a password go together")
            #expect(failure { $0.password = "a" } == "etcd: a user name and a password go together")
            #expect(failure { $0.keyPath = file } == "etcd: a certificate and its key go together")
            let noFile = "cannot be read: No such file or directory"
            for (path, certificateFault, keyFault) in [
                (file, "not certificates in a PEM file that can be read", "not a key in a PEM file that can be read"),
                (directory.path("none"), noFile, noFile), (directory.path, "not a plain file", "not a plain file"),
            ] {
                let reason = "etcd: \(path): \(certificateFault)"
                #expect(failure { $0.caPath = path } == reason)
                #expect(
                    failure {
                        $0.certificatePath = path
                        $0.keyPath = directory.path("ours.key")
                    } == reason)
                #expect(
                    failure {
                        $0.certificatePath = directory.path("ours.pem")
                        $0.keyPath = path
                    } == "etcd: \(path): \(keyFault)")
            }
        }
    }
}
