// Cuts a stream of bytes into lines. It holds one chunk and one line at most, however long a line is.

/// Lines end at LF; a CR before it is dropped; the last line may lack its LF.
struct LineSplitter {
    /// A line, or why it is none.
    enum Content: Equatable, Sendable {
        case text(String)
        case notUTF8
        case tooLong
    }

    /// One line and where it stands.
    struct Line: Equatable, Sendable {
        /// Counted from 1.
        let number: Int
        /// Where the next line begins, in bytes.
        let endOffset: Int
        let content: Content
    }

    private let lineSizeBytesMax: Int
    private var number: Int
    private var offset: Int
    private var chunk: [UInt8] = []
    private var position = 0
    /// The beginning of a line that goes on in the next chunk; one byte above the limit, for a CR.
    private var beginning: [UInt8] = []
    private var hasBegun = false
    private var isTooLong = false

    /// - Parameters:
    ///   - number: the number of lines before.
    ///   - offset: where the first line begins, in bytes.
    init(lineSizeBytesMax: Int, after number: Int = 0, offset: Int = 0) {
        self.lineSizeBytesMax = lineSizeBytesMax
        self.number = number
        self.offset = offset
    }

    /// Takes the next bytes, once `next` has given all lines of the bytes before.
    mutating func feed(_ bytes: [UInt8]) {
        chunk = bytes
        position = 0
    }

    /// The next line that ends in the bytes fed; `nil` when more are needed.
    mutating func next() -> Line? {
        guard position < chunk.count else { return nil }
        guard let end = chunk[position...].firstIndex(of: UInt8(ascii: "\n")) else {
            keep(chunk[position...])
            offset += chunk.count - position
            position = chunk.count
            return nil
        }
        let rest = chunk[position..<end]
        offset += rest.count + 1
        position = end + 1
        if !hasBegun { return line(rest, endsWithLF: true) }
        keep(rest)
        return line(beginning[...], endsWithLF: true)
    }

    /// What comes after the last LF, if there is anything, once all bytes are fed.
    mutating func end() -> Line? {
        hasBegun ? line(beginning[...], endsWithLF: false) : nil
    }

    private mutating func keep(_ bytes: ArraySlice<UInt8>) {
        hasBegun = true
        isTooLong = isTooLong || beginning.count + bytes.count > lineSizeBytesMax + 1
        if isTooLong { beginning = [] } else { beginning += bytes }
    }

    private mutating func line(_ bytes: ArraySlice<UInt8>, endsWithLF: Bool) -> Line {
        number += 1
        let text = endsWithLF && bytes.last == UInt8(ascii: "\r") ? bytes.dropLast() : bytes
        let content: Content
        if isTooLong || text.count > lineSizeBytesMax {
            content = .tooLong
        } else {
            content = String(validating: text, as: UTF8.self).map(Content.text) ?? .notUTF8
        }
        beginning.removeAll(keepingCapacity: true)
        hasBegun = false
        isTooLong = false
        return Line(number: number, endOffset: offset, content: content)
    }
}
