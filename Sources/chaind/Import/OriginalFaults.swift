// What is wrong with a list of the original service: what the import reports before it refuses.

/// One fault, and the old hash that it is about.
struct OriginalFault: Equatable, Sendable {
    /// The kinds of fault.
    enum Kind: String, Sendable {
        /// The hash is not that of the row's texts.
        case hash
        /// The timestamp is malformed.
        case timestamp
        /// A value is no text, or the data is not UTF-8.
        case text
        /// The data is over the limit.
        case tooLong = "too long"
        /// There is no genesis, or more than one.
        case genesis
        /// More than one block follows.
        case fork
        /// The block before is missing.
        case gap
        /// The block is older than the block before.
        case time
    }

    let kind: Kind
    /// The old hash; empty where there is none.
    let hash: String
    let detail: String

    /// One line.
    var text: String { (hash.isEmpty ? "" : hash + ": ") + "\(kind.rawValue): \(detail)" }

    /// One JSON object.
    var json: String {
        "{\"hash\":\(hash.jsonQuoted),\"kind\":\"\(kind.rawValue)\",\"detail\":\(detail.jsonQuoted)}"
    }
}

/// The first faults, and how many there are.
struct OriginalFaults: Equatable, Sendable {
    /// How many are kept.
    static let firstMax = 20

    private(set) var first: [OriginalFault] = []
    private(set) var count = 0

    mutating func add(_ kind: OriginalFault.Kind, _ hash: String, _ detail: String) {
        count += 1
        if first.count < OriginalFaults.firstMax {
            first.append(OriginalFault(kind: kind, hash: hash, detail: detail))
        }
    }
}
