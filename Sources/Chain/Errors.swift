// Every error that the engine throws, in one place.

import Glibc

/// Why a database was not opened, created, filled or verified. The file is left as it was.
public struct OpenError: Error, Sendable, CustomStringConvertible {
    /// What is wrong with the file or its folder.
    public enum Reason: Hashable, Sendable {
        /// The file does not begin as an SQLite database does.
        case notADatabase
        /// An SQLite database of another program, with its `application_id`.
        case otherProgram(applicationID: UInt32)
        /// Written by a newer version of this program.
        case newerVersion(found: Int, supported: Int)
        /// The file is shorter than its header says, both in bytes.
        case truncated(expectedBytes: Int, foundBytes: Int)
        /// Another process has it; its id, where it could be read.
        case inUse(processID: Int?)
        /// A list is there already, at this height, where an empty one was asked for.
        case notEmpty(height: Int)
        /// There is a file already, or what SQLite keeps beside one, where there should be none.
        case exists
        /// Written by an earlier version of this program, where one of this version is needed.
        case earlierVersion(found: Int)
        /// The file system refused, with its `errno`.
        case fileSystem(operation: String, code: Int32)
        /// SQLite refused.
        case database(SQLiteError)
    }

    /// The path of the database, as it was given.
    public let path: String
    /// What is wrong with it.
    public let reason: Reason

    /// Whether it is a database of ours of which parts are lost: ``BlockList/rebuild(path:from:now:)`` may bring it back.
    public var isDamage: Bool {
        switch reason {
        case .truncated: true
        case .database(let error): error.isDamage
        default: false
        }
    }

    init(path: String, reason: Reason) {
        self.path = path
        self.reason = reason
    }

    /// One line with the path and the reason.
    public var description: String {
        switch reason {
        case .notADatabase: "\(path): not an SQLite database"
        case .otherProgram(let applicationID):
            "\(path): a database of another program (application_id \(applicationID))"
        case .newerVersion(let found, let supported):
            "\(path): written by a newer version (format \(found), this program reads \(supported))"
        case .truncated(let expectedBytes, let foundBytes):
            "\(path): truncated (\(foundBytes) of \(expectedBytes) bytes)"
        case .inUse(let processID):
            "\(path): in use by " + (processID.map { "process \($0)" } ?? "another process")
        case .notEmpty(let height): "\(path): holds a list already (height \(height))"
        case .exists: "\(path): is there already, and is not written over"
        case .earlierVersion(let found):
            "\(path): written by an earlier version (format \(found)): start a node on it, which brings it up to date"
        case .fileSystem(let operation, let code): "\(path): \(operation): \(String(cString: strerror(code)))"
        case .database(let error): "\(path): \(error)"
        }
    }
}

/// Why blocks could not be read. Nothing that fails its check is given out.
public enum ReadError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The block at this height fails its check, or the page that holds it cannot be read.
    case damaged(height: Int)
    /// The hash was not found, and not every block's hash is known yet, or some are damaged.
    case hashesIncomplete
    /// Blocks were replaced while they were read piece by piece.
    case listChanged
    /// The list was closed.
    case closed
    /// SQLite refused for a reason other than damage.
    case database(SQLiteError)

    /// One line.
    public var description: String {
        switch self {
        case .damaged(let height): "block \(height) is damaged"
        case .hashesIncomplete: "not every block has been read since the start: try again"
        case .listChanged: "the list changed while it was read"
        case .closed: "the list is closed"
        case .database(let error): "\(error)"
        }
    }
}

/// Why an append was refused. Unless it says otherwise, nothing of the append is stored.
public enum AppendError: Error, Hashable, Sendable, CustomStringConvertible {
    /// ``AppendRequest/lastHash`` is not the hash of the head, which is given.
    case invalidLastHash(head: Block)
    /// There are no texts, or more than ``AppendRequest/draftsMax``.
    case textCount(found: Int, max: Int)
    /// A text is larger than ``BlockListOptions/dataSizeBytesMax``, counted in bytes of UTF-8; its place in the request.
    case textTooLarge(index: Int, sizeBytes: Int, sizeBytesMax: Int)
    /// A timestamp that was given is negative or lies before the head's.
    case timeGoesBack(index: Int, timestamp: Int64, headTimestamp: Int64)
    /// An origin that was given is not the hash of its parts and the text.
    case invalidOrigin(index: Int)
    /// The list has a block of this identity already, at this height.
    case identityExists(height: Int)
    /// The idempotency key was used within 24 hours with another request.
    case idempotencyKeyReused
    /// As many appends wait as may: try again.
    case queueFull
    /// The disk has no room.
    case diskFull
    /// The database failed at the commit: the append may be stored or not. See <doc:Recovery>.
    case outcomeUnknown(SQLiteError)
    /// The head fails its check, so nothing can follow it. See <doc:Recovery>.
    case damagedHead(height: Int)
    /// A block that the answer needs is damaged.
    case damaged(height: Int)
    /// The database does not work at the moment.
    case unavailable(SQLiteError)
    /// The blocks of an earlier request with this key were replaced, and are still to be appended again.
    case pending(Hash)
    /// It was not put in order by the group's engine of consensus, and will not be.
    case notOrdered(reason: String)
    /// It was sent to the group's engine of consensus, which did not answer in time: it may be appended, now or later.
    case orderUnknown
    /// The list is closed.
    case closed

    /// One line, without the client's text.
    public var description: String {
        switch self {
        case .invalidLastHash: "Invalid last hash"
        case .textCount(let found, let max): "an append takes 1 to \(max) texts, not \(found)"
        case .textTooLarge(let index, let sizeBytes, let sizeBytesMax):
            "text \(index) has \(sizeBytes) bytes, the limit is \(sizeBytesMax)"
        case .timeGoesBack(let index, let timestamp, let headTimestamp):
            "the timestamp \(timestamp) of text \(index) lies before the head's, \(headTimestamp)"
        case .invalidOrigin(let index): "the origin of text \(index) is not the hash of its parts"
        case .identityExists(let height): "block \(height) has this identity already"
        case .idempotencyKeyReused: "the idempotency key was used with another request"
        case .queueFull: "too many appends are waiting: try again"
        case .diskFull: "the disk is full: nothing was appended"
        case .outcomeUnknown(let error): "the outcome is unknown (\(error))"
        case .damagedHead(let height), .damaged(let height): "block \(height) is damaged"
        case .unavailable(let error): "the database does not work at the moment (\(error))"
        case .pending(let identity): "block \(identity) was replaced and is still to be appended again"
        case .notOrdered(let reason): "nothing was appended: \(reason)"
        case .orderUnknown: "the outcome is unknown: etcd did not answer in time"
        case .closed: "the list is closed"
        }
    }

    init(_ error: WriteError) {
        self =
            switch error {
            case .diskFull: .diskFull
            case .outcomeUnknown(let error): .outcomeUnknown(error)
            case .failed(let error): .unavailable(error)
            case .closed: .closed
            }
    }
}

/// Why blocks that came from another node were not taken. Nothing of them is in the list.
public enum ReceptionError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A block is bad: the sender's fault.
    case invalid(ValidationFault)
    /// The blocks do not follow what they were said to follow.
    case discontinuous(expectedHeight: Int, foundHeight: Int)
    /// They would replace the block at this height, which is settled or final.
    case conflict(height: Int)
    /// What they follow is not in the list any more: look for the last common block again.
    case listMoved
    /// Our list is as good.
    case oursIsAsGood
    /// Our head is damaged, and they would follow it.
    case damagedHead(height: Int)
    /// The disk has no room.
    case diskFull
    /// The database does not work at the moment.
    case unavailable(SQLiteError)
    /// The list is closed.
    case closed

    /// One line, without a client's text.
    public var description: String {
        switch self {
        case .invalid(let fault): "\(fault)"
        case .discontinuous(let expected, let found): "block \(found) where block \(expected) should follow"
        case .conflict(let height): "it would replace block \(height), which is settled"
        case .listMoved: "the list changed meanwhile"
        case .oursIsAsGood: "our list is as good"
        case .damagedHead(let height): "block \(height) is damaged"
        case .diskFull: "the disk is full"
        case .unavailable(let error): "the database does not work at the moment (\(error))"
        case .closed: "the list is closed"
        }
    }

    init(_ error: WriteError) {
        self =
            switch error {
            case .diskFull: .diskFull
            case .outcomeUnknown(let error), .failed(let error): .unavailable(error)
            case .closed: .closed
            }
    }

    init(_ error: ReadError) {
        self =
            switch error {
            case .damaged, .listChanged, .hashesIncomplete: .listMoved
            case .database(let error): .unavailable(error)
            case .closed: .closed
            }
    }
}

/// Why a database was not backed up, or a backup not restored. There is no file then, or the one that was there before.
public enum BackupError: Error, Sendable, CustomStringConvertible {
    /// The block at this height is damaged, or cannot be read.
    case damaged(height: Int)
    /// Not all of a table beside the list can be read.
    case damagedTable(String)
    /// Blocks were replaced again and again meanwhile.
    case listChanged
    /// Blocks were appended faster than they could be copied.
    case outrun
    /// A file could not be opened, read or written.
    case file(OpenError)

    /// One line.
    public var description: String {
        switch self {
        case .damaged(let height): "block \(height) is damaged"
        case .damagedTable(let name): "the table \(name) is damaged"
        case .listChanged: "the list changed again and again while it was copied"
        case .outrun: "the list grows faster than it is copied"
        case .file(let error): "\(error)"
        }
    }
}

/// Why a transaction was not made.
enum WriteError: Error {
    /// The disk has no room: nothing is changed.
    case diskFull
    /// The database failed at the commit: it is made or not.
    case outcomeUnknown(SQLiteError)
    /// The database failed before: nothing is changed.
    case failed(SQLiteError)
    /// The list is closed.
    case closed
}
