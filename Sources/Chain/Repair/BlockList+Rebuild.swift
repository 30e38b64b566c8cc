// A new file for a list whose old one has lost pages: what can be read is copied, the rest comes from a member.

import CSystemLibs
import Glibc

/// Blocks of a member's list.
public struct RebuildSource: Sendable {
    /// The member, for the record.
    public let name: String
    /// Asks for the blocks after one; each call of what it answers gives the next ones, `nil` at the end.
    public let blocks:
        @Sendable (_ after: (height: Int, hash: Hash)) async throws -> @Sendable () async throws -> BlockRun?

    /// Makes a source.
    public init(
        name: String,
        blocks:
            @escaping @Sendable (_ after: (height: Int, hash: Hash)) async throws
            -> @Sendable () async throws -> BlockRun?
    ) {
        self.name = name
        self.blocks = blocks
    }
}

/// What a rebuilding did.
public struct RebuildReport: Hashable, Sendable {
    /// Where the old file is kept.
    public let keptPath: String
    /// The height of the head.
    public let height: Int
    /// How many blocks came from members.
    public let filledBlocks: Int
    /// What else could not be read whole.
    public let incompleteTables: [String]
}

/// Why a file was not rebuilt. It is as it was.
public enum RebuildError: Error, Sendable, CustomStringConvertible {
    /// No member has these blocks; what each of them answered.
    case missing(heights: Range<Int>, reasons: [String])
    /// Blocks of the list were replaced meanwhile: try again.
    case listMoved
    /// The file is being rebuilt already.
    case underWay
    /// The old or the new file cannot be used.
    case file(OpenError)

    /// One line.
    public var description: String {
        switch self {
        case .missing(let heights, let reasons):
            "blocks \(heights.lowerBound) to \(heights.upperBound - 1) cannot be read, and nobody gives them: "
                + (reasons.isEmpty ? "nobody was asked" : reasons.joined(separator: "; "))
        case .listMoved: "the list changed meanwhile"
        case .underWay: "the file is being rebuilt already"
        case .file(let error): error.description
        }
    }
}

extension BlockList {
    /// Rebuilds the file beside the old one, while that is read and appended to, and puts it in the old one's place; only
    /// for that moment nothing can be appended.
    ///
    /// - Throws: `RebuildError`.
    public func rebuild(from sources: [RebuildSource]) async throws(RebuildError) -> RebuildReport {
        guard state.beginRebuilding() else { throw .underWay }
        defer { state.endRebuilding() }
        let rebuild = FileRebuild(path: path, end: status.height + 1)
        do throws(RebuildError) {
            return try await replaceFile(by: rebuild, filling: sources)
        } catch {
            try await discard(rebuild, path: path)
            throw error
        }
    }

    private func replaceFile(
        by rebuild: FileRebuild, filling sources: [RebuildSource]
    ) async throws(RebuildError) -> RebuildReport {
        let replacements = state.replacements
        let now = nowSeconds
        try await rebuild.run(filling: sources, now: now)
        let report: RebuildReport
        await writer.beginReplacing()
        do throws(RebuildError) {
            // What was appended meanwhile.
            await rebuild.extend(below: status.height + 1)
            try await rebuild.copyAll(filling: sources, now: now)
            guard state.replacements == replacements else { throw .listMoved }
            report = try await BlockList.report(of: rebuild, incompleteTables: rebuild.finishCopy(), now: now)
        } catch {
            await writer.endReplacing()
            throw error
        }
        do throws(OpenError) {
            try await writer.replaceFile(by: FileRebuild.newPath(path), keeping: report.keptPath)
        } catch {
            throw .file(error)
        }
        do throws(WriteError) {
            for heights in await rebuild.filledHeights { try await writer.learnHashes(heights) }
        } catch {
            throw .file(OpenError(path: path, reason: .database(error.databaseError)))
        }
        return report
    }

    /// Rebuilds the file of a list that nobody has open, also if it can't be opened any more.
    ///
    /// - Parameter now: in whole seconds since the Unix epoch.
    /// - Throws: `RebuildError`.
    public static func rebuild(
        path: String, from sources: [RebuildSource], now: Int64
    ) async throws(RebuildError) -> RebuildReport {
        let lock: StoreLock
        do throws(OpenError) {
            guard try StoreFile.exists(path: path) else {
                throw OpenError(path: path, reason: .fileSystem(operation: "opening it", code: ENOENT))
            }
            lock = try StoreLock(path: path)
        } catch {
            throw .file(error)
        }
        defer { lock.release() }
        let rebuild = FileRebuild(path: path, end: nil)
        do throws(RebuildError) {
            try await rebuild.run(filling: sources, now: now)
            let report = try await report(of: rebuild, incompleteTables: rebuild.finishCopy(), now: now)
            do throws(OpenError) {
                try StoreFile.replace(path, by: FileRebuild.newPath(path), keeping: report.keptPath)
            } catch {
                throw RebuildError.file(error)
            }
            return report
        } catch {
            try await discard(rebuild, path: path)
            throw error
        }
    }

    private static func report(
        of rebuild: FileRebuild, incompleteTables: [String], now: Int64
    ) async -> RebuildReport {
        RebuildReport(
            keptPath: FileRebuild.keptPath(rebuild.path, now: now), height: await rebuild.height,
            filledBlocks: await rebuild.filledHeights.reduce(0) { $0 + $1.count }, incompleteTables: incompleteTables)
    }
}

private func discard(_ rebuild: FileRebuild, path: String) async throws(RebuildError) {
    do throws(OpenError) {
        try await rebuild.discard()
    } catch {
        throw .file(error)
    }
}

extension WriteError {
    /// What the database said.
    fileprivate var databaseError: SQLiteError {
        switch self {
        case .outcomeUnknown(let error), .failed(let error): error
        case .diskFull: SQLiteError(SQLITE_FULL, "writing")
        case .closed: SQLiteError(SQLITE_MISUSE, "the list is closed")
        }
    }
}
