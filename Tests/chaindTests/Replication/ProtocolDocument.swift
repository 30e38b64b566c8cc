// docs/protocol.md as the tests read it: its examples are checked against the code.

import Foundation
import TestSupport

struct ProtocolDocument {
    private let sections: [(title: String, lines: [Substring])]

    init() throws {
        let root = (0..<4).reduce(URL(fileURLWithPath: #filePath)) { url, _ in url.deletingLastPathComponent() }
        let text = try String(contentsOf: root.appendingPathComponent("docs/protocol.md"), encoding: .utf8)
        var sections: [(title: String, lines: [Substring])] = [("", [])]
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("#") {
                sections.append((line.drop { $0 == "#" || $0 == " " }.filter { $0 != "`" }, []))
            } else {
                sections[sections.count - 1].lines.append(line)
            }
        }
        self.sections = sections
    }

    private func lines(under title: String) throws -> [Substring] {
        guard let section = sections.first(where: { $0.title == title }) else {
            throw TestSupportError("docs/protocol.md has no section \(title)")
        }
        return section.lines
    }

    /// The JSON examples of a section, in their order.
    func examples(under title: String) throws -> [String] {
        let lines = try lines(under: title)
        return zip(lines, lines.dropFirst()).filter { $0.0 == "```json" }.map { String($0.1) }
    }

    /// The bytes that a section shows: indented lines of two digits a byte, up to two spaces or the end of the line.
    func bytes(under title: String) throws -> [UInt8] {
        try lines(under: title).filter { $0.hasPrefix("    ") }.flatMap { line -> [UInt8] in
            let hex = line.dropFirst(4).split(separator: "  ", maxSplits: 1).first ?? ""
            let bytes = hex.split(separator: " ")
            guard bytes.allSatisfy({ $0.utf8.count == 2 }) else { return [] }
            return bytes.compactMap { UInt8($0, radix: 16) }
        }
    }
}
