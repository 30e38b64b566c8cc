// Groups the lines of a text into batches, whose boundaries depend on the text and the flags alone.

/// Lines that are appended together: all or none.
struct LineBatch: Sendable {
    /// The texts, each with the number of its line.
    var texts: [String] = []
    var lines: [Int] = []
    /// Where the line after the last one begins, in bytes.
    var endOffset = 0
    var textSizeBytes = 0

    var firstLine: Int { lines.first ?? 0 }
    var lastLine: Int { lines.last ?? 0 }

    func sizeBytes(_ index: Int) -> Int { texts[index].utf8.count }

    fileprivate mutating func append(_ text: String, of line: LineSplitter.Line) {
        texts.append(text)
        lines.append(line.number)
        endOffset = line.endOffset
        textSizeBytes += text.utf8.count
    }
}

/// Reads batches one after the other.
struct LineBatches {
    /// Lines in a batch.
    static let linesMax = 1000
    /// Bytes of text in a batch of more than one line.
    static let textSizeBytesMax = 4 * 1024 * 1024

    /// Lines that were skipped because they are no block.
    private(set) var skippedLines = 0
    /// The last line that was read.
    private(set) var lastLine = 0
    /// How far the file was read, in bytes.
    private(set) var endOffset = 0

    private let file: InputFile
    private let lineSizeBytesMax: Int
    private let skipsInvalid: Bool
    private let waitsForMore: Bool
    private var splitter: LineSplitter
    private var isEnded = false
    /// A line that did not fit into the batch before.
    private var carried: (text: String, line: LineSplitter.Line)?

    /// Reads from where the file stands.
    ///
    /// - Parameters:
    ///   - line: the number of lines before, which are `offset` bytes.
    ///   - skipsInvalid: skips a line that is no block, instead of failing.
    ///   - waitsForMore: whether a batch is only given once it is full, so that batches depend on the text alone.
    init(
        file: InputFile, lineSizeBytesMax: Int, skipsInvalid: Bool, after line: Int = 0, offset: Int = 0,
        waitsForMore: Bool = true
    ) {
        self.waitsForMore = waitsForMore
        self.file = file
        self.lineSizeBytesMax = lineSizeBytesMax
        self.skipsInvalid = skipsInvalid
        splitter = LineSplitter(lineSizeBytesMax: lineSizeBytesMax, after: line, offset: offset)
        lastLine = line
        endOffset = offset
    }

    /// The next batch; `nil` at the end of the file.
    ///
    /// - Throws: `CommandError`, `InvalidLine`, or `CancellationError`.
    mutating func next() async throws -> LineBatch? {
        var batch = LineBatch()
        while batch.lines.count < LineBatches.linesMax,
            let (text, line) = try await nextText(reads: waitsForMore || batch.lines.isEmpty)
        {
            let fits = batch.textSizeBytes + text.utf8.count <= LineBatches.textSizeBytesMax
            guard fits || batch.lines.isEmpty else {
                carried = (text, line)
                break
            }
            batch.append(text, of: line)
        }
        return batch.lines.isEmpty ? nil : batch
    }

    /// - Parameter reads: whether more may be read from the file.
    private mutating func nextText(reads: Bool) async throws -> (text: String, line: LineSplitter.Line)? {
        if let carried {
            self.carried = nil
            return carried
        }
        while let line = try await nextLine(reads: reads) {
            lastLine = line.number
            endOffset = line.endOffset
            switch line.content {
            case .text(let text): return (text, line)
            case .notUTF8 where !skipsInvalid:
                throw InvalidLine(number: line.number, problem: "is not UTF-8")
            case .tooLong where !skipsInvalid:
                throw InvalidLine(number: line.number, problem: "is longer than \(lineSizeBytesMax) bytes")
            case .notUTF8, .tooLong: skippedLines += 1
            }
        }
        return nil
    }

    private mutating func nextLine(reads: Bool) async throws -> LineSplitter.Line? {
        while !isEnded {
            if let line = splitter.next() { return line }
            guard reads else { return nil }
            let bytes = try await file.read()
            if bytes.isEmpty {
                isEnded = true
                return splitter.end()
            }
            splitter.feed(bytes)
        }
        return nil
    }
}

/// A line that cannot be a block.
struct InvalidLine: Error, CustomStringConvertible {
    let number: Int
    let problem: String

    var description: String { "line \(number) \(problem) (--skip-invalid skips such lines)" }
}
