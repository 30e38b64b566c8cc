// Blocks as a person or a program reads them in a terminal.

import Chain
import Foundation
import NIOCore

/// Writes blocks to standard output.
struct BlockOutput: Sendable {
    /// One JSON object a line, as the routes answer, and not for a person.
    let isJSON: Bool

    func write(_ block: Block) throws(CommandError) {
        try StandardOutput.write(isJSON ? BlockOutput.json(block) : BlockOutput.line(block))
    }

    /// The block in full, for a person.
    static func page(_ block: Block) -> String {
        var lines = [
            "height         \(block.height)", "timestamp      \(block.timestamp) (\(time(block.timestamp)))",
            "hash           \(block.hash)", "previous hash  \(block.previousHash)",
        ]
        if let origin = block.origin {
            lines.append("origin         block \(origin.height), \(origin.hash)")
        }
        return lines.joined(separator: "\n") + "\n\n" + visible(block.data, allowingLines: true) + "\n"
    }

    /// The block in a line, for a person.
    static func line(_ block: Block) -> String {
        let hash = String(block.hash.description.prefix(12))
        return "\(block.height)  \(time(block.timestamp))  \(hash)  \(visible(block.data, allowingLines: false))\n"
    }

    static func json(_ block: Block) -> String {
        var content = ByteBuffer.block(block)
        content.writeStaticString("\n")
        return String(buffer: content)
    }

    private static func time(_ timestamp: Int64) -> String {
        Date(timeIntervalSince1970: Double(timestamp)).formatted(.iso8601)
    }

    /// The text with nothing in it that a terminal would obey.
    static func visible(_ text: String, allowingLines: Bool) -> String {
        var visible = ""
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control where allowingLines && (scalar == "\n" || scalar == "\t"):
                visible.unicodeScalars.append(scalar)
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
                visible += "\\u{\(String(scalar.value, radix: 16))}"
            default: visible.unicodeScalars.append(scalar)
            }
        }
        return visible
    }
}

/// The standard output stream.
enum StandardOutput {
    /// Writes all of a text.
    ///
    /// - Throws: `CommandError` if nobody takes it.
    static func write(_ text: String) throws(CommandError) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let (count, code) = bytes.withUnsafeBytes { (Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count), errno) }
            if count < 0 && code == EINTR { continue }
            guard count > 0 else { throw CommandError(errno: code, "writing to standard output") }
            bytes = bytes.dropFirst(count)
        }
    }
}
