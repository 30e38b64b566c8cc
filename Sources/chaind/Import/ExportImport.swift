// Imports what `chaind export` wrote: blocks with their hashes and times, all of them or none.

import Chain
import Foundation

/// What an import of an export did, however it ended.
struct ExportImportReport: Sendable {
    /// How many blocks the list lacked.
    var imported = 0
    var head = BlockPoint(height: 0, hash: Block.genesis.hash)
    /// Why nothing was imported.
    var failure: String?

    /// One JSON object.
    var json: String {
        "{\"state\":\"\(failure == nil ? "done" : "failed")\",\"imported\":\(imported),\"height\":\(head.height),"
            + "\"head_hash\":\"\(head.hash)\",\"error\":\(failure?.jsonQuoted ?? "null")}"
    }

    /// One line for a person.
    var text: String {
        let count = imported == 0 ? "every block is in the list already" : "imported \(imported) blocks"
        return "\(count): height \(head.height), head \(head.hash)"
    }
}

/// An import of an export and its settings.
struct ExportImport: Sendable {
    /// A line that holds the largest text that any node takes, as JSON at its longest.
    private static let lineSizeBytesMax = 128 << 20
    /// Blocks and bytes of text that are compared or stored at once.
    private static let batchBlocksMax = 1_000
    private static let batchSizeBytesMax = 4 << 20

    let file: InputFile
    let databasePath: String
    var showsProgress = false

    /// Imports. If it fails or the task is cancelled, the list is as it was.
    ///
    /// - Throws: `CancellationError`.
    func run() async throws -> ExportImportReport {
        var report = ExportImportReport()
        do {
            let list = try await BlockList.open(path: databasePath, now: systemSeconds)
            let outcome: Result<Int, any Error>
            do {
                outcome = .success(try await fill(list))
            } catch {
                outcome = .failure(error)
            }
            report.head = BlockPoint(height: list.status.height, hash: list.status.headHash)
            try await list.close()
            report.imported = try outcome.get()
        } catch let error as CancellationError {
            throw error
        } catch {
            report.failure = "\(error); nothing was imported"
        }
        return report
    }

    /// - Returns: how many blocks were imported.
    private func fill(_ list: BlockList) async throws -> Int {
        var merging = ExportMerging(list)
        let imported: Int
        do {
            try await readAll(into: &merging)
            imported = try await merging.finish()
        } catch {
            try await merging.drop()
            throw error
        }
        return imported
    }

    private func readAll(into merging: inout ExportMerging) async throws {
        let bar = ProgressBar(label: "importing", isShown: showsProgress)
        defer { bar.erase() }
        var lines = LineSplitter(lineSizeBytesMax: Self.lineSizeBytesMax)
        var (batch, batchSizeBytes, blocks) = ([Block](), 0, 0)
        var last: Block?
        var isOver = false
        while !isOver {
            let bytes = try await file.read()
            isOver = bytes.isEmpty
            lines.feed(bytes)
            while let line = isOver ? lines.end() : lines.next() {
                let block = try block(of: line)
                if let last, block.height != last.height + 1 || block.previousHash != last.hash {
                    throw CommandError(
                        "line \(line.number): block \(block.height) does not continue block \(last.height)")
                }
                last = block
                batch.append(block)
                batchSizeBytes += block.data.utf8.count
                guard batch.count == Self.batchBlocksMax || batchSizeBytes >= Self.batchSizeBytesMax else { continue }
                try await merging.take(batch)
                blocks += batch.count
                bar.show(.init(blocks: blocks, done: line.endOffset, total: file.sizeBytes))
                (batch, batchSizeBytes) = ([], 0)
            }
        }
        try await merging.take(batch)
    }

    private func block(of line: LineSplitter.Line) throws(CommandError) -> Block {
        guard case .text(let text) = line.content else {
            throw CommandError("line \(line.number): \(line.content == .tooLong ? "is too long" : "is not UTF-8")")
        }
        let answered: AnsweredBlock
        do {
            answered = try JSONDecoder().decode(AnsweredBlock.self, from: Data(text.utf8))
        } catch {
            throw CommandError("line \(line.number): is no block of an export")
        }
        do throws(CommandError) {
            return try answered.block()
        } catch {
            throw CommandError("line \(line.number): \(error)")
        }
    }
}

/// Consecutive blocks that go into a list: those that it has are compared, the others put aside until all are there.
private struct ExportMerging {
    private let list: BlockList
    /// The list's when this began.
    private let head: BlockPoint
    private var reception: Reception?

    init(_ list: BlockList) {
        self.list = list
        head = BlockPoint(height: list.status.height, hash: list.status.headHash)
    }

    /// Takes the next blocks.
    ///
    /// - Throws: `CommandError` with the height at which the list parts from them.
    mutating func take(_ blocks: [Block]) async throws {
        let known = blocks.prefix { $0.height <= head.height }
        if !known.isEmpty {
            let hashes = try await list.storedHashes(at: known.map(\.height))
            for (block, hash) in zip(known, hashes) where block.hash != hash {
                throw CommandError("the list has another block at height \(block.height)")
            }
        }
        let rest = Array(blocks[known.count...])
        guard let first = rest.first else { return }
        if reception == nil {
            guard first.height == head.height + 1 else {
                throw CommandError("the export begins at height \(first.height), and the list ends at \(head.height)")
            }
            guard first.previousHash == head.hash else {
                throw CommandError("the list has another block at height \(head.height)")
            }
            reception = try await list.reception(after: head.height, hash: head.hash, isHeldBack: true)
        }
        do throws(ReceptionError) {
            _ = try await reception?.take(BlockRun.runs(of: rest), latestTimestamp: .max)
        } catch {
            throw CommandError("\(error)")
        }
    }

    /// Puts what was taken at the end of the list, in one transaction.
    ///
    /// - Returns: how many blocks that are.
    func finish() async throws -> Int {
        guard let reception else { return 0 }
        var terms = AdoptionTerms()
        terms.finalHeight = list.status.finalHeight
        _ = try await reception.adopt(terms)
        return reception.blocks
    }

    /// Gives up what was taken.
    func drop() async throws {
        try await reception?.drop()
        while try await list.tidy() != .done {}
    }
}
