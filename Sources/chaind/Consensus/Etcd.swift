// What a node can ask of etcd, and the shapes of questions and answers. A struct of closures, so that the simulation of
// the tests can be an etcd itself.

import Chain

/// A range of keys: one key, or all from `key` to before `end`.
struct EtcdRange: Hashable, Sendable {
    let key: String
    var end: String?

    /// One key.
    init(_ key: String) {
        self.key = key
    }

    /// All keys from one to before another.
    init(_ key: String, before end: String) {
        self.key = key
        self.end = end
    }

    /// All keys that begin so. The last character is one below 0x7F.
    init(prefix: String) {
        key = prefix
        let last = prefix.unicodeScalars.last?.value ?? 0
        end = String(prefix.dropLast()) + String(UnicodeScalar(UInt8(last + 1)))
    }
}

/// A key with its value.
struct EtcdEntry: Hashable, Sendable {
    let key: String
    let value: [UInt8]
    /// The revision at which the key was made.
    let createRevision: Int
    /// The revision at which it was written last.
    let modRevision: Int
}

/// A transaction: if all comparisons hold, the operations of `success` are done, else those of `failure`.
struct EtcdTransaction: Hashable, Sendable {
    /// What etcd takes in each of the three lists (`--max-txn-ops`).
    static let operationsMax = 128

    enum Comparison: Hashable, Sendable {
        /// The key was made at this revision; 0 for one that is not there.
        case createRevision(String, Int)
        /// The key was written last at this revision; 0 for one that is not there.
        case modRevision(String, Int)
    }

    enum Operation: Hashable, Sendable {
        /// Writes a key; with a lease it is deleted when that is over.
        case put(String, [UInt8], leaseID: Int? = nil)
        case delete(EtcdRange)
        /// Reads keys in ascending order.
        case range(EtcdRange)
    }

    var comparisons: [Comparison] = []
    var success: [Operation] = []
    var failure: [Operation] = []
}

/// What a transaction came to.
struct EtcdTransactionAnswer: Hashable, Sendable {
    /// Whether the comparisons held.
    let isSucceeded: Bool
    /// etcd's revision after it: that of what it wrote, if it wrote.
    let revision: Int
    /// Tells one etcd from another.
    let clusterID: String
    /// What each `range` of the branch that was taken has read, in order.
    let ranges: [[EtcdEntry]]
}

/// What a read found. It may be older than what was answered before.
struct EtcdRangeAnswer: Hashable, Sendable {
    let entries: [EtcdEntry]
    let revision: Int
}

/// A change of a key.
enum EtcdEvent: Hashable, Sendable {
    case put(EtcdEntry)
    case deleted(key: String, revision: Int)
}

/// Changes as they happen. One may be missing, and nothing may come although the connection is there.
struct EtcdWatch: Sendable {
    /// The next changes, for one caller at a time; none where etcd only says that it is there; `nil` at the end.
    let next: @Sendable () async throws(EtcdError) -> [EtcdEvent]?
}

/// What one endpoint says of itself.
struct EtcdStatus: Hashable, Sendable {
    let endpoint: String
    /// As `3.4.23`.
    let version: String
    /// Bytes of its database.
    let sizeBytes: Int
    /// Bytes of it that hold something: what is free after a compaction does not count.
    let usedSizeBytes: Int
}

/// Why a request was not answered.
enum EtcdError: Error, Hashable, Sendable {
    /// Nothing came, or nothing that says what became of it: a write may have happened, and may still happen.
    case unknown(String)
    /// It was refused, and nothing was written.
    case refused(String)
    /// The user may not do it: a wrong name or password, or a missing right. Nothing was written.
    case denied(String)
    /// etcd's database is full. Nothing was written.
    case full
    /// A watch was to begin at a revision that is not kept any more.
    case compacted(revision: Int)
}

extension EtcdError: CustomStringConvertible {
    /// One line.
    var description: String {
        switch self {
        case .unknown(let reason): "etcd does not answer: \(reason)"
        case .refused(let reason): "etcd refuses: \(reason)"
        case .denied(let reason): "etcd does not let us in: \(reason)"
        case .full: "etcd is full"
        case .compacted(let revision): "etcd keeps nothing before revision \(revision)"
        }
    }
}

/// How questions get to etcd. Each is one attempt with a time limit; whether to send it again is for the caller to decide.
struct Etcd: Sendable {
    /// Makes a transaction, or repeats one of unknown outcome.
    var transact: @Sendable (EtcdTransaction) async throws(EtcdError) -> EtcdTransactionAnswer
    /// Reads keys in ascending order, at most so many: from whichever endpoint, which may be behind.
    var range: @Sendable (EtcdRange, _ limit: Int) async throws(EtcdError) -> EtcdRangeAnswer
    /// Makes a lease of so many seconds, and gives its id.
    var grantLease: @Sendable (_ seconds: Int) async throws(EtcdError) -> Int
    /// Renews a lease; false if there is none of this id.
    var keepAlive: @Sendable (_ leaseID: Int) async throws(EtcdError) -> Bool
    /// Ends a lease, and deletes the keys that are under it.
    var revokeLease: @Sendable (_ leaseID: Int) async throws(EtcdError) -> Void
    /// The changes of keys from a revision on.
    var watch: @Sendable (EtcdRange, _ fromRevision: Int) async throws(EtcdError) -> EtcdWatch
    /// Asks every endpoint; those that do not answer are missing.
    var status: @Sendable () async -> [EtcdStatus]
    /// Forgets what was replaced or deleted before a revision.
    var compact: @Sendable (_ revision: Int) async throws(EtcdError) -> Void
}
