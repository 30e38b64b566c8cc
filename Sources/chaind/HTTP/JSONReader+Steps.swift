// Steps through a JSON text whose shape is known: for answers that come so often that a decoder would cost too much.

extension JSONReader {
    /// Reads a text with the steps that a caller takes through it.
    static func read<Value>(
        _ bytes: [UInt8], steps: (inout JSONReader) throws(JSONSyntaxError) -> Value
    ) throws(JSONSyntaxError) -> Value {
        var reader = JSONReader(bytes, elementsMax: 0)
        try reader.checkEncoding()
        let value = try steps(&reader)
        try reader.end()
        return value
    }

    /// Reads an object; `member` reads or skips the value of each name.
    mutating func members(
        _ member: (String, inout JSONReader) throws(JSONSyntaxError) -> Void
    ) throws(JSONSyntaxError) {
        skipSpace()
        guard current == UInt8(ascii: "{") else { throw fault("Expecting an object", at: position) }
        try object(member: member)
    }

    /// Reads an array; `element` reads or skips each of its values.
    mutating func elements(_ element: (inout JSONReader) throws(JSONSyntaxError) -> Void) throws(JSONSyntaxError) {
        skipSpace()
        guard skip("[") else { throw fault("Expecting an array", at: position) }
        skipSpace()
        if skip("]") { return }
        while true {
            try element(&self)
            skipSpace()
            if skip("]") { return }
            guard skip(",") else { throw fault("Expecting ',' delimiter", at: position) }
        }
    }

    /// Reads a string.
    mutating func text() throws(JSONSyntaxError) -> String {
        skipSpace()
        guard current == UInt8(ascii: "\"") else { throw fault("Expecting a string", at: position) }
        return try string()
    }

    /// Reads `true` or `false`.
    mutating func flag() throws(JSONSyntaxError) -> Bool {
        let start = position
        guard case .bool(let flag) = try value(depth: 0) else { throw fault("Expecting true or false", at: start) }
        return flag
    }

    /// Goes past a value that nobody asks for.
    mutating func skipValue() throws(JSONSyntaxError) {
        _ = try value(depth: 0)
    }
}
