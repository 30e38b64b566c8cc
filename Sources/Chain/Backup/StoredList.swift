// The list of a database as it is stored, for reading alone.

/// Reads the list of a database that no list of this process has open. Every block is checked.
public struct StoredList: Sendable {
    private let reader: StoreReader
    private let offline: OfflineFile?

    /// A database that another process may have open and append to.
    ///
    /// - Throws: `OpenError` for a file that is missing or not ours.
    public init(sharedAt path: String) throws(OpenError) {
        try StoreFile.checkIsOurs(path: path)
        offline = nil
        reader = StoreReader(path: path, source: .offline(parameters: StoreFile.sharedParameters), lanes: .best)
    }

    /// A database that nobody has open. Nothing is changed, and nothing left beside it.
    ///
    /// - Throws: `OpenError` for a file that is missing, not ours, or in use.
    public init(closedAt path: String) throws(OpenError) {
        let offline = try OfflineFile(path: path)
        self.offline = offline
        reader = StoreReader(path: path, source: .offline(parameters: offline.parameters), lanes: .best)
    }

    /// The height and the hash of the head.
    public func head() async throws(ReadError) -> (height: Int, hash: Hash) {
        let height = max(0, try await reader.endHeight() - 1)
        return (height, try await reader.blocks(at: [height])[0].get().hash)
    }

    /// The hash that is stored for a block; `nil` where there is none.
    public func storedHash(at height: Int) async throws(ReadError) -> Hash? {
        try await reader.storedHashes(at: [height], below: .max)[0]
    }

    /// The next pieces from a height that the list has, in order, up to before `end`; at least one.
    ///
    /// - Throws: `ReadError.damaged` if the first block is.
    public func slices(from height: Int, below end: Int) async throws(ReadError) -> [BlockSlice] {
        try await reader.slices(from: height, below: end)
    }

    /// Ends the reading.
    public func close() async {
        await reader.close()
        offline?.close()
    }
}
