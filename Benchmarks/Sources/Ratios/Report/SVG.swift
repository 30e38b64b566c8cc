// The little of SVG that the plots need, legible on light and on dark ground.

/// A picture that is drawn line by line.
struct SVG {
    let width: Int
    let height: Int
    private var content = ""

    init(width: Int, height: Int) {
        self.width = width
        self.height = height
    }

    /// The classes of lines and marks.
    enum Style: String {
        case axis, grid, met, missed, quiet, busy
    }

    enum Anchor: String {
        case start, middle, end
    }

    mutating func text(_ text: String, x: Double, y: Double, anchor: Anchor = .start, isSmall: Bool = false) {
        let escaped = text.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
        content +=
            "<text x=\"\(x.place)\" y=\"\(y.place)\" text-anchor=\"\(anchor.rawValue)\""
            + "\(isSmall ? " class=\"small\"" : "")>\(escaped)</text>\n"
    }

    mutating func line(_ points: [(x: Double, y: Double)], _ style: Style, isDashed: Bool = false) {
        let places = points.map { "\($0.x.place),\($0.y.place)" }.joined(separator: " ")
        let dashes = isDashed ? " stroke-dasharray=\"5 4\"" : ""
        content += "<polyline points=\"\(places)\" class=\"line \(style.rawValue)\"\(dashes)/>\n"
    }

    mutating func mark(x: Double, y: Double, _ style: Style) {
        content += "<circle cx=\"\(x.place)\" cy=\"\(y.place)\" r=\"4\" class=\"mark \(style.rawValue)\"/>\n"
    }

    var document: String {
        """
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(width) \(height)" width="\(width)" height="\(height)">
        <style>
        svg { --text: #1f2328; --faint: #d1d9e0; --good: #1a7f37; --bad: #cf222e; --calm: #0969da; --stir: #9a6700; }
        @media (prefers-color-scheme: dark) {
        svg { --text: #e6edf3; --faint: #3d444d; --good: #3fb950; --bad: #ff7b72; --calm: #58a6ff; --stir: #e3b341; }
        }
        text { font: 13px sans-serif; fill: var(--text); }
        .small { font-size: 11px; }
        .line { fill: none; stroke-width: 1.5; }
        .axis { stroke: var(--text); } .grid { stroke: var(--faint); }
        .line.met { stroke: var(--good); } .mark.met { fill: var(--good); }
        .line.missed { stroke: var(--bad); } .mark.missed { fill: var(--bad); }
        .line.quiet { stroke: var(--calm); } .mark.quiet { fill: var(--calm); }
        .line.busy { stroke: var(--stir); } .mark.busy { fill: var(--stir); }
        </style>
        \(content)</svg>

        """
    }
}

extension Double {
    /// A place to a tenth.
    fileprivate var place: String { "\((self * 10).rounded() / 10)" }
}
