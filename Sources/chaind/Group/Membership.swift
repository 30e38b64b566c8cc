// Who belongs to the group.

/// What is known of one address.
struct MembershipEntry: Hashable, Sendable, Codable {
    enum CodingKeys: String, CodingKey {
        case address, counter
        case isIn = "in"
    }

    var address: MemberAddress
    var counter: Int
    var isIn: Bool
}
