// Tokens: the file, the command that makes them, and what each role may do at a node.

import AsyncHTTPClient
import Foundation
import NIOSSL
import TestSupport
import Testing

@testable import chaind

@Suite struct TokenTests {
    private static let hash = "0bcac3e2072a457531149ab51d9f653b311ea0832faeaf7067732d1db8be5cd9"

    // MARK: The file

    @Test func aTokenHasTheRoleOfItsLine() throws {
        let lines = Role.allCases.map { role in
            "\(role.rawValue)  name-\(role.rawValue)\t\(TokenFile.hash(of: Array("token of \(role)".utf8)))"
        }
        let file = try TokenFile("# comment\n\n" + lines.joined(separator: "\n"), path: "tokens")
        for role in Role.allCases { #expect(file.role(of: Array("token of \(role)".utf8)) == role) }
        #expect(file.role(of: Array("token of nobody".utf8)) == nil)
        #expect(file.role(of: []) == nil)
        // What stands in the file is no token.
        #expect(file.role(of: Array("\(TokenFile.hash(of: Array("token of reader".utf8)))".utf8)) == nil)
    }

    @Test(arguments: [
        "king arthur \(hash)", "reader \(hash)", "reader a b \(hash)", "reader a 0bca", "reader a/b \(hash)",
        "reader \(String(repeating: "a", count: 65)) \(hash)",
        "reader a \(hash)\nwriter a \(hash)",
    ])
    func aFileThatIsNoneIsRefusedWithItsLine(text: String) {
        let error = #expect(throws: CommandError.self) { try TokenFile("# tokens\n" + text, path: "tokens") }
        #expect(error?.description.hasPrefix("tokens: line \(text.contains("\n") ? 3 : 2) ") == true)
        #expect(error?.description.contains("0bca") == false)
    }

    @Test func linesMayEndAsOnOtherMachines() throws {
        let file = try TokenFile(
            "# tokens\r\nreader a \(TokenFile.hash(of: [1]))\r\nwriter b \(TokenFile.hash(of: [2]))\r\n", path: "")
        #expect(file.role(of: [1]) == .reader && file.role(of: [2]) == .writer)
    }

    /// A pipe would never end, and a file that is being written locks everybody out.
    @Test func whatIsNoFileOfTokensIsRefused() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.path("tokens")
            func reason() -> String? { #expect(throws: CommandError.self) { try TokenFile(path: path) }?.description }
            #expect(reason() == "\(path): cannot be read: No such file or directory")
            try "# none yet\n".write(toFile: path, atomically: true, encoding: .utf8)
            #expect(reason() == "\(path): has no tokens")
            try FileManager.default.removeItem(atPath: path)
            #expect(mkfifo(path, 0o600) == 0)
            #expect(reason() == "\(path): not a plain file")
            #expect(throws: CommandError.self) { try PEMFiles.certificates(path) }
            #expect(throws: CommandError.self) { try PEMFiles.privateKey(path) }
        }
    }

    @Test func onlySoManyTokensAreTaken() throws {
        let lines = (0...TokenFile.tokensMax).map { "reader name\($0) \(Self.hash)\n" }
        #expect(try TokenFile(lines.dropLast().joined(), path: "tokens").entries.count == TokenFile.tokensMax)
        let error = #expect(throws: CommandError.self) { try TokenFile(lines.joined(), path: "tokens") }
        #expect(error?.description == "tokens: more than 1000 tokens")
    }

    // MARK: What is shown

    @Test(arguments: [
        ("https://node:1/", true, true), ("http://node:1/", true, false), ("http://node:1/", false, true),
    ])
    func aTokenIsNotSentInTheClearByWhoSpeaksTLS(url: String, speaksTLS: Bool, isSent: Bool) {
        let credentials = NodeCredentials(tls: speaksTLS ? .makeClientConfiguration() : nil, token: "secret")
        var request = HTTPClientRequest(url: url)
        credentials.apply(to: &request)
        #expect(request.headers["Authorization"] == (isSent ? ["Bearer secret"] : []))
    }

    // MARK: The command

    @Test func theCommandAddsALineAndPrintsTheToken() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.path("tokens")
            var tokens: [String] = []
            for (role, name) in [("writer", "billing"), ("reader", "grafana")] {
                let result = try await runChaind(["token", role, name, "--tokens-file", path])
                #expect(result.status == 0 && result.error.isEmpty)
                tokens.append(result.output.trimmingCharacters(in: .newlines))
            }
            let text = try String(contentsOfFile: path, encoding: .utf8)
            let file = try TokenFile(text, path: path)
            #expect(file.entries.map(\.name) == ["billing", "grafana"])
            #expect(tokens.map { file.role(of: Array($0.utf8)) } == [.writer, .reader])
            #expect(tokens.allSatisfy { $0.utf8.count == 43 && !text.contains($0) })

            let again = try await runChaind(["token", "member", "billing", "--tokens-file", path])
            #expect(again.status == 1 && again.output.isEmpty)
            #expect(again.error == "chaind: \(path): line 3 has a name that another one has\n")
            #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
            #expect(try await runChaind(["token", "king", "arthur", "--tokens-file", path]).status == 64)
        }
    }

    // MARK: At a node

    /// A node with a token for each role.
    private func withTokens(
        arguments: [String] = [], _ body: (NodeProcess, [Role: String]) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.path("tokens")
            var tokens: [Role: String] = [:]
            for role in Role.allCases {
                let result = try await runChaind(["token", role.rawValue, role.rawValue, "--tokens-file", path])
                tokens[role] = result.output.trimmingCharacters(in: .newlines)
            }
            let shown = ShownAccess(token: tokens[.operator])
            try await withNode(arguments: ["--tokens-file", path] + arguments, shown: shown) { node async throws in
                try await body(node, tokens)
            }
        }
    }

    /// Requests of each kind, and who may send them; nobody is asked for a token where there are no roles.
    private static let requests: [(method: String, path: String, body: String?, roles: Set<Role>?)] = [
        ("GET", "/live", nil, nil), ("GET", "/ready", nil, nil), ("GET", "/docs", nil, nil),
        ("GET", "/openapi.json", nil, nil),
        ("GET", "/", nil, Set(Role.allCases)), ("GET", "/blocks/", nil, Set(Role.allCases)),
        ("GET", "/blocks/head", nil, Set(Role.allCases)), ("GET", "/blocks/0", nil, Set(Role.allCases)),
        ("HEAD", "/blocks/head", nil, Set(Role.allCases)),
        ("GET", "/blocks/valid", nil, Set(Role.allCases)), ("GET", "/sync/", nil, Set(Role.allCases)),
        ("GET", "/sync/orphans", nil, Set(Role.allCases)), ("GET", "/metrics", nil, Set(Role.allCases)),
        ("POST", "/blocks/", #"{"data": "short"}"#, [.writer, .operator]),
        ("POST", "/blocks/?wait=0", #"{"data": "long"}"#, [.writer, .operator]),
        ("POST", "/blocks/batch", #"{"data": ["batch"]}"#, [.writer, .operator]),
        ("POST", "/sync/start", nil, [.operator]), ("POST", "/sync/address", "{}", [.operator]),
        ("POST", "/sync/forget", "{}", [.operator]), ("POST", "/sync/adopt", "{}", [.operator]),
        ("POST", "/sync/blockchain", "{}", [.member, .operator]), ("POST", "/sync/status", "{}", [.member, .operator]),
        ("POST", "/sync/locate", "{}", [.member, .operator]), ("POST", "/sync/leave", "{}", [.member, .operator]),
        ("POST", "/sync/forward", "", [.member, .operator]),
        ("GET", "/sync/stream?after=9&hash=\(hash)", nil, [.member, .operator]),
    ]

    @Test func eachRoleMayDoWhatItIsFor() async throws {
        try await withTokens { node, tokens in
            for (method, path, body, roles) in Self.requests {
                let fields = body == nil ? [:] : ["Content-Type": "application/json"]
                func status(_ client: HTTPTestClient) async throws -> HTTPAnswer {
                    try await client.send(method, path, fields: fields, body: body.map { Array($0.utf8) })
                }
                for token in [nil, "", "wrong"] {
                    let answer = try await status(node.client(showing: ShownAccess(token: token)))
                    #expect((answer.status == 401) == (roles != nil), "\(method) \(path)")
                    #expect((answer.fields["www-authenticate"] != nil) == (roles != nil))
                }
                for role in Role.allCases {
                    let answer = try await status(node.client(showing: ShownAccess(token: tokens[role])))
                    let isPermitted = roles?.contains(role) ?? true
                    #expect((answer.status != 403) == isPermitted && answer.status != 401, "\(role) \(method) \(path)")
                }
            }
            // Three appends by two of the roles.
            #expect(try await node.client.get("/").json(StatusAnswer.self).height == 6)
            for token in tokens.values { #expect(!node.error.contains(token)) }
        }
    }

    @Test func aBrowserMayShowTheTokenAsItsPassword() async throws {
        try await withTokens { node, tokens in
            let client = node.client(showing: ShownAccess())
            func status(_ field: String) async throws -> Int {
                try await client.get("/blocks/head", fields: ["Authorization": field]).status
            }
            let token = try #require(tokens[.reader])
            for user in ["", "somebody"] {
                #expect(try await status("Basic " + Data("\(user):\(token)".utf8).base64EncodedString()) == 200)
            }
            #expect(try await status("bearer \(token)") == 200)
            for field in [
                "Basic \(token)", "Basic " + Data("\(token):".utf8).base64EncodedString(), "Basic ####", "Bearer",
                token, "Digest \(token)", "Bearer  \(token)x",
            ] {
                #expect(try await status(field) == 401, "\(field)")
            }
        }
    }

    @Test func whatStrangersSendAsMembersIsCounted() async throws {
        try await withTokens(arguments: ["--client-requests-per-second", "5"]) { node, tokens in
            func statuses(_ token: String?) async throws -> Set<Int> {
                var statuses: Set<Int> = []
                for _ in 0..<20 {
                    let client = node.client(showing: ShownAccess(token: token))
                    statuses.insert(try await client.send("POST", "/sync/locate", body: Array("{}".utf8)).status)
                }
                return statuses
            }
            let known = try await statuses(tokens[.member])
            let strangers = try await statuses("wrong")
            #expect(known == [422] && strangers.contains(429))
        }
    }

    @Test func commandsShowATokenToo() async throws {
        try await withTokens { node, tokens in
            let url = ["--url", "http://127.0.0.1:\(node.port)"]
            let token = try #require(tokens[.writer])
            let path = node.directory + "/token"
            try (token + "\n").write(toFile: path, atomically: true, encoding: .utf8)
            let without = try await runChaind(["append", "a"] + url)
            #expect(without.status == 1 && without.error == "chaind: a token of this node is needed\n")
            #expect(try await runChaind(["append", "a", "--token-file", path] + url).status == 0)
            #expect(try await runChaind(["append", "b"] + url, environment: ["CHAIND_TOKEN": token]).status == 0)
            let forget = ["forget", "http://localhost:1", "--token-file", path] + url
            #expect(
                try await runChaind(forget).error == "chaind: the token's role, writer, does not permit this\n")
            let list = try await runChaind(["list", "--token-file", path] + url)
            #expect(list.output.split(separator: "\n").count == 3)
        }
    }
}
