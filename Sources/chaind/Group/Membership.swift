// Who is a member: the map that all members share, in which the greater counter wins.

import Foundation

/// What one node says about one address, as it stands in messages and in the database. The counter is not checked.
struct MembershipEntry: Hashable, Codable, Sendable {
    /// Where the node is found.
    let address: MemberAddress
    /// How often it was decided on.
    let counter: Int
    /// Whether it is a member.
    let isIn: Bool

    private enum CodingKeys: String, CodingKey {
        case address, counter
        case isIn = "in"
    }
}

/// For each address that ever was a member, how often that was decided on, and what was decided last.
///
/// Maps are merged in any order and any number of times with the same result: the greater counter wins, and *out* if
/// two decided at once. An address that is out stays in the map; otherwise an older map would bring it back.
struct Membership: Hashable, Sendable {
    /// How many addresses the map may have, in and out.
    static let entriesMax = 1_024
    /// The greatest counter that is taken: what every language's JSON can hold.
    static let counterMax = 1 << 53

    private struct Decision: Hashable {
        var counter: Int
        var isIn: Bool
    }

    private let membersMax: Int
    private var decisions: [MemberAddress: Decision] = [:]

    /// A map without members.
    ///
    /// - Parameter membersMax: how many members a node of its own accord joins to; others may have decided for more.
    init(membersMax: Int = 64) {
        self.membersMax = membersMax
    }

    /// The map that `encoded()` has written.
    ///
    /// - Throws: `MembershipError.damaged`, or what `merge(_:)` throws.
    init(encoded: [UInt8], membersMax: Int = 64) throws(MembershipError) {
        self.init(membersMax: membersMax)
        let entries: [MembershipEntry]
        do {
            entries = try JSONDecoder().decode([MembershipEntry].self, from: Data(encoded))
        } catch {
            throw .damaged
        }
        try merge(entries)
    }

    /// The map as bytes, to be kept.
    ///
    /// - Throws: what the encoder throws, which for texts and numbers is nothing.
    func encoded() throws -> [UInt8] {
        try Array(JSONEncoder().encode(entries))
    }

    /// The map for a message, in the order of the addresses.
    var entries: [MembershipEntry] {
        decisions.sorted { $0.key < $1.key }
            .map { MembershipEntry(address: $0.key, counter: $0.value.counter, isIn: $0.value.isIn) }
    }

    /// Those who are in, in the order of their addresses.
    var members: [MemberAddress] { decisions.filter(\.value.isIn).keys.sorted() }

    /// Those who were members and are out, in the order of their addresses.
    var formerMembers: [MemberAddress] { decisions.filter { !$0.value.isIn }.keys.sorted() }

    /// Whether the address is a member; `nil` if the map has never heard of it.
    func isIn(_ address: MemberAddress) -> Bool? { decisions[address]?.isIn }

    /// Decides that a node is a member.
    ///
    /// - Throws: `MembershipError`: it is one already, or there is no room for it.
    mutating func join(_ address: MemberAddress) throws(MembershipError) {
        guard isIn(address) != true else { throw .isMember(address) }
        guard members.count < membersMax else { throw .tooManyMembers(max: membersMax) }
        try decide(address, isIn: true)
    }

    /// Decides that a node is no member any more.
    ///
    /// - Throws: `MembershipError.noMember`.
    mutating func forget(_ address: MemberAddress) throws(MembershipError) {
        guard isIn(address) == true else { throw .noMember(address) }
        try decide(address, isIn: false)
    }

    /// A node's own announcement.
    ///
    /// - Parameters:
    ///   - own: the node's own address.
    ///   - isTold: whether its operator wants it to be a member again if it was forgotten; a mere restart doesn't.
    /// - Throws: `MembershipError`: there is no room for it.
    mutating func announce(_ own: MemberAddress, isTold: Bool) throws(MembershipError) {
        let known = isIn(own)
        guard known == nil || (isTold && known == false) else { return }
        try join(own)
    }

    /// Takes over what another node's map knows better.
    ///
    /// - Returns: whether anything changed.
    /// - Throws: `MembershipError` naming the entry; the map is left as it was.
    @discardableResult
    mutating func merge(_ entries: [MembershipEntry]) throws(MembershipError) -> Bool {
        guard entries.count <= Self.entriesMax else { throw .tooManyEntries }
        var merged = decisions
        for entry in entries {
            guard 1...Self.counterMax ~= entry.counter else { throw .counter(entry.address, entry.counter) }
            let known = merged[entry.address] ?? Decision(counter: 0, isIn: false)
            if entry.counter > known.counter || (entry.counter == known.counter && !entry.isIn) {
                merged[entry.address] = Decision(counter: entry.counter, isIn: entry.isIn)
            }
        }
        guard merged.count <= Self.entriesMax else { throw .tooManyEntries }
        defer { decisions = merged }
        return merged != decisions
    }

    private mutating func decide(_ address: MemberAddress, isIn: Bool) throws(MembershipError) {
        let counter = decisions[address]?.counter ?? 0
        guard counter < Self.counterMax else { throw .counter(address, counter) }
        guard decisions.count < Self.entriesMax || decisions[address] != nil else { throw .tooManyEntries }
        decisions[address] = Decision(counter: counter + 1, isIn: isIn)
    }
}

/// Why the map of members was not changed.
enum MembershipError: Error, Hashable, Sendable, CustomStringConvertible {
    /// It is a member already.
    case isMember(MemberAddress)
    /// It is not a member.
    case noMember(MemberAddress)
    /// As many nodes are members as may be.
    case tooManyMembers(max: Int)
    /// The map has as many addresses, in and out, as it may have.
    case tooManyEntries
    /// An entry's counter is not positive, or has come to its end.
    case counter(MemberAddress, Int)
    /// What was kept cannot be read.
    case damaged

    /// One line.
    var description: String {
        switch self {
        case .isMember(let address): "\(address) is a member already"
        case .noMember(let address): "\(address) is not a member"
        case .tooManyMembers(let max): "the group has \(max) members, and may not have more"
        case .tooManyEntries: "the list of members has at most \(Membership.entriesMax) addresses, forgotten ones too"
        case .counter(let address, let counter):
            "\(address) in the list of members: the counter \(counter) is not between 1 and \(Membership.counterMax)"
        case .damaged: "the list of members that was kept cannot be read"
        }
    }
}
