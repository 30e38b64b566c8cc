// The parts of the explorer's page that depend on the list, as HTML. The script makes the same ones.

import Chain
import Foundation

/// Writes the parts in one language.
struct PageContent {
    /// The end of the year 9999: later times have no calendar.
    private static let timestampMax: Int64 = 253_402_300_799

    let texts: PageTexts
    let status: ListStatus

    /// What the node says of its list.
    var node: String {
        let validated = status.validatedHeight.map { "\($0)" } ?? "–"
        let damaged = status.damagedHeights
        let links = damaged.map { link(to: "\($0)", "\($0)") }.joined(separator: " ")
        return """
            <dl class="facts">
            <div><dt>\(texts("head"))</dt><dd><p class="figure">\(link(to: "\(status.height)", "\(status.height)"))</p>\
            <code>\(status.headHash)</code></dd></div>
            <div><dt>\(texts("validated"))</dt><dd><p class="figure">\(validated)</p></dd></div>
            <div><dt>\(texts("damaged"))</dt><dd><p class="figure\(damaged.isEmpty ? "" : " bad")">\(damaged.count)</p>\
            \(damaged.isEmpty ? "" : "<span class=\"bad\">\(links)</span>")</dd></div>
            </dl>
            """
    }

    /// The links from a page of blocks to the others.
    func pager(from: Int?, first: Int, blocks: Int) -> String {
        var links: [String] = []
        if from != nil {
            links.append("<a class=\"newest\" href=\"/\">\(texts("newest"))</a>")
            if first <= status.height - blocks {
                links.append("<a class=\"newer\" rel=\"prev\" href=\"/?from=\(first + blocks)\">\(texts("newer"))</a>")
            }
        }
        if first > 0 {
            links.append(
                "<a class=\"older\" rel=\"next\" href=\"/?from=\(max(0, first - blocks))\">\(texts("older"))</a>")
        }
        return links.joined()
    }

    /// A block in the list of blocks.
    func item(_ block: Block, scalarsMax: Int) -> String {
        let tag = block.origin.map {
            " <span class=\"tag\">\(texts("moved_from", ["height": "\($0.height)"]))</span>"
        }
        return """
            <li class="block"><p class="block-line">\(link(to: "\(block.height)", "\(block.height)")) \
            \(time(block.timestamp))\(tag ?? "")</p>\(text(block, scalarsMax: scalarsMax, isExcerpt: true))\
            <p class="hash"><code>\(block.hash)</code></p></li>
            """
    }

    /// A block in the list of blocks that cannot be read.
    func damagedItem(_ height: Int) -> String {
        """
        <li class="block bad"><p class="block-line">\(link(to: "\(height)", "\(height)")) \
        <span class="check bad">\(texts("block_damaged", ["height": "\(height)"]))</span></p></li>
        """
    }

    /// A block by itself.
    func section(_ block: Block, scalarsMax: Int) -> String {
        var neighbours: [String] = []
        if block.height > 0 { neighbours.append(link(to: "\(block.height - 1)", texts("previous_block"))) }
        if block.height < status.height { neighbours.append(link(to: "\(block.height + 1)", texts("next_block"))) }
        neighbours.append("<a href=\"/\">\(texts("close"))</a>")
        let previous = "<code>\(block.previousHash)</code>"
        var fields = [
            ("time", "\(time(block.timestamp)) <span class=\"quiet\">\(block.timestamp)</span>"),
            ("hash", "<code>\(block.hash)</code>"),
            ("previous_hash", block.height > 0 ? link(to: "\(block.height - 1)", previous) : previous),
            ("text_size", size(block)),
        ]
        if let origin = block.origin {
            let meaning = texts("origin_means", ["height": "\(origin.height)"])
            fields.append(("origin", "<p>\(meaning)</p><p>\(time(origin.timestamp))</p><code>\(origin.hash)</code>"))
        }
        let rows = fields.map { "<div><dt>\(texts($0.0))</dt><dd>\($0.1)</dd></div>" }
        return """
            <div class="title-line"><h2>\(texts("block", ["block": "\(block.height)"]))</h2>\
            <nav class="pager" aria-label="\(texts("neighbours"))">\(neighbours.joined(separator: " "))</nav></div>
            <dl class="fields">\(rows.joined())</dl>\(text(block, scalarsMax: scalarsMax, isExcerpt: false))
            """
    }

    /// Why a block that was asked for is not shown.
    ///
    /// - Parameter html: the reason.
    func notice(_ name: String, _ kind: String, _ html: String) -> String {
        "<h2>\(texts("block", ["block": name]))</h2><p class=\"notice \(kind)\">\(html)</p>"
    }

    /// What became of a block that was replaced.
    func notice(_ name: String, _ orphan: Orphan) -> String {
        switch orphan.state {
        case .moved(let height, let hash):
            let block = link(to: "\(hash)", texts("block", ["block": "\(height)"]))
            return notice(name, "warn", "\(texts("orphan_moved")) \(block)")
        case .pending: return notice(name, "warn", texts("orphan_pending", ["height": "\(orphan.height)"]))
        }
    }

    private func link(to block: String, _ html: String) -> String { "<a href=\"/?block=\(block)\">\(html)</a>" }

    private func time(_ timestamp: Int64) -> String {
        guard timestamp <= Self.timestampMax else {
            return "<span class=\"time\">\(texts("seconds_since_epoch", ["seconds": "\(timestamp)"]))</span>"
        }
        let time = Date(timeIntervalSince1970: Double(timestamp)).formatted(.iso8601)
        let shown = time.replacing("T", with: " ").replacing("Z", with: " UTC")
        return "<time datetime=\"\(time)\">\(shown)</time>"
    }

    private func size(_ block: Block) -> String { texts("bytes", ["count": "\(block.data.utf8.count)"]) }

    private func text(_ block: Block, scalarsMax: Int, isExcerpt: Bool) -> String {
        if block.data.isEmpty { return "<p class=\"data quiet\">\(texts("empty_text"))</p>" }
        let (html, isCut) = block.data.visibleHTML(scalarsMax: scalarsMax)
        let kind = isCut && isExcerpt ? "data excerpt" : "data"
        let all = "<p><a href=\"/blocks/\(block.height)\">\(texts("show_all", ["size": size(block)]))</a></p>"
        return "<pre class=\"\(kind)\" dir=\"auto\">\(html)</pre>\(isCut ? all : "")"
    }
}
