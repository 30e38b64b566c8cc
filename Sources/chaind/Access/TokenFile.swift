// The tokens that a node takes: a line for each, `ROLE NAME HASH`, with the SHA-256 hash of the token in hexadecimal, so that
// who reads the file, or a backup of it, has no token. Tokens are random and long: a slow hash as for passwords is not needed.

import Chain
import Foundation
import Glibc

/// The tokens of a file.
struct TokenFile: Sendable {
    /// The largest file that is read, in bytes.
    static let sizeBytesMax = 1 << 20
    /// The most tokens: each request is compared with all of them.
    static let tokensMax = 1_000
    /// The longest name, in bytes.
    static let nameSizeBytesMax = 64

    /// One line.
    struct Entry: Sendable {
        let role: Role
        /// Tells whose token it is to those who read the file.
        let name: String
        fileprivate let hash: [UInt8]
    }

    let entries: [Entry]

    /// Reads a file.
    ///
    /// - Throws: `CommandError` naming the file and the line that is none; also for a file without tokens, which is one that is
    ///   just being written: nobody wants to be locked out.
    init(path: String) throws(CommandError) {
        try self.init(try SmallFile.text(path, sizeBytesMax: TokenFile.sizeBytesMax), path: path)
        guard !entries.isEmpty else { throw CommandError("\(path): has no tokens") }
    }

    /// Reads what a file holds. Empty lines and those that begin with `#` are comments.
    init(_ text: String, path: String) throws(CommandError) {
        var entries: [Entry] = []
        var names: Set<String> = []
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let words = line.split(whereSeparator: \.isWhitespace)
            guard let first = words.first, !first.hasPrefix("#") else { continue }
            guard words.count == 3, let role = Role(rawValue: String(first)), TokenFile.isName(words[1]),
                let hash = Hash(hex: String(words[2]))
            else {
                throw CommandError(
                    "\(path): line \(index + 1) is not ROLE NAME HASH, as chaind token writes it: "
                        + "a role is reader, writer, member or operator")
            }
            guard names.insert(String(words[1])).inserted else {
                throw CommandError("\(path): line \(index + 1) has a name that another one has")
            }
            guard entries.count < TokenFile.tokensMax else {
                throw CommandError("\(path): more than \(TokenFile.tokensMax) tokens")
            }
            entries.append(Entry(role: role, name: String(words[1]), hash: hash.bytes))
        }
        self.entries = entries
    }

    /// Whether it can name a token: letters, digits, `.`, `-` and `_`, at most `nameSizeBytesMax` bytes.
    static func isName(_ text: some StringProtocol) -> Bool {
        1...nameSizeBytesMax ~= text.utf8.count
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }

    /// The role of a token; `nil` if the file does not have it. How long it takes says nothing about how near a wrong one is.
    func role(of token: [UInt8]) -> Role? {
        let shown = TokenFile.hash(of: token).bytes
        var found: Role?
        for entry in entries {
            var difference: UInt8 = 0
            for (left, right) in zip(shown, entry.hash) { difference |= left ^ right }
            if difference == 0 { found = entry.role }
        }
        return found
    }

    /// What stands in the file for a token.
    static func hash(of token: [UInt8]) -> Hash {
        token.withUnsafeBytes { Hash(sha256: $0) }
    }

    /// A new token: 256 random bits in the letters of base64url (RFC 4648, section 5), without padding.
    static func makeToken(using generator: inout some RandomNumberGenerator) -> String {
        let bytes = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        return Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_")
            .replacing("=", with: "")
    }
}

/// Files of settings.
enum SmallFile {
    /// The text of a file.
    ///
    /// - Throws: `CommandError` naming the file, if it cannot be read, is larger, or is not UTF-8.
    static func text(_ path: String, sizeBytesMax: Int) throws(CommandError) -> String {
        let content = try bytes(path, sizeBytesMax: sizeBytesMax)
        guard content.count <= sizeBytesMax else { throw CommandError("\(path): larger than \(sizeBytesMax) bytes") }
        guard let text = String(bytes: content, encoding: .utf8) else { throw CommandError("\(path): not UTF-8") }
        return text
    }

    /// Whatever is no plain file is refused: reading it might not end.
    static func checkIsPlain(_ path: String) throws(CommandError) {
        close(try open(path))
    }

    private static func open(_ path: String) throws(CommandError) -> Int32 {
        let descriptor = Glibc.open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(path) }
        var attributes = stat()
        guard fstat(descriptor, &attributes) == 0, attributes.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw CommandError("\(path): not a plain file")
        }
        return descriptor
    }

    private static func bytes(_ path: String, sizeBytesMax: Int) throws(CommandError) -> [UInt8] {
        let descriptor = try open(path)
        defer { close(descriptor) }
        var content: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 64 << 10)
        while content.count <= sizeBytesMax {
            let count = read(descriptor, &part, part.count)
            guard count >= 0 else { throw failure(path) }
            if count == 0 { break }
            content += part[..<count]
        }
        return content
    }

    private static func failure(_ path: String) -> CommandError {
        CommandError("\(path): cannot be read: \(String(cString: strerror(errno)))")
    }

    /// The first line of a file that holds a secret.
    ///
    /// - Throws: `CommandError` naming the file, also if the line is empty.
    static func secret(_ path: String) throws(CommandError) -> String {
        let line = try text(path, sizeBytesMax: 64 << 10).prefix { !$0.isNewline }
        guard !line.isEmpty, line.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
            throw CommandError("\(path): the first line must be visible ASCII characters")
        }
        return String(line)
    }
}
