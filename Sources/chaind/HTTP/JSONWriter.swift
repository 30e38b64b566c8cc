// Writes the JSON of answers straight into the buffer that is sent: no strings and no encoder in between.

import Chain
import NIOCore

extension ByteBuffer {
    /// Writes a block from its parts, its keys in the documented order.
    ///
    /// - Parameter data: valid UTF-8.
    mutating func writeJSON(
        height: Int, timestamp: Int64, data: UnsafeRawBufferPointer, previousHash: Hash, hash: Hash, origin: Origin?
    ) {
        writeStaticString("{\"height\":")
        writeString(String(height))
        writeStaticString(",\"timestamp\":")
        writeString(String(timestamp))
        writeStaticString(",\"data\":")
        writeJSONString(data)
        writeStaticString(",\"previous_hash\":")
        writeJSON(previousHash)
        writeStaticString(",\"hash\":")
        writeJSON(hash)
        if let origin {
            writeStaticString(",\"origin\":{\"height\":")
            writeString(String(origin.height))
            writeStaticString(",\"hash\":")
            writeJSON(origin.hash)
            writeStaticString(",\"previous_hash\":")
            writeJSON(origin.previousHash)
            writeStaticString(",\"timestamp\":")
            writeString(String(origin.timestamp))
            writeStaticString("}")
        }
        writeStaticString("}")
    }

    /// Writes a block.
    mutating func writeJSON(_ block: Block) {
        var data = block.data
        data.withUTF8 { bytes in
            writeJSON(
                height: block.height, timestamp: block.timestamp, data: UnsafeRawBufferPointer(bytes),
                previousHash: block.previousHash, hash: block.hash, origin: block.origin)
        }
    }

    /// Writes a text as a JSON string, with its quotes.
    mutating func writeJSON(_ text: String) {
        var text = text
        text.withUTF8 { writeJSONString(UnsafeRawBufferPointer($0)) }
    }

    /// Writes a hash as a JSON string.
    mutating func writeJSON(_ hash: Hash) {
        writeStaticString("\"")
        writeWithUnsafeMutableBytes(minimumWritableBytes: 2 * Hash.sizeBytes) { bytes in
            hash.writeHex(to: bytes)
            return 2 * Hash.sizeBytes
        }
        writeStaticString("\"")
    }

    /// Writes valid UTF-8 as a JSON string, with its quotes; escapes what RFC 8259 (section 7) asks for.
    mutating func writeJSONString(_ utf8: UnsafeRawBufferPointer) {
        writeStaticString("\"")
        var start = 0
        for (index, byte) in utf8.enumerated() {
            guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { continue }
            writeBytes(utf8[start..<index])
            writeEscape(byte)
            start = index + 1
        }
        writeBytes(utf8[start...])
        writeStaticString("\"")
    }

    private mutating func writeEscape(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): writeStaticString("\\\"")
        case UInt8(ascii: "\\"): writeStaticString("\\\\")
        case 0x08: writeStaticString("\\b")
        case 0x09: writeStaticString("\\t")
        case 0x0A: writeStaticString("\\n")
        case 0x0C: writeStaticString("\\f")
        case 0x0D: writeStaticString("\\r")
        default: writeString((byte < 0x10 ? "\\u000" : "\\u00") + String(byte, radix: 16))
        }
    }
}
