// A SHA-256 hash as a value: four words, no heap allocation.

/// A SHA-256 hash of 32 bytes (FIPS 180-4). Printed, it is 64 lower-case hexadecimal digits.
public struct Hash: Hashable, Sendable {
    /// The size of a hash in bytes.
    public static let sizeBytes = 32

    /// 32 zero bytes: what the genesis names as its previous hash.
    public static let zero = Hash(words: (0, 0, 0, 0))

    // Big-endian words, so that comparing them compares the bytes in order.
    private var word0: UInt64
    private var word1: UInt64
    private var word2: UInt64
    private var word3: UInt64

    private init(words: (UInt64, UInt64, UInt64, UInt64)) {
        (word0, word1, word2, word3) = words
    }

    /// Reads a hash from 32 bytes.
    ///
    /// - Parameter bytes: at least 32 readable bytes, of any alignment.
    init(loading bytes: UnsafeRawPointer) {
        func word(_ index: Int) -> UInt64 {
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
        }
        self.init(words: (word(0), word(1), word(2), word(3)))
    }

    /// Takes the eight 32-bit words in which SHA-256 leaves its state (FIPS 180-4, 6.2.2).
    @inline(__always)
    init(stateWords words: (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32)) {
        func join(_ high: UInt32, _ low: UInt32) -> UInt64 { UInt64(high) << 32 | UInt64(low) }
        self.init(
            words: (
                join(words.0, words.1), join(words.2, words.3), join(words.4, words.5), join(words.6, words.7)
            ))
    }

    /// Reads a hash from bytes; `nil` unless there are exactly 32.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Hash.sizeBytes else { return nil }
        let copy = Array(bytes)
        self = copy.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return .zero }
            return Hash(loading: base)
        }
    }

    /// Reads a hash from 64 hexadecimal digits of either case; `nil` for anything else.
    public init?(hex: some StringProtocol) {
        let digits = hex.utf8
        guard digits.count == 2 * Hash.sizeBytes else { return nil }
        var words: [4 of UInt64] = [0, 0, 0, 0]
        var position = 0
        for digit in digits {
            let value: UInt64
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = UInt64(digit - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = UInt64(digit - UInt8(ascii: "a") + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = UInt64(digit - UInt8(ascii: "A") + 10)
            default: return nil
            }
            words[position / 16] = words[position / 16] << 4 | value
            position += 1
        }
        self.init(words: (words[0], words[1], words[2], words[3]))
    }

    /// Writes the 32 bytes of the hash.
    ///
    /// - Parameter bytes: at least 32 writable bytes, of any alignment.
    func store(to bytes: UnsafeMutableRawPointer) {
        bytes.storeBytes(of: word0.bigEndian, as: UInt64.self)
        bytes.storeBytes(of: word1.bigEndian, toByteOffset: 8, as: UInt64.self)
        bytes.storeBytes(of: word2.bigEndian, toByteOffset: 16, as: UInt64.self)
        bytes.storeBytes(of: word3.bigEndian, toByteOffset: 24, as: UInt64.self)
    }

    /// The first eight bytes, as a big-endian number: the key of tables that keep prefixes only.
    var prefix: UInt64 { word0 }

    /// The 32 bytes.
    public var bytes: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Hash.sizeBytes) { buffer, count in
            if let base = buffer.baseAddress { store(to: base) }
            count = Hash.sizeBytes
        }
    }

    /// The hash as 64 lower-case hexadecimal digits.
    public var hex: String {
        String(unsafeUninitializedCapacity: 2 * Hash.sizeBytes) { buffer in
            writeHex(to: UnsafeMutableRawBufferPointer(buffer))
            return 2 * Hash.sizeBytes
        }
    }

    /// Writes the hash as 64 lower-case hexadecimal digits.
    ///
    /// - Parameter buffer: at least 64 writable bytes.
    public func writeHex(to buffer: UnsafeMutableRawBufferPointer) {
        func write(_ word: UInt64, at position: Int) {
            write(UInt32(truncatingIfNeeded: word >> 32), at: position)
            write(UInt32(truncatingIfNeeded: word), at: position + 8)
        }
        // Eight digits at once, each in a byte of its own.
        func write(_ half: UInt32, at position: Int) {
            var digits = UInt64(half)
            digits = (digits | digits << 16) & 0x0000_FFFF_0000_FFFF
            digits = (digits | digits << 8) & 0x00FF_00FF_00FF_00FF
            digits = (digits | digits << 4) & 0x0F0F_0F0F_0F0F_0F0F
            // The bytes of ten and more, as ones, become the distance to the letters.
            let letters = (digits &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
            let distance = UInt64(UInt8(ascii: "a") - UInt8(ascii: "0") - 10)
            let text = digits &+ 0x3030_3030_3030_3030 &+ letters &* distance
            buffer.storeBytes(of: text.bigEndian, toByteOffset: position, as: UInt64.self)
        }
        write(word0, at: 0)
        write(word1, at: 16)
        write(word2, at: 32)
        write(word3, at: 48)
    }
}

extension Hash: Comparable {
    /// Orders hashes as their bytes, which is the order of their hexadecimal digits too.
    public static func < (left: Hash, right: Hash) -> Bool {
        (left.word0, left.word1, left.word2, left.word3) < (right.word0, right.word1, right.word2, right.word3)
    }
}

extension Hash: CustomStringConvertible {
    /// The hash as 64 lower-case hexadecimal digits.
    public var description: String { hex }
}
