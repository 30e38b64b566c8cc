// Recognises the batches of a text in a list, in memory that does not grow with the texts.

import Chain

/// What a batch is recognised by.
struct BatchMark: Sendable {
    let lines: Int
    /// A quick test: see `TextWindow`.
    let digest: UInt64
    /// The proof: the hash over the hashes of the texts.
    let hash: Hash
    /// The number of its last line in the file, and where the line after it begins.
    let lastLine: Int
    let endOffset: Int
}

/// All batches of a text, in order.
struct BatchIndex: Sendable {
    private(set) var marks: [BatchMark] = []
    /// Whether the lines of the first batch stand somewhere else in the text, too.
    private(set) var firstBatchRecurs = false

    /// How many lines there are in all batches.
    private(set) var lines = 0

    /// The last lines, as many as the first batch has.
    private var window = TextWindow()

    mutating func append(_ batch: LineBatch) {
        var texts = TextWindow()
        for var text in batch.texts {
            let hash = text.withUTF8 { Hash(sha256: UnsafeRawBufferPointer($0)) }
            texts.append(hash)
            lookForFirstBatch(endingWith: hash)
        }
        let mark = BatchMark(
            lines: texts.count, digest: texts.digest(texts.count), hash: texts.hash(texts.count),
            lastLine: batch.lastLine, endOffset: batch.endOffset)
        marks.append(mark)
        lines += mark.lines
    }

    private mutating func lookForFirstBatch(endingWith hash: Hash) {
        guard !firstBatchRecurs else { return }
        window.append(hash)
        guard let first = marks.first else { return }
        // Before the first search the window holds the first batch itself and one line more.
        if window.count > first.lines { window.dropFirst(1) }
        firstBatchRecurs = window.begins(with: first)
    }
}

/// Consecutive texts, by their hashes. A polynomial over them tells in constant time whether a batch can stand at
/// the front; a hash over them all then proves it.
struct TextWindow {
    private static let modulus: UInt64 = (1 << 61) - 1
    private static let base: UInt64 = 0x1234_5678_9ABC_DEF

    private var hashes: [Hash] = []
    /// The polynomial over all hashes before this one.
    private var sums: [UInt64] = [0]
    private var start = 0
    private var powers: [UInt64] = [1]

    var count: Int { hashes.count - start }

    mutating func append(_ hash: Hash) {
        hashes.append(hash)
        // A hash value differs from process to process, so nobody can prepare texts that pass the quick test.
        let value = UInt64(truncatingIfNeeded: hash.hashValue) % TextWindow.modulus
        let sum = TextWindow.product(sums[sums.count - 1], TextWindow.base)
        sums.append((sum + value) % TextWindow.modulus)
        while powers.count <= count { powers.append(TextWindow.product(powers[powers.count - 1], TextWindow.base)) }
    }

    mutating func dropFirst(_ texts: Int) {
        start += texts
        // Moves what is left seldom enough that a text is moved about once.
        if start > 2 * count + 1024 {
            hashes.removeFirst(start)
            sums.removeFirst(start)
            start = 0
        }
    }

    /// Whether the texts at the front are those of the batch.
    func begins(with mark: BatchMark) -> Bool {
        mark.lines <= count && digest(mark.lines) == mark.digest && hash(mark.lines) == mark.hash
    }

    /// The polynomial over the first texts.
    func digest(_ texts: Int) -> UInt64 {
        let before = TextWindow.product(sums[start], powers[texts])
        return (sums[start + texts] + TextWindow.modulus - before) % TextWindow.modulus
    }

    /// The hash over the hashes of the first texts.
    func hash(_ texts: Int) -> Hash {
        var bytes: [UInt8] = []
        for hash in hashes[start..<(start + texts)] { bytes += hash.bytes }
        return bytes.withUnsafeBytes { Hash(sha256: $0) }
    }

    private static func product(_ left: UInt64, _ right: UInt64) -> UInt64 {
        modulus.dividingFullWidth(left.multipliedFullWidth(by: right)).remainder
    }
}
