// What etcd keeps, as a value: keys with their revisions, leases in virtual time, and the history that watches read.
// It answers as etcd does where nothing goes wrong; `SimulatedEtcd` makes things go wrong.

@testable import chaind

/// The store of an etcd.
struct EtcdModel {
    /// A key with what it is under.
    private struct Record {
        let entry: EtcdEntry
        let leaseID: Int?
    }

    /// States that a read may still see.
    private static let pastMax = 30

    private(set) var revision = 1
    /// In the order of their keys.
    private var records: [Record] = []
    /// Earlier states, oldest first.
    private var past: [(revision: Int, records: [Record])] = []
    /// When each lease ends, and how long it lasts.
    private(set) var leases: [Int: (seconds: Double, endSeconds: Double)] = [:]
    private var lastLease = 0
    private(set) var history: [(revision: Int, events: [EtcdEvent])] = []
    private(set) var compactedRevision = 0
    /// Bytes that a compaction gives back.
    private var supersededSizeBytes = 0
    /// Whether there is no room for anything.
    var isFull = false

    var usedSizeBytes: Int { records.reduce(supersededSizeBytes) { $0 + $1.entry.value.count } }

    // MARK: Reading

    /// The keys of a range in ascending order, perhaps as they were some revisions ago.
    func entries(_ range: EtcdRange, revisionsAgo: Int = 0) -> (entries: [EtcdEntry], revision: Int) {
        guard revisionsAgo > 0, let state = past.suffix(revisionsAgo).first else {
            return (Self.entries(range, in: records), revision)
        }
        return (Self.entries(range, in: state.records), state.revision)
    }

    func entry(_ key: String) -> EtcdEntry? { Self.entries(EtcdRange(key), in: records).first }

    private static func entries(_ range: EtcdRange, in records: [Record]) -> [EtcdEntry] {
        records[indices(of: range, in: records)].map(\.entry)
    }

    private static func indices(of range: EtcdRange, in records: [Record]) -> Range<Int> {
        let first = index(of: range.key, in: records)
        if let end = range.end { return first..<max(first, index(of: end, in: records)) }
        return first..<(first < records.count && records[first].entry.key == range.key ? first + 1 : first)
    }

    /// The place of the first key that is not below this one.
    private static func index(of key: String, in records: [Record]) -> Int {
        var low = 0
        var high = records.count
        while low < high {
            let middle = (low + high) / 2
            if records[middle].entry.key < key { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The changes from a revision on; `nil` if they were forgotten.
    func events(from revision: Int) -> [EtcdEvent]? {
        guard revision >= compactedRevision else { return nil }
        return history.filter { $0.revision >= revision }.flatMap(\.events)
    }

    // MARK: Transactions

    /// Makes a transaction, wholly or not at all.
    ///
    /// - Parameter revisionsAgo: as of when it reads, if it cannot write anything.
    mutating func apply(
        _ transaction: EtcdTransaction, revisionsAgo: Int
    ) throws(EtcdError) -> EtcdTransactionAnswer {
        if let reason = Self.fault(in: transaction) { throw .refused(reason) }
        let branches = transaction.success + transaction.failure
        if isFull, branches.contains(where: \.isPut) { throw .full }
        let isReadOnly = !branches.contains { $0.isPut || $0.isDelete }
        let state = isReadOnly && revisionsAgo > 0 ? past.suffix(revisionsAgo).first : nil
        let readRecords = state?.records ?? records
        let isSucceeded = transaction.comparisons.allSatisfy { Self.holds($0, in: readRecords) }
        let operations = isSucceeded ? transaction.success : transaction.failure
        for case .put(_, _, let leaseID?) in operations where leases[leaseID] == nil {
            throw .refused(EtcdError.noLease)
        }
        let before = records
        var events: [EtcdEvent] = []
        var ranges: [[EtcdEntry]] = []
        for operation in operations {
            switch operation {
            case .put(let key, let value, let leaseID): events.append(put(key, value, leaseID: leaseID))
            case .delete(let range): events += delete(range)
            case .range(let range): ranges.append(Self.entries(range, in: state?.records ?? records))
            }
        }
        changed(events, before)
        return EtcdTransactionAnswer(
            isSucceeded: isSucceeded, revision: state?.revision ?? revision, clusterID: "model", ranges: ranges)
    }

    /// What etcd refuses before it looks at the keys.
    private static func fault(in transaction: EtcdTransaction) -> String? {
        for operations in [transaction.success, transaction.failure] {
            if operations.count > EtcdTransaction.operationsMax { return "too many operations in txn request" }
            var keys: Set<String> = []
            for case .put(let key, _, _) in operations {
                let isDeleted = operations.contains { operation in
                    guard case .delete(let range) = operation else { return false }
                    return range.contains(key)
                }
                if !keys.insert(key).inserted || isDeleted { return "duplicate key given in txn request" }
            }
        }
        return transaction.comparisons.count > EtcdTransaction.operationsMax
            ? "too many operations in txn request" : nil
    }

    private static func holds(_ comparison: EtcdTransaction.Comparison, in records: [Record]) -> Bool {
        switch comparison {
        case .createRevision(let key, let revision):
            (entries(EtcdRange(key), in: records).first?.createRevision ?? 0) == revision
        case .modRevision(let key, let revision):
            (entries(EtcdRange(key), in: records).first?.modRevision ?? 0) == revision
        }
    }

    private mutating func put(_ key: String, _ value: [UInt8], leaseID: Int?) -> EtcdEvent {
        let index = Self.index(of: key, in: records)
        let known = index < records.count && records[index].entry.key == key ? records[index].entry : nil
        let entry = EtcdEntry(
            key: key, value: value, createRevision: known?.createRevision ?? revision + 1, modRevision: revision + 1)
        let record = Record(entry: entry, leaseID: leaseID)
        if let known {
            supersededSizeBytes += known.value.count
            records[index] = record
        } else {
            records.insert(record, at: index)
        }
        return .put(entry)
    }

    private mutating func delete(_ range: EtcdRange) -> [EtcdEvent] {
        let indices = Self.indices(of: range, in: records)
        let keys = records[indices].map(\.entry)
        records.removeSubrange(indices)
        supersededSizeBytes += keys.reduce(0) { $0 + $1.value.count }
        return keys.map { .deleted(key: $0.key, revision: revision + 1) }
    }

    private mutating func changed(_ events: [EtcdEvent], _ before: [Record]) {
        guard !events.isEmpty else { return }
        past.append((revision, before))
        if past.count > Self.pastMax { past.removeFirst() }
        revision += 1
        history.append((revision, events))
    }

    mutating func compact(_ revision: Int) {
        guard revision > compactedRevision, revision <= self.revision else { return }
        compactedRevision = revision
        history.removeAll { $0.revision < revision }
        supersededSizeBytes = 0
    }

    // MARK: Leases

    mutating func grantLease(_ seconds: Int, at nowSeconds: Double) throws(EtcdError) -> Int {
        if isFull { throw .full }
        lastLease += 1
        leases[lastLease] = (Double(seconds), nowSeconds + Double(seconds))
        return lastLease
    }

    mutating func keepAlive(_ leaseID: Int, at nowSeconds: Double) -> Bool {
        guard let lease = leases[leaseID] else { return false }
        leases[leaseID]?.endSeconds = nowSeconds + lease.seconds
        return true
    }

    /// Ends a lease, and deletes the keys under it.
    mutating func revokeLease(_ leaseID: Int) {
        guard leases.removeValue(forKey: leaseID) != nil else { return }
        let before = records
        var events: [EtcdEvent] = []
        for key in records.filter({ $0.leaseID == leaseID }).map(\.entry.key) { events += delete(EtcdRange(key)) }
        changed(events, before)
    }
}

extension EtcdTransaction.Operation {
    fileprivate var isPut: Bool { if case .put = self { true } else { false } }
    fileprivate var isDelete: Bool { if case .delete = self { true } else { false } }
}

extension EtcdRange {
    func contains(_ other: String) -> Bool { end.map { key <= other && other < $0 } ?? (other == key) }
}
