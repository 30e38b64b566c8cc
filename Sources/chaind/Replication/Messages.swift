// The JSON messages between nodes, as docs/protocol.md describes them. What is decoded is within the limits; what it
// says is for the receiver to judge.

import Chain
import Foundation

/// A block by its place and its hash.
struct BlockPoint: Hashable, Sendable {
    let height: Int
    let hash: Hash
}

/// What a node says of itself: half of a comparison of heads, and the answer to it.
struct StatusMessage: Hashable, Sendable {
    /// Where the node answers.
    var address: MemberAddress
    /// Tells the process from any other.
    var nodeID: String
    /// Its own clock, in whole seconds since the Unix epoch.
    var timeSeconds: Int
    /// Its list, as far as it counts.
    var head: BlockPoint
    var finalHeight: Int
    var settledHeight: Int
    /// What it knows of the members.
    var members: [MembershipEntry]
}

/// What `GET /` says of a node, as far as other nodes ask for it.
struct HealthMessage: Hashable, Sendable {
    var nodeID: String
    var head: BlockPoint
    /// The lowest blocks of its list that are damaged.
    var damagedHeights: [Int] = []
}

/// Asks which of some blocks another node has.
struct LocateRequest: Hashable, Sendable {
    /// By ascending height.
    var points: [BlockPoint]
}

/// What the answering node has.
struct LocateAnswer: Hashable, Sendable {
    /// The highest of the points that stands in its list.
    var list: BlockPoint?
    /// The highest end of something that it has staged, whatever the points were.
    var staged: BlockPoint?
    /// Whether it takes no blocks now, since it fetches many from a member.
    var isBusy = false
}

/// What became of the blocks that a node was sent.
struct PushAnswer: Hashable, Sendable {
    enum Outcome: String, Codable, Sendable {
        /// They are in its list.
        case adopted
        /// Its own list is as good or better.
        case ours
        /// A block is at fault; the detail says which and how.
        case refused
        /// They would replace settled blocks.
        case conflict
        /// It has not got the block that they begin after.
        case unknown
        /// It fetches many from a member.
        case busy
    }

    var outcome: Outcome
    /// The head of its list after that.
    var head: BlockPoint
    /// One line, or nothing.
    var detail: String
}

/// Tells a member that a node stops.
struct LeaveMessage: Hashable, Sendable {
    var address: MemberAddress
    var nodeID: String
}

// MARK: JSON

extension BlockPoint: Codable {
    private enum CodingKeys: String, CodingKey { case height, hash }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(height: try container.height(.height), hash: try container.decode(Hash.self, forKey: .hash))
    }
}

extension StatusMessage: Codable {
    private enum CodingKeys: String, CodingKey {
        case address, time, height, members
        case nodeID = "node_id"
        case headHash = "head_hash"
        case finalHeight = "final_height"
        case settledHeight = "settled_height"
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        address = try container.address(.address)
        nodeID = try container.nodeID(.nodeID)
        timeSeconds = try container.wholeNumber(.time)
        try container.check(timeSeconds >= 0, .time, "negative")
        head = try container.point(.height, .headHash)
        finalHeight = try container.height(.finalHeight)
        settledHeight = try container.height(.settledHeight)
        members = try container.decode([MembershipEntry].self, forKey: .members)
        try container.check(
            members.count <= MessageLimits.membersMax, .members, "more than \(MessageLimits.membersMax) entries")
        for (index, entry) in members.enumerated() {
            let isInLimits =
                0...MessageLimits.counterMax ~= entry.counter
                && entry.address.description.utf8.count <= MessageLimits.addressSizeBytesMax
            try container.check(isInLimits, .members, "entry \(index) is beyond the limits")
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(address.description, forKey: .address)
        try container.encode(nodeID, forKey: .nodeID)
        try container.encode(timeSeconds, forKey: .time)
        try container.encode(head.height, forKey: .height)
        try container.encode(head.hash, forKey: .headHash)
        try container.encode(finalHeight, forKey: .finalHeight)
        try container.encode(settledHeight, forKey: .settledHeight)
        try container.encode(members, forKey: .members)
    }
}

extension HealthMessage: Decodable {
    private enum CodingKeys: String, CodingKey {
        case health, height, damaged
        case nodeID = "node_id"
        case headHash = "head_hash"
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        try container.check(try container.decode(Bool.self, forKey: .health), .health, "not true")
        nodeID = try container.nodeID(.nodeID)
        head = try container.point(.height, .headHash)
        damagedHeights = try container.decodeIfPresent([Int].self, forKey: .damaged) ?? []
        let isFew = damagedHeights.count <= MessageLimits.damagedMax
        try container.check(isFew, .damaged, "more than \(MessageLimits.damagedMax)")
    }
}

extension LocateRequest: Codable {
    private enum CodingKeys: String, CodingKey { case points }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        points = try container.decode([BlockPoint].self, forKey: .points)
        try container.check(
            points.count <= MessageLimits.pointsMax, .points, "more than \(MessageLimits.pointsMax) points")
        let isAscending = zip(points, points.dropFirst()).allSatisfy { $0.height < $1.height }
        try container.check(isAscending, .points, "not ascending")
    }
}

extension LocateAnswer: Codable {
    private enum CodingKeys: String, CodingKey {
        case list, staged
        case isBusy = "busy"
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(list, forKey: .list)
        try container.encode(staged, forKey: .staged)
        try container.encode(isBusy, forKey: .isBusy)
    }
}

extension PushAnswer: Codable {
    private enum CodingKeys: String, CodingKey {
        case outcome, height, detail
        case headHash = "head_hash"
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        outcome = try container.decode(Outcome.self, forKey: .outcome)
        head = try container.point(.height, .headHash)
        detail = oneLine(try container.decode(String.self, forKey: .detail))
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(outcome, forKey: .outcome)
        try container.encode(head.height, forKey: .height)
        try container.encode(head.hash, forKey: .headHash)
        try container.encode(detail, forKey: .detail)
    }
}

extension LeaveMessage: Codable {
    private enum CodingKeys: String, CodingKey {
        case address
        case nodeID = "node_id"
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        address = try container.address(.address)
        nodeID = try container.nodeID(.nodeID)
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(address.description, forKey: .address)
        try container.encode(nodeID, forKey: .nodeID)
    }
}
