// Text as HTML: nothing that a client wrote is ever more than text.

extension String {
    /// The text with what has a meaning in HTML escaped.
    var escapedForHTML: String {
        var escaped = ""
        escaped.reserveCapacity(utf8.count)
        for scalar in unicodeScalars { escaped.writeHTML(scalar) }
        return escaped
    }

    private mutating func writeHTML(_ scalar: Unicode.Scalar) {
        switch scalar {
        case "&": self += "&amp;"
        case "<": self += "&lt;"
        case ">": self += "&gt;"
        case "\"": self += "&quot;"
        case "'": self += "&#39;"
        default: unicodeScalars.append(scalar)
        }
    }

    /// A client's text as HTML: characters that would not be seen, or would reorder what is seen, stand there by name.
    ///
    /// - Parameter scalarsMax: what is more is left out.
    func visibleHTML(scalarsMax: Int) -> (html: String, isCut: Bool) {
        var html = ""
        var isHidden = false
        var count = 0
        for scalar in unicodeScalars {
            if count == scalarsMax { break }
            count += 1
            let name = scalar.hiddenName
            if (name != nil) != isHidden {
                html += isHidden ? "</span>" : "<span class=\"hidden-character\">"
                isHidden.toggle()
            }
            if let name { html += name } else { html.writeHTML(scalar) }
        }
        if isHidden { html += "</span>" }
        // HTML drops a line feed at the beginning of an element that keeps white space.
        if html.first == "\n" { html = "\n" + html }
        let isCut = unicodeScalars.dropFirst(count).first != nil
        return (isCut ? html + "…" : html, isCut)
    }
}

extension Unicode.Scalar {
    /// What stands for a character that is not seen; `nil` for others.
    fileprivate var hiddenName: String? {
        switch value {
        case 0x09, 0x0A: nil
        // The pictures of the control characters.
        case 0...0x1F: Unicode.Scalar(0x2400 + value).map { String($0) }
        case 0x7F: "\u{2421}"
        case 0x80...0x9F, 0xAD, 0x61C, 0x200B, 0x200E, 0x200F, 0x2028...0x202E, 0x2060...0x206F, 0xFEFF,
            0xFFF9...0xFFFB:
            "[U+" + String(repeating: "0", count: max(0, 4 - String(value, radix: 16).count))
                + String(value, radix: 16, uppercase: true) + "]"
        default: nil
        }
    }
}
