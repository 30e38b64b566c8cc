// Imports the lines of a text: each line a block, batch after batch.

/// What an import of lines did, however it ended.
struct LineImportReport: Sendable {
    /// How an import ends.
    enum End: Equatable, Sendable {
        case done
        /// A signal stopped it; what is in the list stays there.
        case stopped
        case failed(String)
    }

    var end = End.done
    var filled = FilledHeights()
    var skippedLines = 0
    /// The last line that is in the list.
    var lastLine = 0

    /// One JSON object.
    var json: String {
        let (state, error) =
            switch end {
            case .done: ("done", "null")
            case .stopped: ("stopped", "null")
            case .failed(let reason): ("failed", reason.jsonQuoted)
            }
        return "{\"state\":\"\(state)\",\"appended\":\(filled.blocks),\"heights\":\(filled.json),"
            + "\"last_line\":\(lastLine),\"skipped_lines\":\(skippedLines),\"error\":\(error)}"
    }

    /// One line for a person.
    var text: String {
        let skipped = skippedLines == 0 ? "" : "; skipped \(skippedLines) invalid line\(skippedLines == 1 ? "" : "s")"
        return switch end {
        case .done: "appended \(filled)\(skipped)"
        case .stopped: "stopped after line \(lastLine): appended \(filled)\(skipped); --resume goes on"
        case .failed(let reason): "\(reason); appended \(filled)\(skipped)"
        }
    }
}

/// An import of lines and its settings.
struct LineImport: Sendable {
    /// The text.
    var file: InputFile
    var lineSizeBytesMax: Int
    /// Skips lines that can be no block, instead of stopping.
    var skipsInvalid = false
    /// Goes on where an import of the same text stopped.
    var resumes = false
    /// Whether a progress bar may be shown.
    var showsProgress = false
    /// Takes what a person should know at the start.
    var say: @Sendable (String) -> Void = StandardError.say

    /// Imports. Cancelling the task stops after the batch that is on its way.
    func run(into destination: some ImportDestination) async -> LineImportReport {
        var report = LineImportReport()
        do {
            try await run(into: destination, &report)
        } catch is CancellationError {
            report.end = .stopped
        } catch {
            report.end = .failed("\(error)")
        }
        return report
    }

    private func run(into destination: some ImportDestination, _ report: inout LineImportReport) async throws {
        var file = file
        var batches = LineBatches(file: file, lineSizeBytesMax: lineSizeBytesMax, skipsInvalid: skipsInvalid)
        if resumes {
            file = try await file.seekable()
            batches = try await batchesToResume(file, destination)
            report.lastLine = batches.lastLine
        } else {
            say("appending after block \(try await destination.headHeight())")
        }

        let bar = ProgressBar(label: "importing", isShown: showsProgress)
        defer { bar.erase() }
        let start = batches.endOffset
        defer { report.skippedLines = batches.skippedLines }
        var number = 0
        while let batch = try await batches.next() {
            try Task.checkCancellation()
            do {
                report.filled.append(try await destination.append(batch, number: number))
            } catch let error as CancellationError {
                throw error
            } catch {
                throw CommandError("lines \(batch.firstLine) to \(batch.lastLine): \(error)")
            }
            report.lastLine = batch.lastLine
            number += 1
            bar.show(
                .init(
                    blocks: report.filled.blocks, done: batches.endOffset - start,
                    total: file.sizeBytes.map { $0 - start }))
        }
    }

    /// Reads the text and the list, and finds where the batches go on.
    private func batchesToResume(_ file: InputFile, _ destination: some ImportDestination) async throws -> LineBatches {
        let bar = ProgressBar(label: "looking where to resume", isShown: showsProgress)
        defer { bar.erase() }
        var index = BatchIndex()
        var batches = LineBatches(file: file, lineSizeBytesMax: lineSizeBytesMax, skipsInvalid: skipsInvalid)
        var isWhole = true
        do {
            while let batch = try await batches.next() {
                index.append(batch)
                bar.show(.init(blocks: index.lines, done: batches.endOffset, total: file.sizeBytes))
            }
        } catch is InvalidLine {
            // The import itself gets there and says so.
            isWhole = false
        }
        let imported = try await destination.importedBatches(of: index) { blocks, blocksTotal in
            bar.show(.init(blocks: blocks, done: blocks, total: blocksTotal))
        }
        let last = imported > 0 ? index.marks[imported - 1] : nil
        bar.erase()
        if isWhole && imported == index.marks.count && imported > 0 {
            say("every line is in the list already")
        } else {
            say("resuming at line \((last?.lastLine ?? 0) + 1), after block \(try await destination.headHeight())")
        }
        try file.seek(to: last?.endOffset ?? 0)
        return LineBatches(
            file: file, lineSizeBytesMax: lineSizeBytesMax, skipsInvalid: skipsInvalid,
            after: last?.lastLine ?? 0, offset: last?.endOffset ?? 0)
    }
}
