// The explorer's page as the server makes it, for a browser without a script.

import Chain
import TestSupport
import Testing

@testable import chaind

@Suite struct ExplorerPageTests {
    private static let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

    private static func page(
        _ path: String = "/", on node: NodeProcess, language: String = "en-GB,en;q=0.9"
    ) async throws -> HTTPAnswer {
        try await node.client.get(path, fields: ["Accept": browser, "Accept-Language": language])
    }

    @Test func aBrowserGetsThePageAndAClientJSON() async throws {
        try await withNode { node async throws in
            let page = try await Self.page(on: node)
            #expect(page.status == 200)
            #expect(page.fields["content-type"] == "text/html; charset=utf-8")
            let policy = try #require(page.fields["content-security-policy"])
            #expect(policy.hasPrefix("default-src 'none'; script-src 'self'; style-src 'self';"))
            #expect(!policy.contains("unsafe"))
            #expect(!page.text.contains("{{"), "Every place is filled.")
            #expect(page.text.contains("Genesis Block"))
            for accept in [
                "*/*", "application/json", "application/json, text/plain, */*", "text/html;q=0.5, application/json",
            ] {
                let answer = try await node.client.get("/", fields: ["Accept": accept])
                #expect(try answer.json(StatusAnswer.self).height == 0, "\(accept)")
            }
            #expect(try await node.client.get("/").fields["vary"] == "Accept, Accept-Language")
            #expect(node.error == "")
        }
    }

    @Test(arguments: [
        ("pt-BR,pt;q=0.9,en;q=0.8", "pt"), ("en,pt;q=0.5", "en"), ("de", "en"), ("", "en"), ("*", "en"),
        ("pt;q=0", "en"),
    ])
    func theLanguageIsTheBrowsers(accepted: String, language: String) async throws {
        try await withNode { node async throws in
            let page = try await Self.page(on: node, language: accepted)
            #expect(page.fields["content-language"] == language)
            #expect(page.text.contains("<html lang=\"\(language)\">"))
            #expect(page.text.contains(language == "pt" ? "Altura ou hash" : "Height or hash"))
        }
    }

    @Test func whatAClientWroteIsTextOnly() async throws {
        try await withNode { node async throws in
            let hostile = "\n<script>alert(1)</script>\u{202E}\u{0}\u{7F}'\"&amp;{{text.title}}"
            _ = try await node.client.post("/blocks/", ["data": hostile])
            let expected = """
                <pre class="data" dir="auto">

                &lt;script&gt;alert(1)&lt;/script&gt;<span class="hidden-character">[U+202E]\u{2400}\u{2421}</span>\
                &#39;&quot;&amp;amp;{{text.title}}</pre>
                """
            for path in ["/", "/?block=1"] {
                let page = try await Self.page(path, on: node).text
                #expect(page.contains(expected), "\(path)")
                #expect(!page.contains("<script>alert"))
            }
            let asked = try await Self.page("/?block=%3Cb%3E%22'%26", on: node).text
            #expect(asked.contains("&lt;b&gt;&quot;&#39;&amp;") && !asked.contains("<b>"))
        }
    }

    @Test func blocksAreFoundAndPagesFollowEachOther() async throws {
        try await withNode { node async throws in
            let texts = (1...49).map { "text \($0)" }
            let blocks = try await node.client.post("/blocks/batch", ["data": texts]).json(BlocksAnswer.self).blocks
            let newest = try await Self.page(on: node).text
            #expect(newest.contains(">text 49<") && newest.contains(">text 30<") && !newest.contains(">text 29<"))
            #expect(newest.contains(#"href="/?from=10">"#) && !newest.contains("class=\"newer\""))
            let middle = try await Self.page("/?from=10", on: node).text
            #expect(middle.contains(">text 10<") && middle.contains(">text 29<") && !middle.contains(">text 30<"))
            #expect(middle.contains(#"href="/?from=30">"#) && middle.contains(#"href="/?from=0">"#))
            #expect(try await Self.page("/?from=99", on: node).text.contains("<li>There are no blocks here.</li>"))
            for name in ["7", blocks[6].hash, "%207%20"] {
                let page = try await Self.page("/?block=\(name)", on: node).text
                #expect(page.contains("<dd><code>\(blocks[6].hash)</code></dd>"), "\(name)")
                #expect(page.contains(#"<a href="/?block=6"><code>"#))
            }
            #expect(try await Self.page("/?block=99", on: node).text.contains("There is no such block"))
            #expect(try await Self.page("/?block=x", on: node).text.contains("A block is named by"))
        }
    }

    @Test func aLongTextIsCut() async throws {
        try await withNode { node async throws in
            _ = try await node.client.post("/blocks/", ["data": String(repeating: "é", count: 500_000)])
            let page = try await Self.page("/?block=1", on: node)
            #expect(page.body.count < 200_000)
            #expect(page.text.contains("é…</pre><p><a href=\"/blocks/1\">Show all (1000000 bytes)</a></p>"))
        }
    }

    @Test func theFilesArePartOfTheProgram() async throws {
        try await withNode { node async throws in
            // The parts of pages are none of the described routes.
            let client = HTTPTestClient(port: node.port, isNode: false)
            for asset in Asset.allCases {
                let answer = try await client.get(asset.rawValue)
                #expect(answer.status == 200 && answer.body.count > 500, "\(asset)")
                #expect(answer.fields["x-content-type-options"] == "nosniff")
                #expect(try await client.send("POST", asset.rawValue).status == 405)
            }
            #expect(try await node.client.get("/docs/").status == 200)
            #expect(try await node.client.get("/docs").fields["content-security-policy"] != nil)
        }
    }
}
