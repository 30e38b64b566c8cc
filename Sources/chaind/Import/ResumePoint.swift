// Finds from the list where an import that was stopped goes on.

import Chain

/// Walks a list and follows how far the text was imported.
///
/// Batches are atomic and their boundaries depend on the text and the flags alone, so an import that was stopped left
/// its first batches in the list, each as one group, in order; other clients' blocks may stand between them and after
/// them. Hence: where the batch stands that comes next, the import went on; where the first batch stands, an import
/// began anew; all other blocks are somebody else's. What was reached at the end of the list is where to go on.
struct ResumeScan {
    private let marks: [BatchMark]
    private let linesMax: Int
    private var window = TextWindow()
    /// How many batches the import that began last brought in.
    private(set) var batches = 0

    init(_ index: BatchIndex) {
        marks = index.marks
        linesMax = index.marks.reduce(1) { max($0, $1.lines) }
    }

    /// Takes the next block of the list.
    mutating func append(_ hash: Hash) {
        window.append(hash)
        while window.count >= linesMax { advance() }
    }

    /// Takes the end of the list.
    mutating func end() {
        while window.count > 0 { advance() }
    }

    private mutating func advance() {
        for next in batches < marks.count ? [batches, 0] : [0] where window.begins(with: marks[next]) {
            batches = next + 1
            window.dropFirst(marks[next].lines)
            return
        }
        window.dropFirst(1)
    }
}

extension ImportDestination {
    /// How many of the batches are in the list, as `ResumeScan` sees it.
    ///
    /// - Parameter progress: told how many blocks were read, and how many there are to read.
    func importedBatches(of index: BatchIndex, progress: (Int, Int) -> Void) async throws -> Int {
        let height = try await headHeight()
        guard height > 0, !index.marks.isEmpty else { return 0 }
        // As a rule the import ended not long ago. Where the first batch stands nowhere else in the text, its last
        // place in the list decides alone, and need not be read from further back.
        let tail = max(1, height - 2 * index.lines)
        for start in index.firstBatchRecurs || tail == 1 ? [1] : [tail, 1] {
            var scan = ResumeScan(index)
            var blocks = 0
            try await forEachTextHash(in: start...height) { hash in
                scan.append(hash)
                blocks += 1
                progress(blocks, height - start + 1)
            }
            scan.end()
            if scan.batches > 0 { return scan.batches }
        }
        return 0
    }
}
