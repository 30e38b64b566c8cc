// A new file for a list whose old one has lost pages.

extension BlockList {
    /// Rebuilds the file beside the old one, which is read and appended to meanwhile, and puts it in the old one's place;
    /// appends are refused only while what came last is copied. The old file is kept.
    ///
    /// - Parameter sources: are asked, in order, for the blocks that cannot be read.
    /// - Returns: what was done; `nil` if nothing is wrong with the structure of the file.
    /// - Throws: ``RebuildError``; the old file is still there.
    public func rebuild(from sources: [RebuildSource]) async throws(RebuildError) -> RebuildReport? {
        guard try await isStructureDamaged() else { return nil }
        guard state.beginRebuilding() else { throw .underWay }
        defer { state.endRebuilding() }
        let rebuild = FileRebuild(path: path, known: state.known)
        do throws(RebuildError) {
            return try await replaceFile(by: rebuild, filling: sources)
        } catch {
            try await rebuild.discarded()
            throw error
        }
    }

    private func isStructureDamaged() async throws(RebuildError) -> Bool {
        do throws(ReadError) {
            guard let fault = try await scrubReader.structureFault() else {
                state.structureChecked(at: nowSeconds)
                return false
            }
            state.structureDamaged(fault)
            return true
        } catch {
            throw .unreadable(error)
        }
    }

    private func replaceFile(
        by rebuild: FileRebuild, filling sources: [RebuildSource]
    ) async throws(RebuildError) -> RebuildReport {
        let replacements = state.replacements
        let now = nowSeconds
        try await rebuild.begun()
        try await rebuild.copyAll(filling: sources, now: now)
        let report: RebuildReport
        await writer.beginReplacing()
        do throws(RebuildError) {
            // What was appended meanwhile.
            await rebuild.extend(to: state.known)
            try await rebuild.copyAll(filling: sources, now: now)
            guard state.replacements == replacements else { throw .listMoved }
            report = try await rebuild.finished(now: now)
        } catch {
            await writer.endReplacing()
            throw error
        }
        do throws(OpenError) {
            try await writer.replaceFile(
                by: FileRebuild.newPath(path), keeping: report.keptPath, filled: report.filledHeights)
        } catch {
            throw .file(error)
        }
        return report
    }

    /// Rebuilds the file of a list that nobody has open, also if it can't be opened any more, whatever is wrong with it.
    ///
    /// - Parameters:
    ///   - path: the database.
    ///   - sources: are asked, in order, for the blocks that cannot be read.
    ///   - now: the time, in whole seconds since the Unix epoch.
    /// - Throws: ``RebuildError``; the old file is still there.
    public static func rebuild(
        path: String, from sources: [RebuildSource], now: Int64
    ) async throws(RebuildError) -> RebuildReport {
        let lock: StoreLock
        do throws(OpenError) {
            try StoreFile.checkIsOurs(path: path)
            lock = try StoreLock(path: path)
        } catch {
            throw .file(error)
        }
        defer { lock.release() }
        let rebuild = FileRebuild(path: path, known: nil)
        do throws(RebuildError) {
            try await rebuild.begun()
            try await rebuild.copyAll(filling: sources, now: now)
            let report = try await rebuild.finished(now: now)
            do throws(OpenError) {
                try StoreFile.replace(path, by: FileRebuild.newPath(path), keeping: report.keptPath)
            } catch {
                throw RebuildError.file(error)
            }
            return report
        } catch {
            try await rebuild.discarded()
            throw error
        }
    }
}

extension FileRebuild {
    fileprivate func begun() throws(RebuildError) {
        do throws(OpenError) {
            try begin()
        } catch {
            throw .file(error)
        }
    }

    fileprivate func finished(now: Int64) throws(RebuildError) -> RebuildReport {
        let keptPath = StoreFile.keptPath(path)
        let incomplete = try database { () throws(SQLiteError) in try finish(keptPath: keptPath, now: now) }
        return RebuildReport(
            keptPath: keptPath, height: last.height, filledHeights: filledHeights, incompleteTables: incomplete)
    }

    fileprivate func discarded() throws(RebuildError) {
        do throws(OpenError) {
            try discard()
        } catch {
            throw .file(error)
        }
    }
}
