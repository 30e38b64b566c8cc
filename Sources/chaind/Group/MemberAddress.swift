// Where a member answers.

/// An absolute http or https URL, without the slash at its end.
struct MemberAddress: Hashable, Sendable, CustomStringConvertible {
    struct Invalid: Error {}

    let text: String

    init(_ text: String) throws {
        guard text.hasPrefix("http://") || text.hasPrefix("https://") else { throw Invalid() }
        self.text = String(text.reversed().drop { $0 == "/" }.reversed())
    }

    var description: String { text }
}

extension MemberAddress: Codable {
    init(from decoder: any Decoder) throws {
        try self.init(decoder.singleValueContainer().decode(String.self))
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
