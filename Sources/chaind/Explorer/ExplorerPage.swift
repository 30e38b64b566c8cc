// The explorer's page as the server makes it: useful without a script, which then takes the same places over.

import CPages
import Chain
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

/// The page in one language.
private struct PageTemplate: Sendable {
    enum Place: String {
        case node, blocks, pager, block
    }

    enum Part: Sendable {
        case html(String)
        case place(Place)
    }

    let texts: PageTexts
    let parts: [Part]

    /// Puts the texts into the template; what depends on the list stays open.
    init(_ texts: PageTexts) {
        self.texts = texts
        var parts: [Part] = []
        var html = ""
        for (index, piece) in String(buffer: ByteBuffer(page_explorer_html())).split(separator: "{{").enumerated() {
            guard index > 0, let end = piece.firstRange(of: "}}") else {
                html += piece
                continue
            }
            let name = piece[..<end.lowerBound]
            if let place = Place(rawValue: String(name)) {
                parts += [.html(html), .place(place)]
                html = ""
            } else if name == "language" {
                html += texts.language
            } else if name == "texts" {
                html += texts.scriptJSON
            } else {
                html += texts(String(name.dropFirst("text.".count)))
            }
            html += piece[end.upperBound...]
        }
        self.parts = parts + [.html(html)]
    }
}

/// The texts of the page in one language.
struct PageTexts: Sendable {
    let language: String
    private let texts: [String: String]

    /// Those of all languages, English first.
    static func all() throws -> [PageTexts] {
        let content = Data(ByteBuffer(page_texts_json()).readableBytesView)
        let languages = try JSONDecoder().decode([String: [String: String]].self, from: content)
        return languages.sorted { $0.key < $1.key }.map { PageTexts(language: $0.key, texts: $0.value) }
    }

    /// A text as HTML, with what belongs into its places.
    func callAsFunction(_ key: String, _ values: [String: String] = [:]) -> String {
        var text = texts[key] ?? key
        for (name, value) in values { text = text.replacing("{\(name)}", with: value) }
        return text.escapedForHTML
    }

    /// The texts for the script, in an element whose content ends at the next `</script`.
    fileprivate var scriptJSON: String {
        let pairs = texts.sorted { $0.key < $1.key }.map { "\($0.key.jsonQuoted):\($0.value.jsonQuoted)" }
        return "{\(pairs.joined(separator: ","))}".replacing("<", with: "\\u003c")
    }
}

/// Answers browsers that ask for `/`.
struct ExplorerRoutes: Sendable {
    private static let pageBlocks = 20
    private static let excerptScalarsMax = 600
    private static let textScalarsMax = 65_536
    private static let nameCharactersMax = 20
    private static let policy = """
        default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
        base-uri 'none'; form-action 'self'; frame-ancestors 'none'
        """

    let list: BlockList
    /// English first.
    private let templates: [PageTemplate]

    /// - Throws: `DecodingError` if the texts that are part of the program are not JSON.
    init(list: BlockList) throws {
        self.list = list
        templates = try PageTexts.all().map(PageTemplate.init)
    }

    /// Whether a client would rather have a page than JSON.
    static func isWanted(by request: Request) -> Bool {
        let accept = Preference(request.headers[values: .accept])
        return accept.weight(ofType: "text/html") > accept.weight(ofType: "application/json")
    }

    /// The page, with a page of blocks from `from` on, or the newest, and with the block that `block` names.
    func page(_ request: Request) async throws -> Response {
        let languages = Preference(request.headers[values: .acceptLanguage])
        // English where both are wanted as much.
        let template =
            templates.enumerated().max {
                let (one, other) = ($0.element.texts.language, $1.element.texts.language)
                return (languages.weight(ofLanguage: one), -$0.offset) < (
                    languages.weight(ofLanguage: other), -$1.offset
                )
            }?.element ?? templates[0]
        let page = PageContent(texts: template.texts, status: list.status)
        let name = request.uri.queryParameters["block"].map { $0.trimmingCharacters(in: .whitespaces) } ?? ""
        let from = request.uri.queryParameters["from"].flatMap { Int($0) }.map { max(0, $0) }
        let first = from ?? max(0, page.status.height - Self.pageBlocks + 1)
        var content = ByteBuffer()
        for part in template.parts {
            switch part {
            case .html(let html): content.writeString(html)
            case .place(.node): content.writeString(page.node)
            case .place(.pager): content.writeString(page.pager(from: from, first: first, blocks: Self.pageBlocks))
            case .place(.blocks): content.writeString(try await blocks(from: first, page))
            case .place(.block): content.writeString(name.isEmpty ? "" : try await block(name, page))
            }
        }
        var fields = HTTPFields.forBrowsers
        fields[.contentType] = "text/html; charset=utf-8"
        fields[.contentLanguage] = template.texts.language
        fields[.contentSecurityPolicy] = Self.policy
        fields[.cacheControl] = "no-store"
        fields[.vary] = "Accept, Accept-Language"
        return Response(status: .ok, headers: fields, body: ResponseBody(byteBuffer: content))
    }

    /// A page of blocks, the highest first. One that cannot be read does not spoil it.
    private func blocks(from first: Int, _ page: PageContent) async throws -> String {
        var items: [String] = []
        let end = page.status.height + 1
        for height in min(first, end)..<min(end, min(first, end) + Self.pageBlocks) {
            do throws(ReadError) {
                guard let block = try await list.block(at: height) else { continue }
                items.append(page.item(block, scalarsMax: Self.excerptScalarsMax))
            } catch {
                guard case .damaged = error else { throw error }
                items.append(page.damagedItem(height))
            }
        }
        return items.isEmpty ? "<li>\(page.texts("no_blocks"))</li>" : items.reversed().joined()
    }

    private func block(_ name: String, _ page: PageContent) async throws -> String {
        let title = String(name.prefix(Self.nameCharactersMax))
        do throws(ReadError) {
            if let hash = Hash(hex: name) {
                if let block = try await list.block(hash: hash) {
                    return page.section(block, scalarsMax: Self.textScalarsMax)
                }
                if let orphan = try await list.orphan(hash) { return page.notice(title, orphan) }
            } else {
                guard let height = Int(name), height >= 0 else {
                    return page.notice(title, "bad", page.texts("no_block_name"))
                }
                if let block = try await list.block(at: height) {
                    return page.section(block, scalarsMax: Self.textScalarsMax)
                }
            }
            return page.notice(title, "warn", page.texts("no_block"))
        } catch {
            guard case .damaged(let height) = error else {
                return page.notice(title, "bad", page.texts("node_says", ["detail": error.description]))
            }
            return page.notice(title, "bad", page.texts("block_damaged", ["height": "\(height)"]))
        }
    }
}
