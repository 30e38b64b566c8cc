// Reads an incremental backup: a file that holds one block stream of docs/protocol.md, all blocks after the head of an
// earlier backup.

import Chain
import NIOCore

/// An incremental backup that is read from its beginning. Hashes are for the caller to check.
struct IncrementReader {
    private let path: String
    private let file: InputFile
    private var decoder = BlockStreamDecoder()
    private var isFileOver = false

    /// - Throws: `CommandError` if the file cannot be opened.
    init(path: String) throws(CommandError) {
        self.path = path
        file = try InputFile(path: path)
    }

    /// Which block it goes on from, and which head it has; `nil` if the file is something else.
    mutating func header() async throws -> StreamHeader? {
        do {
            while true {
                if let header = try decoder.nextHeader() { return header }
                try await readOn()
            }
        } catch StreamError.notAStream {
            return nil
        } catch let error as StreamError {
            throw CommandError("\(path): \(error)")
        }
    }

    /// The next blocks; `nil` at the end, which was found to be the end of the file.
    mutating func next() async throws -> BlockRun? {
        do {
            while true {
                switch try decoder.nextPart() {
                case .run(let run): return run
                case .end:
                    while !isFileOver { try await readOn() }
                    _ = try decoder.nextPart()
                    return nil
                case nil: try await readOn()
                case .tags, .failed: throw CommandError("\(path): has a part that no backup has")
                }
            }
        } catch let error as StreamError {
            throw CommandError("\(path): \(error)")
        }
    }

    private mutating func readOn() async throws {
        guard !isFileOver else { throw CommandError("\(path): is cut off") }
        let bytes = try await file.read()
        isFileOver = bytes.isEmpty
        decoder.append(ByteBuffer(bytes: bytes))
    }
}

extension IncrementReader {
    /// Reads all of an incremental backup and checks every block.
    ///
    /// - Throws: `CommandError` with the height of the first block that is bad.
    static func check(path: String) async throws {
        var reader = try IncrementReader(path: path)
        guard let header = try await reader.header() else { throw CommandError("\(path): is no incremental backup") }
        var lastHash = header.after.hash
        while let run = try await reader.next() {
            if let fault = run.firstFault(after: lastHash, timestamp: 0) {
                throw CommandError("\(path): block \(fault.height) is damaged")
            }
            lastHash = run.lastHash
        }
    }
}
