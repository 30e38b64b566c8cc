// Reads the JSON that clients send: RFC 8259 to the letter, in bounded depth, with the place of a fault.
// Foundation's decoder would not do: it takes a comma too many and numbers like 01, of two members with one name the
// first, where the original service took the last, and it does not say where a fault is.

/// A JSON value, as far as a request can use it.
enum JSONValue: Equatable, Sendable {
    case null
    case string(String)
    case array([JSONValue])
    case bool(Bool)
    /// A number, an object, or an array within an array.
    case other
}

/// Where a text is no JSON, in the words of the original service (Python's `json`).
struct JSONSyntaxError: Error, Equatable {
    let message: String
    /// Counted in characters from the start of the text.
    let offset: Int
}

/// A reader of one JSON text.
struct JSONReader {
    /// How deep arrays and objects may stand in each other.
    static let depthMax = 100

    private let bytes: [UInt8]
    private let elementsMax: Int
    private(set) var position = 0

    init(_ bytes: [UInt8], elementsMax: Int) {
        self.bytes = bytes
        self.elementsMax = elementsMax
    }

    /// The members of a JSON object that have one of the names; of members with the same name the last.
    ///
    /// - Parameters:
    ///   - bytes: the text; a byte order mark before it is skipped.
    ///   - names: other members are checked and dropped.
    ///   - elementsMax: an array that has more elements comes with one more than this and without the rest.
    /// - Returns: `nil` if the text is JSON but no object.
    static func members(
        of bytes: [UInt8], named names: Set<String>, elementsMax: Int
    ) throws(JSONSyntaxError) -> [String: JSONValue]? {
        var reader = JSONReader(bytes, elementsMax: elementsMax)
        try reader.checkEncoding()
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { reader.position = 3 }
        reader.skipSpace()
        guard reader.current == UInt8(ascii: "{") else {
            _ = try reader.value(depth: 0)
            try reader.end()
            return nil
        }
        var members: [String: JSONValue] = [:]
        try reader.object { (name, reader) throws(JSONSyntaxError) in
            let value = try reader.value(depth: 1)
            if names.contains(name) { members[name] = value }
        }
        try reader.end()
        return members
    }

    var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    func checkEncoding() throws(JSONSyntaxError) {
        do {
            _ = try UTF8Span(validating: bytes.span)
        } catch {
            throw fault("Invalid UTF-8", at: error.byteOffsets.lowerBound)
        }
    }

    mutating func end() throws(JSONSyntaxError) {
        skipSpace()
        guard position == bytes.count else { throw fault("Extra data", at: position) }
    }

    /// The value that begins here, after optional space. At depth 1 an array keeps its elements.
    mutating func value(depth: Int) throws(JSONSyntaxError) -> JSONValue {
        guard depth < JSONReader.depthMax else { throw fault("Nested too deeply", at: position) }
        skipSpace()
        switch current {
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "["):
            let elements = try array(depth: depth)
            return depth == 1 ? .array(elements) : .other
        case UInt8(ascii: "{"):
            try object { (_, reader) throws(JSONSyntaxError) in _ = try reader.value(depth: depth + 1) }
            return .other
        case UInt8(ascii: "n") where skip("null"): return .null
        case UInt8(ascii: "t") where skip("true"): return .bool(true)
        case UInt8(ascii: "f") where skip("false"): return .bool(false)
        default:
            try number()
            return .other
        }
    }

    /// Reads an object; `member` reads the value of each name.
    mutating func object(
        member: (String, inout JSONReader) throws(JSONSyntaxError) -> Void
    ) throws(JSONSyntaxError) {
        position += 1
        skipSpace()
        if skip("}") { return }
        while true {
            skipSpace()
            guard current == UInt8(ascii: "\"") else {
                throw fault("Expecting property name enclosed in double quotes", at: position)
            }
            let name = try string()
            skipSpace()
            guard skip(":") else { throw fault("Expecting ':' delimiter", at: position) }
            try member(name, &self)
            skipSpace()
            if skip("}") { return }
            guard skip(",") else { throw fault("Expecting ',' delimiter", at: position) }
        }
    }

    /// Reads an array; only one at depth 1 keeps its elements.
    private mutating func array(depth: Int) throws(JSONSyntaxError) -> [JSONValue] {
        var elements: [JSONValue] = []
        position += 1
        skipSpace()
        if skip("]") { return elements }
        while true {
            let element = try value(depth: depth + 1)
            if depth == 1 && elements.count <= elementsMax { elements.append(element) }
            skipSpace()
            if skip("]") { return elements }
            guard skip(",") else { throw fault("Expecting ',' delimiter", at: position) }
        }
    }

    /// Reads a number, whose value nobody asks for.
    private mutating func number() throws(JSONSyntaxError) {
        let start = position
        _ = skip("-")
        if !skip("0") {
            guard skipDigits() else { throw fault("Expecting value", at: start) }
        }
        if skip(".") {
            guard skipDigits() else { throw fault("Expecting value", at: start) }
        }
        if skip("e") || skip("E") {
            _ = skip("+") || skip("-")
            guard skipDigits() else { throw fault("Expecting value", at: start) }
        }
    }

    /// The string that begins here.
    mutating func string() throws(JSONSyntaxError) -> String {
        let start = position
        position += 1
        var pieceStart = position
        var unescaped: [UInt8]?
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\""):
                let piece = bytes[pieceStart..<position]
                position += 1
                guard let unescaped else { return String(decoding: piece, as: UTF8.self) }
                return String(decoding: unescaped + piece, as: UTF8.self)
            case UInt8(ascii: "\\"):
                var text = unescaped ?? []
                unescaped = nil  // so that the bytes are appended in place
                text += bytes[pieceStart..<position]
                try escape(appendingTo: &text, stringStart: start)
                unescaped = text
                pieceStart = position
            case 0..<0x20: throw fault("Invalid control character at", at: position)
            default: position += 1
            }
        }
        throw fault("Unterminated string starting at", at: start)
    }

    /// Reads an escape sequence, and appends the UTF-8 of what it stands for.
    private mutating func escape(appendingTo text: inout [UInt8], stringStart: Int) throws(JSONSyntaxError) {
        let start = position
        position += 1
        guard let kind = current else { throw fault("Unterminated string starting at", at: stringStart) }
        position += 1
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(kind)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            var code = try hexadecimalDigits()
            if 0xD800..<0xDC00 ~= code, skip("\\u") {
                let low = try hexadecimalDigits()
                guard 0xDC00..<0xE000 ~= low else { throw fault("Half a surrogate pair", at: start) }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw fault("Half a surrogate pair", at: start) }
            text += String(scalar).utf8
        default: throw fault("Invalid \\escape", at: start)
        }
    }

    /// The four digits after `\u`.
    private mutating func hexadecimalDigits() throws(JSONSyntaxError) -> UInt32 {
        var code: UInt32 = 0
        for place in position..<position + 4 {
            let digit = place < bytes.count ? bytes[place] : 0
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): code = code << 4 | UInt32(digit - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): code = code << 4 | UInt32(digit - UInt8(ascii: "a") + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): code = code << 4 | UInt32(digit - UInt8(ascii: "A") + 10)
            default: throw fault("Invalid \\uXXXX escape", at: position - 1)
            }
        }
        position += 4
        return code
    }

    mutating func skipSpace() {
        while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    /// Goes past digits; false if there is none.
    private mutating func skipDigits() -> Bool {
        let start = position
        while let byte = current, UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte { position += 1 }
        return position > start
    }

    /// Goes past a text if it stands here.
    mutating func skip(_ text: StaticString) -> Bool {
        let matches = text.withUTF8Buffer { bytes[position...].starts(with: $0) }
        if matches { position += text.utf8CodeUnitCount }
        return matches
    }

    func fault(_ message: String, at place: Int) -> JSONSyntaxError {
        let before = bytes[..<min(place, bytes.count)]
        func characters(_ bytes: ArraySlice<UInt8>) -> Int { bytes.count { $0 & 0xC0 != 0x80 } }
        let line = before.count { $0 == 0x0A } + 1
        let lineStart = before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
        let offset = characters(before)
        let column = characters(before[lineStart...]) + 1
        return JSONSyntaxError(message: "\(message): line \(line) column \(column) (char \(offset))", offset: offset)
    }
}
