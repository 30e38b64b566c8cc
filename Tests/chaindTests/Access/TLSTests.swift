// TLS with certificates of an authority of the test's own: who is served, what is read again, and a group that uses it.

import Foundation
import NIOSSL
import TestSupport
import Testing

@testable import chaind

@Suite struct TLSTests {
    /// What a test of TLS has at hand.
    private struct Scene {
        let directory: TemporaryDirectory
        let authority: Authority
        let node: (certificatePath: String, keyPath: String)

        var arguments: [String] { ["--tls-cert", node.certificatePath, "--tls-key", node.keyPath] }
    }

    private func withScene(_ body: (Scene) async throws -> Void) async throws {
        try await withTemporaryDirectory { directory in
            let authority = try await Authority(directory: directory.path)
            try await body(
                Scene(directory: directory, authority: authority, node: try await authority.issue("node")))
        }
    }

    @Test func whoTrustsTheAuthorityIsServed() async throws {
        try await withScene { scene in
            let shown = ShownAccess(tls: try scene.authority.tls())
            try await withNode(arguments: scene.arguments, shown: shown) { node async throws in
                let large = String(repeating: "x", count: 1 << 20)
                for text in ["a", large] {
                    #expect(try await node.client.post("/blocks/", ["data": text]).status == 200)
                }
                // Answers after which the connection ends, and one that is streamed.
                #expect(try await node.client.post("/blocks/", ["data": large + "x"]).status == 413)
                #expect(try await node.client.get("/blocks/valid").status == 200)
                let list = try await node.client.get("/blocks/").json(BlocksAnswer.self)
                #expect(list.blocks.map(\.data.utf8.count) == [13, 1, 1 << 20])

                // Without TLS, and with the system's authorities.
                await #expect(throws: (any Error).self) {
                    try await node.client(showing: ShownAccess()).get("/", timeoutSeconds: 5)
                }
                await #expect(throws: (any Error).self) {
                    try await node.client(showing: ShownAccess(tls: .makeClientConfiguration())).get("/")
                }
                var old = try scene.authority.tls()
                old.minimumTLSVersion = .tlsv1
                old.maximumTLSVersion = .tlsv11
                await #expect(throws: (any Error).self) {
                    try await node.client(showing: ShownAccess(tls: old)).get("/")
                }

                let url = "https://localhost:\(node.port)"
                let command = try await runChaind([
                    "get", "1", "--json", "--url", url, "--tls-ca", scene.authority.path,
                ])
                #expect(command.status == 0 && command.output.contains("\"data\":\"a\""))
                #expect(try await runChaind(["head", "--url", url]).status == 75)
            }
        }
    }

    @Test func onlyThoseWithACertificateAreServedWhereItIsRequired() async throws {
        try await withScene { scene in
            let other = scene.directory.path("other")
            try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
            let stranger = try await Authority(directory: other).issue("stranger")
            let client = try await scene.authority.issue("client")
            let arguments = scene.arguments + ["--tls-ca", scene.authority.path, "--tls-require-clients"]
            let shown = ShownAccess(tls: try scene.authority.tls(showing: client))
            try await withNode(arguments: arguments, shown: shown) { node async throws in
                #expect(try await node.client.post("/blocks/", ["data": "a"]).status == 200)
                for identity in [nil, stranger] {
                    let refused = ShownAccess(tls: try scene.authority.tls(showing: identity))
                    await #expect(throws: (any Error).self) { try await node.client(showing: refused).get("/") }
                }
                let flags = [
                    "--url", "https://localhost:\(node.port)", "--tls-ca", scene.authority.path, "--tls-cert",
                    client.certificatePath, "--tls-key", client.keyPath,
                ]
                #expect(try await runChaind(["append", "b"] + flags).status == 0)
                #expect(try await node.client.get("/").json(StatusAnswer.self).height == 2)
            }
        }
    }

    @Test func aHangUpReadsCertificatesAndTokensAgainAndDropsNobody() async throws {
        try await withScene { scene in
            let tokensPath = scene.directory.path("tokens")
            func makeToken(_ name: String) async throws -> String {
                try await runChaind(["token", "operator", name, "--tokens-file", tokensPath]).output
                    .trimmingCharacters(in: .newlines)
            }
            let old = try await makeToken("old")
            let shown = ShownAccess(tls: try scene.authority.tls(), token: old)
            let arguments = scene.arguments + ["--tokens-file", tokensPath, "--log-level", "notice"]
            try await withNode(arguments: arguments, shown: shown) { node async throws in
                // One that listens all the while.
                let listener = try await node.client.listen()
                let certificate = try await Self.certificate(of: node)

                // A file that is none leaves everything as it was.
                let text = try String(contentsOfFile: tokensPath, encoding: .utf8)
                try (text + "king arthur 1\n").write(toFile: tokensPath, atomically: true, encoding: .utf8)
                node.signal(SIGHUP)
                try await eventually("the file is refused") { node.error.contains("tokens stay as they were") }
                #expect(try await node.client.get("/").status == 200)

                try FileManager.default.removeItem(atPath: tokensPath)
                let new = try await makeToken("new")
                let renewed = try await scene.authority.issue("renewed")
                for (from, to) in [
                    (renewed.certificatePath, scene.node.certificatePath), (renewed.keyPath, scene.node.keyPath),
                ] {
                    try Data(contentsOf: URL(fileURLWithPath: from)).write(to: URL(fileURLWithPath: to))
                }
                node.signal(SIGHUP)
                let renewedClient = node.client(showing: ShownAccess(tls: shown.tls, token: new))
                try await eventually("the new token is taken") { try await renewedClient.get("/").status == 200 }
                #expect(try await node.client.get("/").status == 401)
                #expect(try await Self.certificate(of: node) != certificate)
                #expect(try await renewedClient.post("/blocks/", ["data": "a"]).status == 200)
                #expect(try await listener.next()?.event == "block")
                for token in [old, new] { #expect(!node.error.contains(token)) }
            }
        }
    }

    /// The certificate that a new connection is shown.
    private static func certificate(of node: NodeProcess) async throws -> String {
        let result = try await runCommand(
            ["openssl", "s_client", "-connect", "127.0.0.1:\(node.port)", "-showcerts"])
        let parts = result.output.components(separatedBy: "-----")
        guard parts.count > 2 else { throw TestSupportError("no certificate: \(result.output) \(result.error)") }
        return parts[2]
    }

    @Test func whatDoesNotGreetIsGivenUp() async throws {
        try await withScene { scene in
            let arguments = scene.arguments + ["--header-timeout-seconds", "1"]
            let shown = ShownAccess(tls: try scene.authority.tls())
            try await withNode(arguments: arguments, shown: shown) { node async throws in
                for bytes: [UInt8] in [[], [0x16, 0x03]] {
                    let start = ContinuousClock.now
                    let silent = try RawConnection(port: node.port)
                    try await silent.send(bytes)
                    #expect(try await silent.receiveToEnd().isEmpty)
                    #expect(.milliseconds(900)..<(.seconds(8)) ~= ContinuousClock.now - start)
                }
                #expect(try await node.client.get("/").status == 200)
            }
        }
    }

    @Test func aGroupWithTLSAndTokensKeepsOneList() async throws {
        try await withScene { scene in
            let tokensPath = scene.directory.path("tokens")
            var tokens: [String: String] = [:]
            for role in ["member", "writer", "reader"] {
                let result = try await runChaind(["token", role, role, "--tokens-file", tokensPath])
                tokens[role] = result.output.trimmingCharacters(in: .newlines)
                try result.output.write(toFile: scene.directory.path(role), atomically: true, encoding: .utf8)
            }
            let shown = ShownAccess(tls: try scene.authority.tls(showing: scene.node), token: tokens["writer"])
            var arguments =
                scene.arguments + [
                    "--tls-ca", scene.authority.path, "--tls-require-clients", "--interval-seconds", "1",
                ]
            arguments += ["--tokens-file", tokensPath, "--log-level", "notice"]
            let nodes = try (0..<3).map { index in
                let folder = scene.directory.path("node\(index)")
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                // One of them has a token that is no member's.
                let own = ["--member-token-file", scene.directory.path(index == 2 ? "reader" : "member")]
                return try NodeProcess(directory: folder, arguments: arguments + own, shown: shown)
            }
            defer { for node in nodes { node.stop() } }
            try await nodes[0].start()
            for node in nodes.dropFirst() {
                try await node.start(adding: ["--join", "https://localhost:\(nodes[0].port)"])
            }
            for text in ["a", "b", "c"] {
                #expect(try await nodes[0].client.post("/blocks/", ["data": text]).status == 200)
            }
            try await eventually("the member has the list") {
                try await nodes[1].client.get("/").json(StatusAnswer.self).height == 3
            }
            #expect(try await nodes[1].client.post("/blocks/?wait=2", ["data": "d"]).status == 200)
            try await eventually("the list came back") {
                try await nodes[0].client.get("/").json(StatusAnswer.self).height == 4
            }
            // Its messages are refused, and none of its blocks got in.
            #expect(try await nodes[2].client.post("/blocks/", ["data": "stranger"]).status == 200)
            try await eventually("the stranger is told why") {
                try await nodes[2].client.get("/sync/").text.contains("does not permit this")
            }
            let blocks = try await nodes[0].client.get("/blocks/").json(BlocksAnswer.self).blocks
            #expect(blocks.map(\.data).dropFirst() == ["a", "b", "c", "d"])
            for token in tokens.values { for node in nodes { #expect(!node.error.contains(token)) } }
        }
    }

    // MARK: Settings that cannot be

    @Test(arguments: [
        (["--host", "0.0.0.0", "--url", "http://127.0.0.1:1"], "it needs tls-cert and tls-key; or insecure"),
        (
            ["--host", "0.0.0.0", "--url", "http://127.0.0.1:1", "--tokens-file", "TOKENS"],
            "it needs tls-cert and tls-key"
        ),
        (["--tls-cert", "CERT"], "tls-cert and tls-key go together"),
        (["--tls-require-clients"], "tls-ca and tls-require-clients need tls-cert and tls-key"),
        (["--tls-cert", "CERT", "--tls-key", "KEY", "--tls-require-clients"], "tls-require-clients needs tls-ca"),
        (["--tls-cert", "CERT", "--tls-key", "CERT"], "not a key in a PEM file"),
        (["--tls-cert", "KEY", "--tls-key", "KEY"], "not certificates in a PEM file"),
        (["--tls-cert", "CERT", "--tls-key", "OTHER"], "the key is not that of the certificate"),
        (["--tls-cert", "CERT", "--tls-key", "KEY", "--url", "http://127.0.0.1:1"], "begins with https://"),
        (
            ["--tls-cert", "CERT", "--tls-key", "KEY", "--host", "0.0.0.0", "--url", "https://127.0.0.1:1"],
            "it needs tokens-file or tls-require-clients; or insecure"
        ),
        (["--tokens-file", "CERT"], "line 1 is not ROLE NAME HASH"),
        (["--tokens-file", "/nowhere"], "/nowhere: cannot be read"),
        (["--member-token-file", "/nowhere"], "/nowhere: cannot be read"),
        (["--allow-origin", "a.example"], "not an origin"),
    ])
    func aNodeThatCannotBeClosedDoesNotStart(arguments: [String], reason: String) async throws {
        try await withScene { scene in
            let other = try await scene.authority.issue("other")
            let paths = [
                "CERT": scene.node.certificatePath, "KEY": scene.node.keyPath, "OTHER": other.keyPath,
                "TOKENS": scene.directory.path("tokens"),
            ]
            let folder = scene.directory.path("data")
            let result = try await runChaind(
                ["serve", "--port", "0", "--data-dir", folder, "--host", "127.0.0.1"]
                    + arguments.map { paths[$0] ?? $0 })
            #expect(result.status == 1 && result.output.isEmpty)
            #expect(result.error.hasPrefix("chaind: ") && result.error.contains(reason), "\(result.error)")
            #expect(!FileManager.default.fileExists(atPath: folder))
        }
    }
}
