// The database file: how it is told from others before SQLite touches it, and how a new one comes to be.

import CSystemLibs
import Glibc

/// What marks a file as ours, and what is in it.
enum StoreFile {
    /// `chnd`, at offset 68 of the file (https://www.sqlite.org/fileformat2.html).
    static let applicationID: UInt32 = 0x6368_6E64
    /// The version of the tables, at offset 60.
    static let formatVersion = 3

    /// The tables beside that of runs, which a scrub walks block by block.
    static let smallTables = [
        "segments", "staged", "leftovers", "origins", "orphans", "idempotency", "appends", "properties", "repairs",
    ]

    private static let schema = """
        PRAGMA application_id = \(applicationID);
        CREATE TABLE runs(
            position INTEGER PRIMARY KEY,
            blocks INTEGER NOT NULL,
            content BLOB NOT NULL,
            acknowledged BLOB
        ) STRICT;
        CREATE TABLE origins(
            identity BLOB NOT NULL,
            position INTEGER NOT NULL,
            PRIMARY KEY(identity, position)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE idempotency(
            key TEXT PRIMARY KEY,
            request BLOB NOT NULL,
            taken INTEGER NOT NULL,
            position INTEGER NOT NULL,
            identities BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX idempotency_taken ON idempotency(taken);
        \(groupTables)
        \(orderTables)
        """

    /// What version 3 has and version 2 had not: the tags of appends that an engine of consensus ordered.
    private static let orderTables = """
        PRAGMA user_version = \(formatVersion);
        CREATE TABLE appends(
            position INTEGER PRIMARY KEY,
            blocks INTEGER NOT NULL,
            session INTEGER NOT NULL,
            counter INTEGER NOT NULL,
            taken INTEGER NOT NULL,
            key TEXT,
            request BLOB
        ) STRICT;
        CREATE UNIQUE INDEX appends_id ON appends(session, counter);
        CREATE INDEX appends_key ON appends(key) WHERE key IS NOT NULL;
        """

    /// What version 2 has and version 1 had not: the list in segments of branches, and what forks leave behind.
    private static let groupTables = """
        CREATE TABLE segments(
            first INTEGER PRIMARY KEY,
            branch INTEGER NOT NULL
        ) STRICT;
        INSERT INTO segments(first, branch) VALUES(0, 0);
        CREATE TABLE staged(
            branch INTEGER PRIMARY KEY,
            first INTEGER NOT NULL,
            previous_hash BLOB NOT NULL,
            head INTEGER NOT NULL,
            head_hash BLOB NOT NULL,
            head_timestamp INTEGER NOT NULL,
            progressed INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE leftovers(
            branch INTEGER NOT NULL,
            first INTEGER NOT NULL,
            end INTEGER NOT NULL,
            previous_hash BLOB NOT NULL,
            replaced INTEGER,
            PRIMARY KEY(branch, first)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE orphans(
            id INTEGER PRIMARY KEY,
            hash BLOB NOT NULL UNIQUE,
            height INTEGER NOT NULL,
            identity BLOB NOT NULL,
            identity_height INTEGER NOT NULL,
            replaced INTEGER NOT NULL,
            acknowledged INTEGER NOT NULL,
            previous_hash BLOB NOT NULL,
            content BLOB
        ) STRICT;
        CREATE INDEX orphans_pending ON orphans(id) WHERE content IS NOT NULL;
        CREATE TABLE properties(
            name TEXT PRIMARY KEY,
            value ANY NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE repairs(
            id INTEGER PRIMARY KEY,
            time INTEGER NOT NULL,
            height INTEGER NOT NULL,
            fault TEXT NOT NULL,
            source TEXT NOT NULL
        ) STRICT;
        """

    /// Turns a database of an earlier version into one of this, in one transaction.
    static func migrate(_ connection: Connection) throws(SQLiteError) {
        let version = try connection.number("PRAGMA user_version")
        guard version < formatVersion else { return }
        try connection.execute("BEGIN IMMEDIATE")
        if version == 1 { try migrateFromVersion1(connection) }
        try connection.execute("\(orderTables); COMMIT")
    }

    private static func migrateFromVersion1(_ connection: Connection) throws(SQLiteError) {
        try connection.execute(
            """
            ALTER TABLE runs ADD COLUMN acknowledged BLOB;
            ALTER TABLE idempotency ADD COLUMN identities BLOB NOT NULL DEFAULT x'';
            \(groupTables)
            """)
        var keys: [(key: String, heights: Range<Int>)] = []
        try connection.with("SELECT key, position, blocks FROM idempotency") { statement throws(SQLiteError) in
            while try statement.step() {
                let first = statement.integer(1)
                keys.append((try statement.text(0), first..<(first + max(0, statement.integer(2)))))
            }
        }
        for (key, heights) in keys {
            var identities: [UInt8] = []
            for height in heights {
                // A block that cannot be read is no block that a retry can be answered with.
                identities += try Lineage.list.storedHash(at: height, on: connection)?.bytes ?? Hash.zero.bytes
            }
            try connection.with("UPDATE idempotency SET identities = ?2 WHERE key = ?1") {
                statement throws(SQLiteError) in
                try statement.bind(key, at: 1)
                try statement.bind(identities, at: 2)
                _ = try statement.step()
            }
        }
        try connection.execute("ALTER TABLE idempotency DROP COLUMN blocks")
    }

    /// Lets a database of version 1 be read as it is: its list is one segment.
    static func readAsCurrent(_ connection: Connection) throws(SQLiteError) {
        guard try connection.number("PRAGMA user_version") == 1 else { return }
        try SegmentStatements.supposeOne(on: connection)
        try connection.execute(
            "CREATE TEMP VIEW runs AS SELECT position, blocks, content, NULL AS acknowledged FROM main.runs")
    }

    /// Whether there is a file; if there is, refuses one that is not ours. Reads the header only and changes nothing.
    ///
    /// - Throws: `OpenError`.
    static func exists(path: String) throws(OpenError) -> Bool {
        var attributes = stat()
        guard stat(path, &attributes) == 0 else {
            if errno == ENOENT { return false }
            throw OpenError(path: path, reason: .fileSystem(operation: "looking it up", code: errno))
        }
        guard attributes.st_mode & S_IFMT == S_IFREG else {
            throw OpenError(path: path, reason: .notADatabase)
        }
        // With a WAL beside it, the file may lack pages that the WAL still holds.
        let expectedBytes = try expectedSizeBytes(path: path)
        let foundBytes = Int(attributes.st_size)
        if foundBytes < expectedBytes && walSizeBytes(path: path) == 0 {
            throw OpenError(path: path, reason: .truncated(expectedBytes: expectedBytes, foundBytes: foundBytes))
        }
        return true
    }

    /// Refuses a file that is missing or not ours, even if parts of it are lost.
    static func checkIsOurs(path: String) throws(OpenError) { _ = try expectedSizeBytes(path: path) }

    /// The size that the header of a file says it has.
    ///
    /// - Throws: `OpenError` for a file that is not ours.
    private static func expectedSizeBytes(path: String) throws(OpenError) -> Int {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw OpenError(path: path, reason: .fileSystem(operation: "reading it", code: errno))
        }
        defer { close(descriptor) }
        var header = [UInt8](repeating: 0, count: 100)
        let count = pread(descriptor, &header, header.count, 0)
        guard count >= 0 else {
            throw OpenError(path: path, reason: .fileSystem(operation: "reading it", code: errno))
        }
        guard count == header.count, header.starts(with: Array("SQLite format 3\0".utf8)) else {
            throw OpenError(path: path, reason: .notADatabase)
        }
        func number(_ offset: Int) -> UInt32 {
            header[offset..<(offset + 4)].reduce(0) { $0 << 8 | UInt32($1) }
        }
        guard number(68) == applicationID else {
            throw OpenError(path: path, reason: .otherProgram(applicationID: number(68)))
        }
        guard number(60) <= UInt32(formatVersion) else {
            throw OpenError(path: path, reason: .newerVersion(found: Int(number(60)), supported: formatVersion))
        }
        let pageSizeBytes = number(16) >> 16 == 1 ? 65536 : Int(number(16) >> 16)
        return pageSizeBytes * Int(number(28))
    }

    /// The size of the WAL that a process left behind; 0 where there is none.
    static func walSizeBytes(path: String) -> Int {
        var attributes = stat()
        return stat(path + "-wal", &attributes) == 0 ? Int(attributes.st_size) : 0
    }

    /// Makes a database with the genesis beside `path` and renames it into place, so that no kill leaves half of one.
    /// The caller holds the lock.
    ///
    /// - Throws: `OpenError.fileSystem` or `.database`.
    static func create(path: String) throws(OpenError) {
        let newPath = path + ".new"
        try remove(newPath, for: path)
        let descriptor = Glibc.open(newPath, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw OpenError(path: path, reason: .fileSystem(operation: "creating \(newPath)", code: errno))
        }
        close(descriptor)
        do throws(SQLiteError) {
            let connection = try Connection(path: newPath, access: .readWrite)
            defer { connection.close() }
            try connection.execute("PRAGMA synchronous = FULL; BEGIN; \(schema)")
            var builder = RunBuilder(height: 0)
            builder.append(Block.genesis, acknowledged: false)
            for run in builder.finish() { try RunStatements.insert(run, branch: 0, on: connection) }
            try connection.execute("COMMIT; PRAGMA journal_mode = WAL")
        } catch {
            throw OpenError(path: path, reason: .database(error))
        }
        try move(newPath, to: path)
    }

    /// Renames a closed database over `path`, durably. The caller holds the lock.
    static func move(_ source: String, to path: String) throws(OpenError) {
        guard rename(source, path) == 0 else {
            throw OpenError(path: path, reason: .fileSystem(operation: "renaming \(source)", code: errno))
        }
        try syncFolder(of: path)
    }

    /// Makes the names in the folder of `path` durable.
    static func syncFolder(of path: String) throws(OpenError) {
        let slash = path.lastIndex(of: "/")
        let folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let descriptor = Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw OpenError(path: path, reason: .fileSystem(operation: "opening \(folder)", code: errno))
        }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else {
            throw OpenError(path: path, reason: .fileSystem(operation: "syncing \(folder)", code: errno))
        }
    }

    /// Removes a database file that was never put into place, with what SQLite keeps beside it.
    static func remove(_ leftover: String, for path: String) throws(OpenError) {
        try unlinkFiles([leftover, leftover + "-journal", leftover + "-wal", leftover + "-shm"], for: path)
    }

    static func unlinkFiles(_ names: [String], for path: String) throws(OpenError) {
        for name in names {
            guard unlink(name) == 0 || errno == ENOENT else {
                throw OpenError(path: path, reason: .fileSystem(operation: "removing \(name)", code: errno))
            }
        }
    }
}
