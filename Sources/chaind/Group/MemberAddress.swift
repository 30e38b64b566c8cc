// The address of a node, in one spelling, so that two of them can be compared.

import Glibc

/// An absolute http or https URL without user, path, query and fragment: where a node is found.
///
/// Scheme and host are in lower case and the scheme's own port is left out. Names are not resolved: `localhost` and
/// `127.0.0.1` are two addresses.
struct MemberAddress: Hashable, Sendable {
    /// The longest URL that is taken.
    static let sizeBytesMax = 2_048

    /// The URL without a slash at the end.
    let text: String
    /// The host in the URL, without a port.
    let host: String

    /// Reads an address.
    ///
    /// - Parameter text: the URL; a slash at the end is tolerated.
    /// - Throws: `MemberAddressError` naming what is wrong.
    init(_ text: String) throws(MemberAddressError) {
        guard text.utf8.count <= Self.sizeBytesMax else { throw .tooLong }
        // From here on a character is a byte.
        guard text.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else { throw .character }
        let parts = text.split(separator: "://", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty else { throw .notAbsolute }
        let scheme = parts[0].lowercased()
        guard let schemePort = ["http": 80, "https": 443][scheme] else { throw .scheme }
        let authority = parts[1].prefix { !"/?#".contains($0) }
        try Self.checkNothingFollows(parts[1].dropFirst(authority.count))
        guard !authority.contains("@") else { throw .user }
        let (host, portText) = try Self.split(authority)
        self.host = host
        guard let portText else {
            self.text = "\(scheme)://\(host)"
            return
        }
        // `Int` would take a sign too.
        guard portText.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }), let port = Int(portText),
            1...65_535 ~= port
        else { throw .port }
        self.text = port == schemePort ? "\(scheme)://\(host)" : "\(scheme)://\(host):\(port)"
    }

    private static func checkNothingFollows(_ rest: Substring) throws(MemberAddressError) {
        if rest.contains("#") { throw .fragment }
        if rest.contains("?") { throw .query }
        guard rest.isEmpty || rest == "/" else { throw .path }
    }

    /// Takes host and port apart, and checks the host.
    private static func split(_ authority: Substring) throws(MemberAddressError) -> (host: String, port: Substring?) {
        let host: String
        let rest: Substring
        if authority.hasPrefix("[") {
            let inner = authority.dropFirst().prefix { $0 != "]" }
            rest = authority.dropFirst(inner.count + 2)
            guard inner.count + 2 <= authority.count, let literal = normalizedIPv6(String(inner)) else { throw .host }
            host = "[\(literal)]"
        } else {
            let name = authority.prefix { $0 != ":" }
            rest = authority.dropFirst(name.count)
            host = name.lowercased()
            let labels = host.split(separator: ".", omittingEmptySubsequences: false)
            guard host.utf8.count <= 253, labels.allSatisfy({ !$0.isEmpty && $0.allSatisfy(isOfName) }) else {
                throw .host
            }
        }
        guard rest.isEmpty || rest.hasPrefix(":") else { throw .host }
        return (host, rest.isEmpty ? nil : rest.dropFirst())
    }

    private static func isOfName(_ character: Character) -> Bool {
        ("a"..."z").contains(character) || ("0"..."9").contains(character) || character == "-" || character == "_"
    }

    /// The usual spelling of an IPv6 address; `nil` if it is none.
    private static func normalizedIPv6(_ text: String) -> String? {
        var address = in6_addr()
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_pton(AF_INET6, text, &address) == 1,
            inet_ntop(AF_INET6, &address, &buffer, socklen_t(buffer.count)) != nil
        else { return nil }
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

extension MemberAddress: Comparable {
    /// Orders addresses by their text.
    static func < (left: MemberAddress, right: MemberAddress) -> Bool { left.text < right.text }
}

extension MemberAddress: CustomStringConvertible {
    /// The URL.
    var description: String { text }
}

extension MemberAddress: Codable {
    /// Reads the URL; the error's description says what is wrong with it.
    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        do {
            try self.init(text)
        } catch {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: error.description)
        }
    }

    /// Writes the URL.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}

/// Why a text is no address of a node.
enum MemberAddressError: Error, Hashable, Sendable, CustomStringConvertible {
    case tooLong, character, notAbsolute, scheme, user, host, port, path, query, fragment

    /// One line, without the text.
    var description: String {
        switch self {
        case .tooLong: "an address has at most \(MemberAddress.sizeBytesMax) bytes"
        case .character: "an address has only visible ASCII characters"
        case .notAbsolute: "an address is an absolute URL, as in http://host:8000"
        case .scheme: "an address begins with http:// or https://"
        case .user: "an address has no user"
        case .host: "an address has the name of a host, an IPv4 address, or an IPv6 address in brackets"
        case .port: "the port of an address is a number from 1 to 65535"
        case .path: "an address has no path"
        case .query: "an address has no query"
        case .fragment: "an address has no fragment"
        }
    }
}
