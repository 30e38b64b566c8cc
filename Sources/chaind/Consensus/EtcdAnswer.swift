// Reads what etcd's JSON gateway answers. What is zero, false or empty is left out of it; numbers of 64 bits are strings.

import Foundation

/// The answers that are no more than one value.
enum EtcdAnswer {
    static func leaseID(json: [UInt8]) throws(JSONSyntaxError) -> Int {
        var id: Int?
        try read(json) { (name, reader) throws(JSONSyntaxError) in
            if name == "ID" { id = try reader.integer() } else { try reader.skipValue() }
        }
        return try found(id, "ID")
    }

    /// Whether a lease that was to be renewed is there: it has a time to live then.
    static func isLeaseAlive(json: [UInt8]) throws(JSONSyntaxError) -> Bool {
        var result: Int?
        try read(json) { (name, reader) throws(JSONSyntaxError) in
            guard name == "result" else { return try reader.skipValue() }
            var seconds = 0
            try reader.members { (name, reader) throws(JSONSyntaxError) in
                if name == "TTL" { seconds = try reader.integer() } else { try reader.skipValue() }
            }
            result = seconds
        }
        return try found(result, "result") > 0
    }

    static func token(json: [UInt8]) throws(JSONSyntaxError) -> String {
        var token: String?
        try read(json) { (name, reader) throws(JSONSyntaxError) in
            if name == "token" { token = try reader.text() } else { try reader.skipValue() }
        }
        return try found(token, "token")
    }

    /// An answer that says nothing but that it was done.
    static func done(json: [UInt8]) throws(JSONSyntaxError) {
        var header: EtcdHeader?
        try read(json) { (name, reader) throws(JSONSyntaxError) in
            if name == "header" { header = try .init(&reader) } else { try reader.skipValue() }
        }
        _ = try found(header, "header")
    }

    /// Reads the members of an object that is the whole text.
    fileprivate static func read(
        _ json: [UInt8], member: (String, inout JSONReader) throws(JSONSyntaxError) -> Void
    ) throws(JSONSyntaxError) {
        try JSONReader.read(json) { reader throws(JSONSyntaxError) in try reader.members(member) }
    }

    fileprivate static func found<Value>(_ value: Value?, _ name: String) throws(JSONSyntaxError) -> Value {
        guard let value else { throw JSONSyntaxError(message: "No \(name)", offset: 0) }
        return value
    }
}

/// What stands at the beginning of most answers.
private struct EtcdHeader {
    let clusterID: String
    let revision: Int

    init(_ reader: inout JSONReader) throws(JSONSyntaxError) {
        var clusterID: String?
        var revision: Int?
        try reader.members { (name, reader) throws(JSONSyntaxError) in
            switch name {
            case "cluster_id": clusterID = try reader.text()
            case "revision": revision = try reader.integer()
            default: try reader.skipValue()
            }
        }
        self.clusterID = try EtcdAnswer.found(clusterID, "cluster_id")
        self.revision = try EtcdAnswer.found(revision, "revision")
    }
}

extension EtcdTransactionAnswer {
    init(json: [UInt8], of transaction: EtcdTransaction) throws(JSONSyntaxError) {
        var header: EtcdHeader?
        var isSucceeded = false
        var ranges: [[EtcdEntry]] = []
        try EtcdAnswer.read(json) { (name, reader) throws(JSONSyntaxError) in
            switch name {
            case "header": header = try .init(&reader)
            case "succeeded": isSucceeded = try reader.flag()
            case "responses":
                try reader.elements { reader throws(JSONSyntaxError) in
                    try reader.members { (name, reader) throws(JSONSyntaxError) in
                        guard name == "response_range" else { return try reader.skipValue() }
                        ranges.append(try reader.rangeEntries())
                    }
                }
            default: try reader.skipValue()
            }
        }
        let found = try EtcdAnswer.found(header, "header")
        let asked = (isSucceeded ? transaction.success : transaction.failure).count {
            if case .range = $0 { true } else { false }
        }
        guard ranges.count == asked else {
            throw JSONSyntaxError(message: "\(ranges.count) ranges for \(asked)", offset: 0)
        }
        self.init(isSucceeded: isSucceeded, revision: found.revision, clusterID: found.clusterID, ranges: ranges)
    }
}

extension EtcdRangeAnswer {
    init(json: [UInt8]) throws(JSONSyntaxError) {
        var header: EtcdHeader?
        var entries: [EtcdEntry] = []
        try EtcdAnswer.read(json) { (name, reader) throws(JSONSyntaxError) in
            switch name {
            case "header": header = try .init(&reader)
            case "kvs": entries = try reader.entries()
            default: try reader.skipValue()
            }
        }
        self.init(entries: entries, revision: try EtcdAnswer.found(header, "header").revision)
    }
}

/// What an endpoint says of itself; it does not know by which URL it was asked.
struct EtcdStatusAnswer: Sendable {
    let version: String
    let sizeBytes: Int
    let usedSizeBytes: Int

    init(json: [UInt8]) throws(JSONSyntaxError) {
        var version: String?
        var sizeBytes = 0
        var usedSizeBytes = 0
        try EtcdAnswer.read(json) { (name, reader) throws(JSONSyntaxError) in
            switch name {
            case "version": version = try reader.text()
            case "dbSize": sizeBytes = try reader.integer()
            case "dbSizeInUse": usedSizeBytes = try reader.integer()
            default: try reader.skipValue()
            }
        }
        self.version = try EtcdAnswer.found(version, "version")
        self.sizeBytes = sizeBytes
        self.usedSizeBytes = usedSizeBytes
    }
}

/// One line of a watch.
struct EtcdWatchLine: Sendable {
    /// Whether there is a watch now.
    private(set) var isCreated = false
    /// Whether nothing more comes, and why.
    private(set) var isCanceled = false
    private(set) var cancelReason = ""
    /// The first revision that is kept, if the watch was to begin before.
    private(set) var compactRevision: Int?
    private(set) var events: [EtcdEvent] = []
    /// A line of another shape: why etcd, or what stands before it, has broken the watch off.
    private(set) var error: String?

    init(json: [UInt8]) throws(JSONSyntaxError) {
        var line = self
        var hasResult = false
        try EtcdAnswer.read(json) { (name, reader) throws(JSONSyntaxError) in
            switch name {
            case "result":
                hasResult = true
                try reader.members { (name, reader) throws(JSONSyntaxError) in
                    try line.readMember(name, of: &reader)
                }
            case "error": line.error = try EtcdRefusal.message(&reader)
            default: try reader.skipValue()
            }
        }
        guard hasResult || line.error != nil else { throw JSONSyntaxError(message: "No result", offset: 0) }
        self = line
    }

    private mutating func readMember(_ name: String, of reader: inout JSONReader) throws(JSONSyntaxError) {
        switch name {
        case "created": isCreated = try reader.flag()
        case "canceled": isCanceled = try reader.flag()
        case "cancel_reason": cancelReason = try reader.text()
        case "compact_revision": compactRevision = try reader.integer()
        case "events":
            var events: [EtcdEvent] = []
            try reader.elements { reader throws(JSONSyntaxError) in events.append(try reader.event()) }
            self.events = events
        default: try reader.skipValue()
        }
    }
}

/// Why a request was refused, in etcd's words.
struct EtcdRefusal {
    let message: String

    init(json: [UInt8]) throws(JSONSyntaxError) {
        var message: String?
        try EtcdAnswer.read(json) { (name, reader) throws(JSONSyntaxError) in
            if name == "error" { message = try EtcdRefusal.message(&reader) } else { try reader.skipValue() }
        }
        self.message = try EtcdAnswer.found(message, "error")
    }

    /// An error is a text, and on a stream an object.
    fileprivate static func message(_ reader: inout JSONReader) throws(JSONSyntaxError) -> String {
        reader.skipSpace()
        guard reader.current == UInt8(ascii: "{") else { return try reader.text() }
        var message = ""
        try reader.members { (name, reader) throws(JSONSyntaxError) in
            if name == "message" { message = try reader.text() } else { try reader.skipValue() }
        }
        return message
    }
}

extension JSONReader {
    /// A number of 64 bits, which etcd writes as a string.
    fileprivate mutating func integer() throws(JSONSyntaxError) -> Int {
        let start = position
        guard let number = Int(try text()) else { throw fault("Expecting a number", at: start) }
        return number
    }

    /// Bytes in base64.
    private mutating func bytes() throws(JSONSyntaxError) -> [UInt8] {
        let start = position
        guard let bytes = Data(base64Encoded: try text()) else { throw fault("Expecting base64", at: start) }
        return Array(bytes)
    }

    /// The answer to one range of a transaction.
    fileprivate mutating func rangeEntries() throws(JSONSyntaxError) -> [EtcdEntry] {
        var found: [EtcdEntry] = []
        try members { (name, reader) throws(JSONSyntaxError) in
            if name == "kvs" { found = try reader.entries() } else { try reader.skipValue() }
        }
        return found
    }

    fileprivate mutating func entries() throws(JSONSyntaxError) -> [EtcdEntry] {
        var entries: [EtcdEntry] = []
        try elements { reader throws(JSONSyntaxError) in entries.append(try reader.entry()) }
        return entries
    }

    private mutating func entry() throws(JSONSyntaxError) -> EtcdEntry {
        var key: [UInt8] = []
        var value: [UInt8] = []
        var createRevision = 0
        var modRevision = 0
        try members { (name, reader) throws(JSONSyntaxError) in
            switch name {
            case "key": key = try reader.bytes()
            case "value": value = try reader.bytes()
            case "create_revision": createRevision = try reader.integer()
            case "mod_revision": modRevision = try reader.integer()
            default: try reader.skipValue()
            }
        }
        return EtcdEntry(
            key: String(decoding: key, as: UTF8.self), value: value, createRevision: createRevision,
            modRevision: modRevision)
    }

    fileprivate mutating func event() throws(JSONSyntaxError) -> EtcdEvent {
        let start = position
        var type = "PUT"
        var found: EtcdEntry?
        try members { (name, reader) throws(JSONSyntaxError) in
            switch name {
            case "type": type = try reader.text()
            case "kv": found = try reader.entry()
            default: try reader.skipValue()
            }
        }
        switch (type, found) {
        case ("PUT", let entry?): return .put(entry)
        case ("DELETE", let entry?): return .deleted(key: entry.key, revision: entry.modRevision)
        default: throw fault("Expecting a put or a deletion", at: start)
        }
    }
}
