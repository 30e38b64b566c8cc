// Rebuilds a whole file step by step: copies, and asks one member after the other for what is missing.

extension FileRebuild {
    /// Makes the new database and copies the list, with what the members have of it.
    func run(filling sources: [RebuildSource], now: Int64) async throws(RebuildError) {
        do throws(OpenError) {
            try StoreFile.remove(FileRebuild.newPath(path), for: path)
            try StoreFile.create(path: FileRebuild.newPath(path))
        } catch {
            throw .file(error)
        }
        try database { () throws(SQLiteError) in try begin() }
        try await copyAll(filling: sources, now: now)
    }

    /// Copies the rest of the list.
    func copyAll(filling sources: [RebuildSource], now: Int64) async throws(RebuildError) {
        while true {
            switch try database({ () throws(SQLiteError) in try copy() }) {
            case .copy: continue
            case .done: return
            case .gap(let after, let nextGood): try await fill(after, before: nextGood, from: sources, now: now)
            }
        }
    }

    /// Fills a gap with the blocks of the first member that has those that our own next block follows. Where no block of
    /// our own follows, the list goes on as the member's does.
    private func fill(
        _ after: Head, before nextGood: Int?, from sources: [RebuildSource], now: Int64
    ) async throws(RebuildError) {
        var reasons: [String] = []
        for source in sources {
            do {
                var filling = Filling.goesOn
                let next = try await source.blocks((after.height, after.hash))
                while filling == .goesOn, let run = try await next() {
                    filling = try fill(run, before: nextGood, source: source.name, now: now)
                }
                if filling == .closed { return keepFilled(isEnd: false) }
                if filling == .goesOn, nextGood == nil { return keepFilled(isEnd: true) }
                reasons.append("\(source.name): \(filling.text)")
            } catch {
                reasons.append("\(source.name): \(error)")
            }
            try database { () throws(SQLiteError) in try dropFilled() }
        }
        throw .missing(heights: after.height + 1..<(nextGood ?? after.height + 2), reasons: reasons)
    }

    /// Ends the copying, and closes both files.
    func finishCopy() throws(RebuildError) -> [String] {
        try database { () throws(SQLiteError) in try finish() }
    }

    private func database<Answer>(_ body: () throws(SQLiteError) -> Answer) throws(RebuildError) -> Answer {
        do throws(SQLiteError) {
            return try body()
        } catch {
            throw .file(OpenError(path: path, reason: .database(error)))
        }
    }
}

extension FileRebuild.Filling {
    fileprivate var text: String {
        switch self {
        case .goesOn, .closed: "it has not all of them"
        case .foreign: "its blocks are not those that ours name"
        case .invalid(let fault): "block \(fault.height) is bad (\(fault.kind.rawValue))"
        }
    }
}
