// The keys that a group has in etcd, and what stands in them. docs/consensus.md describes each.

import Chain
import Foundation

/// The keys of one group. Whatever else stands below its prefix is left alone.
struct ConsensusKeys: Sendable {
    /// What every key begins with.
    let root: String

    /// - Parameter prefix: without a slash at its end.
    init(prefix: String) {
        root = prefix + "/"
    }

    var all: EtcdRange { EtcdRange(prefix: root) }
    var head: String { root + "head" }
    var leader: String { root + "leader" }
    var members: String { root + "members" }
    var allLive: EtcdRange { EtcdRange(prefix: root + "live/") }
    var allStored: EtcdRange { EtcdRange(prefix: root + "stored/") }

    func live(_ address: MemberAddress) -> String { "\(root)live/\(address)" }
    func stored(_ address: MemberAddress) -> String { "\(root)stored/\(address)" }
    func probe(_ address: MemberAddress) -> String { "\(root)probe/\(address)" }

    /// The batch that begins at a height.
    func batch(_ height: Int) -> String { root + "batch/" + Self.digits(height) }

    /// The batches that begin at a height or above.
    func batches(from height: Int) -> EtcdRange {
        EtcdRange(batch(height), before: EtcdRange(prefix: root + "batch/").end ?? "")
    }

    /// The batches that begin below a height.
    func batches(below height: Int) -> EtcdRange { EtcdRange(batch(0), before: batch(height)) }

    /// What the parts of a batch that does not fit into one value begin with. No two attempts have the same.
    func chunks(_ height: Int, epoch: Int, attempt: Int) -> String {
        "\(root)chunk/\(Self.digits(height))/\(Self.digits(epoch))/\(Self.digits(attempt))/"
    }

    func chunks(from height: Int) -> EtcdRange {
        EtcdRange("\(root)chunk/\(Self.digits(height))", before: EtcdRange(prefix: root + "chunk/").end ?? "")
    }

    func chunks(below height: Int) -> EtcdRange {
        EtcdRange("\(root)chunk/", before: "\(root)chunk/\(Self.digits(height))")
    }

    /// The address that a key below another one names.
    func address(of key: String, below name: String) -> MemberAddress? {
        guard key.hasPrefix(root + name) else { return nil }
        do throws(MemberAddressError) {
            return try MemberAddress(String(key.dropFirst(root.count + name.count)))
        } catch {
            return nil
        }
    }

    /// The height in the key of a batch.
    func height(ofBatch key: String) -> Int? {
        let name = root + "batch/"
        guard key.hasPrefix(name), key.count == name.count + Self.digitCount else { return nil }
        return Int(key.dropFirst(name.count), radix: 16)
    }

    /// As many digits for every number, so that keys are in the order of the numbers.
    static func digits(_ number: Int) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: max(0, digitCount - digits.count)) + digits
    }

    private static let digitCount = 16
}

// MARK: What stands in them

/// The end of the list.
struct HeadRecord: Hashable, Codable, Sendable {
    /// The version of what the group has in etcd.
    var format = 1
    /// The hash of the first block: another one is another kind of list.
    var genesis = Block.genesis.hash
    let height: Int
    let hash: Hash
    /// Bytes of all batches that were written, also of those that were deleted.
    let writtenSizeBytes: Int

    private enum CodingKeys: String, CodingKey {
        case format, genesis, height, hash
        case writtenSizeBytes = "written"
    }

    var point: BlockPoint { BlockPoint(height: height, hash: hash) }
}

/// Who puts appends in order.
struct LeaderRecord: Hashable, Codable, Sendable {
    let address: MemberAddress
    /// The leader's process.
    let nodeID: String
    /// Tells this election of the process from others.
    let attempt: Int

    private enum CodingKeys: String, CodingKey {
        case address, attempt
        case nodeID = "node_id"
    }
}

/// Who belongs to the group, and what etcd still keeps.
struct MembersRecord: Hashable, Codable, Sendable {
    /// In the order of their addresses.
    var members: [MemberAddress]
    /// Those that were forgotten: they do not come back by themselves.
    var forgotten: [MemberAddress]
    /// Batches up to this height were deleted.
    var keptHeight: Int
    /// What they had in bytes.
    var keptSizeBytes: Int

    private enum CodingKeys: String, CodingKey {
        case members, forgotten
        case keptHeight = "kept"
        case keptSizeBytes = "kept_bytes"
    }
}

/// That a node is there: under its lease.
struct LiveRecord: Hashable, Codable, Sendable {
    /// The process.
    let nodeID: String
    /// The database: a process finds the key of the one before it on the same database.
    let databaseID: String
    /// Tells this attempt of the process from others.
    let attempt: Int

    private enum CodingKeys: String, CodingKey {
        case attempt
        case nodeID = "node_id"
        case databaseID = "database_id"
    }
}

/// What a node has on disk.
struct StoredRecord: Hashable, Codable, Sendable {
    let height: Int
    let hash: Hash

    var point: BlockPoint { BlockPoint(height: height, hash: hash) }
}

/// A record that stands in etcd.
struct Kept<Record: Hashable & Sendable>: Hashable, Sendable {
    let record: Record
    let createRevision: Int
    let modRevision: Int
}

extension Kept where Record: Codable {
    /// `nil` if the value is not such a record.
    init?(_ entry: EtcdEntry) {
        do {
            record = try JSONDecoder().decode(Record.self, from: Data(entry.value))
        } catch {
            return nil
        }
        createRevision = entry.createRevision
        modRevision = entry.modRevision
    }
}

extension Encodable {
    /// The value of a key. What is encoded here is texts and numbers, for which the encoder does not throw.
    func etcdValue() throws(EtcdError) -> [UInt8] {
        do {
            return [UInt8](try JSONEncoder().encode(self))
        } catch {
            throw .refused("a value cannot be encoded: \(error)")
        }
    }
}
