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
        let escapedSizeBytes = JSONOutput.escapedSizeBytes(data)
        writeJSON(sizeBytesMax: JSONOutput.blockSizeBytesMax + escapedSizeBytes) { output in
            output.write("{\"height\":")
            output.write(Int64(height))
            output.write(",\"timestamp\":")
            output.write(timestamp)
            output.write(",\"data\":")
            output.write(data, escapedSizeBytes: escapedSizeBytes)
            output.write(",\"previous_hash\":")
            output.write(previousHash)
            output.write(",\"hash\":")
            output.write(hash)
            if let origin {
                output.write(",\"origin\":{\"height\":")
                output.write(Int64(origin.height))
                output.write(",\"hash\":")
                output.write(origin.hash)
                output.write(",\"previous_hash\":")
                output.write(origin.previousHash)
                output.write(",\"timestamp\":")
                output.write(origin.timestamp)
                output.write("}")
            }
            output.write("}")
        }
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
        text.withUTF8 { bytes in
            let data = UnsafeRawBufferPointer(bytes)
            let escapedSizeBytes = JSONOutput.escapedSizeBytes(data)
            writeJSON(sizeBytesMax: escapedSizeBytes + 2) { $0.write(data, escapedSizeBytes: escapedSizeBytes) }
        }
    }

    /// Writes a hash as a JSON string.
    mutating func writeJSON(_ hash: Hash) {
        writeJSON(sizeBytesMax: 2 * Hash.sizeBytes + 2) { $0.write(hash) }
    }

    @inline(__always)
    private mutating func writeJSON(sizeBytesMax: Int, _ body: (inout JSONOutput) -> Void) {
        writeWithUnsafeMutableBytes(minimumWritableBytes: sizeBytesMax) { bytes in
            guard let base = bytes.baseAddress else { return 0 }
            var output = JSONOutput(position: base)
            body(&output)
            return output.position - base
        }
    }
}

/// Memory that JSON is written to, which is large enough: one check of its size for a block instead of one a piece.
private struct JSONOutput {
    /// What a block takes at most beside its text.
    static let blockSizeBytesMax = 600

    var position: UnsafeMutableRawPointer

    @inline(__always)
    mutating func write(_ text: StaticString) {
        position.copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
        position += text.utf8CodeUnitCount
    }

    @inline(__always)
    mutating func write(_ byte: UInt8) {
        position.storeBytes(of: byte, as: UInt8.self)
        position += 1
    }

    @inline(__always)
    mutating func write(_ number: Int64) {
        if number < 0 { write(UInt8(ascii: "-")) }
        var rest = number.magnitude
        // The digits from the last one on.
        let digitsMax = 20
        withUnsafeTemporaryAllocation(byteCount: digitsMax, alignment: 1) { digits in
            var first = digitsMax
            repeat {
                first -= 1
                digits[first] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            copy(UnsafeRawBufferPointer(rebasing: digits[first...]))
        }
    }

    @inline(__always)
    mutating func write(_ hash: Hash) {
        write(UInt8(ascii: "\""))
        hash.writeHex(to: UnsafeMutableRawBufferPointer(start: position, count: 2 * Hash.sizeBytes))
        position += 2 * Hash.sizeBytes
        write(UInt8(ascii: "\""))
    }

    /// Writes valid UTF-8 as a JSON string, with its quotes; escapes what RFC 8259 (section 7) asks for.
    ///
    /// - Parameter escapedSizeBytes: what `escapedSizeBytes` says of it.
    @inline(__always)
    mutating func write(_ utf8: UnsafeRawBufferPointer, escapedSizeBytes: Int) {
        write(UInt8(ascii: "\""))
        if escapedSizeBytes == utf8.count { copy(utf8) } else { writeEscaped(utf8) }
        write(UInt8(ascii: "\""))
    }

    private mutating func writeEscaped(_ utf8: UnsafeRawBufferPointer) {
        for byte in utf8 {
            switch byte {
            case UInt8(ascii: "\""): write("\\\"")
            case UInt8(ascii: "\\"): write("\\\\")
            case 0x08: write("\\b")
            case 0x09: write("\\t")
            case 0x0A: write("\\n")
            case 0x0C: write("\\f")
            case 0x0D: write("\\r")
            case ..<0x20:
                write("\\u00")
                write(UInt8(ascii: "0") + byte >> 4)
                write(byte & 0xF < 10 ? UInt8(ascii: "0") + byte & 0xF : UInt8(ascii: "a") + byte & 0xF - 10)
            default: write(byte)
            }
        }
    }

    @inline(__always)
    private mutating func copy(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        position.copyMemory(from: base, byteCount: bytes.count)
        position += bytes.count
    }

    /// How many bytes a text takes within the quotes. Most have nothing to escape, so eight bytes are looked at at once.
    static func escapedSizeBytes(_ utf8: UnsafeRawBufferPointer) -> Int {
        var size = utf8.count
        var index = 0
        while index + 8 <= utf8.count {
            if isEscapeNeeded(in: utf8.loadUnaligned(fromByteOffset: index, as: UInt64.self)) {
                for byte in utf8[index..<index + 8] { size += escapeSizeBytes(byte) }
            }
            index += 8
        }
        for byte in utf8[index...] { size += escapeSizeBytes(byte) }
        return size
    }

    /// Whether a byte is a control character, a quote or a backslash. Bytes above 0x7F are none of them.
    @inline(__always)
    private static func isEscapeNeeded(in bytes: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highBits: UInt64 = 0x8080_8080_8080_8080
        // The high bit of each byte that is below 0x20, or zero (a borrow can only add one where there is one already).
        let controls = (bytes &- ones &* 0x20) & ~bytes
        let quotes = bytes ^ ones &* 0x22
        let backslashes = bytes ^ ones &* 0x5C
        return (controls | (quotes &- ones) & ~quotes | (backslashes &- ones) & ~backslashes) & highBits != 0
    }

    @inline(__always)
    private static func escapeSizeBytes(_ byte: UInt8) -> Int {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), 0x08, 0x09, 0x0A, 0x0C, 0x0D: 1
        case ..<0x20: 5
        default: 0
        }
    }
}
