// Makes an incremental backup: the blocks of a list after the head of an earlier backup.

import Chain
import NIOCore

/// What an earlier backup goes up to.
struct EarlierBackup {
    let path: String
    let head: BlockPoint
    private let isIncremental: Bool

    /// Reads a full backup or an incremental one.
    ///
    /// - Throws: `CommandError`, `OpenError`, `ReadError`.
    init(path: String) async throws {
        self.path = path
        var reader = try IncrementReader(path: path)
        if let header = try await reader.header() {
            // One that is not whole is no ground to build on.
            try await IncrementReader.check(path: path)
            head = header.head
            isIncremental = true
        } else {
            let backup = try StoredList(closedAt: path)
            let stored = try await backup.head()
            await backup.close()
            head = BlockPoint(height: stored.height, hash: stored.hash)
            isIncremental = false
        }
    }

    /// Where a list that lacks the head parts from this backup, as far as the backup tells.
    func parting(from list: StoredList) async throws -> String {
        if isIncremental { return try await partingOfIncrement(from: list) }
        let backup = try StoredList(closedAt: path)
        var (low, high) = (0, head.height)
        while low < high {
            let middle = low + (high - low) / 2
            let hash = try await backup.storedHash(at: middle)
            if try await list.storedHash(at: middle) == hash { low = middle + 1 } else { high = middle }
        }
        await backup.close()
        return "height \(low)"
    }

    private func partingOfIncrement(from list: StoredList) async throws -> String {
        var reader = try IncrementReader(path: path)
        guard let after = try await reader.header()?.after, try await list.storedHash(at: after.height) == after.hash
        else { return "or below the height at which \(path) begins" }
        while let run = try await reader.next() {
            for height in run.firstHeight..<run.endHeight {
                let hash = run.part(upTo: height)?.lastHash
                if try await list.storedHash(at: height) != hash { return "height \(height)" }
            }
        }
        return "height \(head.height)"
    }
}

/// An incremental backup that is to be made.
struct IncrementWriter {
    let databasePath: String
    let targetPath: String
    let earlier: EarlierBackup

    /// Writes the blocks up to the head of now.
    ///
    /// - Returns: the head that the backup has.
    /// - Throws: `CommandError`, `OpenError`, `ReadError`, `CancellationError`; there is no such file then.
    func run(onProgress: (_ blocks: Int, _ blocksTotal: Int) -> Void) async throws -> BlockPoint {
        let list = try StoredList(sharedAt: databasePath)
        let file = try NewFile(path: targetPath)
        let stored = try await list.head()
        let head = BlockPoint(height: stored.height, hash: stored.hash)
        guard try await list.storedHash(at: earlier.head.height) == earlier.head.hash else {
            let place = try await earlier.parting(from: list)
            throw CommandError("\(earlier.path): the list parts from it at \(place): make a full backup")
        }
        // What is final or settled is left out: nothing in the file proves it, and the group knows.
        try write(to: file) {
            $0.writeStreamHeader(StreamHeader(after: earlier.head, head: head, finalHeight: 0, settledHeight: 0))
        }
        var last = earlier.head
        while last.height < head.height {
            try Task.checkCancellation()
            for slice in try await list.slices(from: last.height + 1, below: head.height + 1) {
                guard slice.previousHash == last.hash else { throw ReadError.listChanged }
                try write(to: file) { $0.writeStreamPart(.run(BlockRun(slice))) }
                last = BlockPoint(height: slice.endHeight - 1, hash: slice.lastHash)
            }
            onProgress(last.height - earlier.head.height, head.height - earlier.head.height)
        }
        guard last == head else { throw ReadError.listChanged }
        await list.close()
        try write(to: file) { $0.writeStreamPart(.end) }
        try file.sync()
        try await IncrementReader.check(path: file.partialPath)
        try file.finish()
        return head
    }

    private func write(to file: NewFile, _ body: (inout ByteBuffer) -> Void) throws(CommandError) {
        var buffer = ByteBuffer()
        body(&buffer)
        try file.write(buffer.readableBytesView)
    }
}

extension BlockList {
    /// Appends the blocks of an incremental backup that goes on from the head.
    ///
    /// - Throws: `CommandError` with the height if it does not, or if a block is bad.
    func add(incrementAt path: String) async throws {
        var reader = try IncrementReader(path: path)
        guard let header = try await reader.header() else {
            throw CommandError("\(path): is no incremental backup")
        }
        let head = BlockPoint(height: status.height, hash: status.headHash)
        guard header.after == head else {
            throw CommandError(
                "\(path): goes on after block \(header.after.height) (\(header.after.hash)), but what comes before it "
                    + "ends with block \(head.height) (\(head.hash))")
        }
        var reception = try await reception(after: head.height, hash: head.hash)
        var (runs, sizeBytes) = ([BlockRun](), 0)
        while let run = try await reader.next() {
            runs.append(run)
            sizeBytes += run.content.count
            guard sizeBytes >= 2 << 20 else { continue }
            try await reception.takeAll(runs, from: path)
            (runs, sizeBytes) = ([], 0)
        }
        try await reception.takeAll(runs, from: path)
    }
}

extension Reception {
    /// Takes blocks of a file, whatever their times are.
    ///
    /// - Throws: `CommandError` naming the file.
    mutating func takeAll(_ runs: [BlockRun], from path: String) async throws {
        do throws(ReceptionError) {
            _ = try await take(runs, latestTimestamp: .max)
        } catch {
            throw CommandError("\(path): \(error)")
        }
    }
}
