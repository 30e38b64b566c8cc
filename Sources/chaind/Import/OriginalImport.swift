// Migrates a list of the original service into an empty list of ours: the whole of it, or nothing.

import Chain
import Foundation

/// What a migration did, however it ended.
struct OriginalImportReport: Sendable {
    /// How a migration ends.
    enum End: Equatable, Sendable {
        case done
        /// The original's list has faults.
        case refused
        case failed(String)
    }

    var end = End.done
    /// How many blocks were imported: heights 1 to this.
    var blocks = 0
    /// How many rows of the original were not taken, its genesis not counted.
    var leftOut = 0
    var faults = OriginalFaults()

    /// One JSON object.
    var json: String {
        let (state, error) =
            switch end {
            case .done: ("done", "null")
            case .refused: ("refused", "null")
            case .failed(let reason): ("failed", reason.jsonQuoted)
            }
        let listed = faults.first.map(\.json).joined(separator: ",")
        return "{\"state\":\"\(state)\",\"imported\":\(blocks),\"height\":\(blocks),\"left_out\":\(leftOut),"
            + "\"fault_count\":\(faults.count),\"faults\":[\(listed)],\"error\":\(error)}"
    }

    /// One line for a person about what was imported.
    var text: String {
        let imported = "imported \(blocks) block\(blocks == 1 ? "" : "s")"
        let heights = blocks == 0 ? "" : blocks == 1 ? ": height 1" : ": heights 1 to \(blocks)"
        return imported + heights + (leftOut == 0 ? "" : "; left out \(leftOut)")
    }

    /// The lines that say why nothing was imported.
    func refusal(path: String) -> [String] {
        faults.first.map(\.text) + [
            "\(path): \(faults.count) fault\(faults.count == 1 ? "" : "s")"
                + (faults.count > faults.first.count ? " (the first \(faults.first.count) are above)" : "")
                + ", nothing was imported (--longest-valid takes the longest valid list)"
        ]
    }
}

/// A migration and its settings.
struct OriginalImport: Sendable {
    /// Blocks and bytes of text that are appended at once.
    private static let batchBlocksMax = AppendRequest.draftsMax
    private static let batchSizeBytesMax = 8 * 1024 * 1024
    /// Rows between two looks at whether the task was cancelled.
    private static let rowsBetweenChecks = 1000

    /// The original's database.
    var path: String
    /// Ours.
    var databasePath: String
    var timeZone = TimeZone.gmt
    var takesLongestValid = false
    var dataSizeBytesMax: Int
    var showsProgress = false

    /// Migrates. Cancelling the task leaves our database as it was.
    ///
    /// - Throws: `CancellationError`.
    func run() async throws -> OriginalImportReport {
        var report = OriginalImportReport()
        do {
            try await run(&report)
        } catch let error as CancellationError {
            throw error
        } catch {
            report.end = .failed("\(error)")
        }
        return report
    }

    private func run(_ report: inout OriginalImportReport) async throws {
        try refuseOwnSource()
        try await refuseFilledList()
        let original = try OriginalDatabase(path: path)
        var list = try await verify(original)
        let path = list.longest(in: timeZone)
        report.faults = list.faults
        guard let path, list.faults.count == 0 || takesLongestValid else {
            report.end = .refused
            return
        }
        try await BlockList.fillEmpty(path: databasePath, options: options, now: systemSeconds) { target in
            try await append(path, of: list, from: original, to: target)
        }
        report.blocks = path.count
        report.leftOut = list.rows - path.count - 1
    }

    private var options: BlockListOptions {
        var options = BlockListOptions()
        options.dataSizeBytesMax = dataSizeBytesMax
        return options
    }

    /// Refuses a source that is the file to be written, by whatever name, or one that is replaced on the way.
    private func refuseOwnSource() throws(CommandError) {
        var source = stat()
        guard stat(path, &source) == 0 else { throw CommandError(errno: errno, path) }
        for name in [databasePath, databasePath + ".filling", databasePath + ".new"] {
            var target = stat()
            if stat(name, &target) == 0, target.st_dev == source.st_dev, target.st_ino == source.st_ino {
                throw CommandError("\(path): is the database to be written (\(name)): choose another --data-dir")
            }
        }
    }

    /// Refuses a list that has blocks, or that a node has open, before the original is read.
    private func refuseFilledList() async throws {
        guard FileManager.default.fileExists(atPath: databasePath) else { return }
        let list = try await BlockList.open(path: databasePath, options: options, now: systemSeconds)
        let height = list.status.height
        try await list.close()
        guard height == 0 else { throw CommandError("\(databasePath): holds a list already (height \(height))") }
    }

    private func verify(_ original: OriginalDatabase) async throws -> OriginalList {
        let bar = ProgressBar(label: "verifying", isShown: showsProgress)
        defer { bar.erase() }
        var list = OriginalList(dataSizeBytesMax: dataSizeBytesMax, rowsExpected: original.rows)
        while let row = try original.nextRow() {
            list.append(row)
            guard list.rows.isMultiple(of: OriginalImport.rowsBetweenChecks) else { continue }
            bar.show(.init(blocks: list.rows, done: list.rows, total: original.rows))
            try Task.checkCancellation()
            await Task.yield()
        }
        return list
    }

    private func append(
        _ path: [Int32], of list: OriginalList, from original: OriginalDatabase, to target: BlockList
    ) async throws {
        let bar = ProgressBar(label: "importing", isShown: showsProgress)
        defer { bar.erase() }
        var (drafts, sizeBytes, appended) = ([Draft](), 0, 0)
        var preimage: [UInt8] = []
        for (position, index) in path.enumerated() {
            let member = list.member(index)
            guard let row = try original.row(id: member.rowID), OriginalList.hash(of: row, &preimage) == member.hash,
                let data = row.data.flatMap({ String(validating: $0, as: UTF8.self) })
            else {
                throw CommandError("\(path): changed while it was imported: nothing was imported")
            }
            drafts.append(Draft(data: data, timestamp: member.timestamp))
            sizeBytes += data.utf8.count
            let isFull =
                drafts.count == OriginalImport.batchBlocksMax || sizeBytes >= OriginalImport.batchSizeBytesMax
            guard isFull || position == path.count - 1 else { continue }
            try Task.checkCancellation()
            _ = try await target.append(AppendRequest(drafts: drafts))
            appended += drafts.count
            bar.show(.init(blocks: appended, done: appended, total: path.count))
            (drafts, sizeBytes) = ([], 0)
        }
    }
}
