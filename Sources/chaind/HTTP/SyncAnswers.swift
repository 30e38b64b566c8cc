// The shapes of what the routes below `/sync/` answer to clients.

import Chain

/// `GET /sync/`.
struct GroupAnswer: Codable {
    /// A member as this node sees it.
    struct Member: Codable {
        let address: String
        let state: String
        let height: Int?
        let headHash: Hash?
        let failures: Int
        let lastContactSeconds: Double?
        let lagBlocks: Int?
        let lastError: String?

        enum CodingKeys: String, CodingKey {
            case address, state, height, failures
            case headHash = "head_hash"
            case lastContactSeconds = "last_contact_seconds"
            case lagBlocks = "lag_blocks"
            case lastError = "last_error"
        }

        init(_ view: MemberView, state: MemberState) {
            address = view.address.description
            self.state = state.rawValue
            height = view.head?.height
            headHash = view.head?.headHash
            failures = view.failures
            lastContactSeconds = view.lastContactSeconds.map { ($0 * 1_000).rounded() / 1_000 }
            lagBlocks = view.lagBlocks
            lastError = view.lastError
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(address, forKey: .address)
            try container.encode(state, forKey: .state)
            // What is not known is null, and not missing.
            try container.encode(height, forKey: .height)
            try container.encode(headHash, forKey: .headHash)
            try container.encode(failures, forKey: .failures)
            try container.encode(lastContactSeconds, forKey: .lastContactSeconds)
            try container.encode(lagBlocks, forKey: .lagBlocks)
            try container.encode(lastError, forKey: .lastError)
        }
    }

    let syncAddresses: [String]
    let ourURL: String
    let members: [Member]
    /// Only in a group with an engine.
    let consensus: ConsensusAnswer?

    enum CodingKeys: String, CodingKey {
        case members, consensus
        case syncAddresses = "sync_addresses"
        case ourURL = "our_url"
    }
}

/// What a node is to a group with an engine, as `GET /sync/` shows it.
struct ConsensusAnswer: Codable, Sendable {
    /// "leading", "following", "waiting" for etcd or its own place, or "blocked" until an operator decides.
    let state: String
    /// Why it waits or is blocked.
    let reason: String?
    /// The address of the leader, as far as this node knows.
    let leader: String?
    /// The revision of etcd at which the members were these.
    let revision: Int
    /// All members, also those that are away.
    let members: [String]
    /// Up to where this node's list is final.
    let finalHeight: Int
    /// The height of the order, as far as this node knows.
    let orderHeight: Int
    /// Up to where batches were deleted from etcd.
    let keptHeight: Int

    /// Whether what is appended here comes into the order.
    var takesAppends: Bool { ["leading", "following"].contains(state) && reason == nil }

    enum CodingKeys: String, CodingKey {
        case state, reason, leader, revision, members
        case finalHeight = "final_height"
        case orderHeight = "order_height"
        case keptHeight = "kept_height"
    }
}

/// `POST /sync/start`.
struct RoundAnswer: Encodable {
    struct Member: Encodable {
        let address: String
        let outcome: String
        let blocks: Int
        let detail: String
    }

    let members: [Member]
}

/// `POST /sync/blockchain`.
struct AdoptionAnswer: Encodable {
    let adopted: Bool
    let height: Int
    let headHash: Hash

    enum CodingKeys: String, CodingKey {
        case adopted, height
        case headHash = "head_hash"
    }
}

/// `GET /sync/orphans`, and what `GET /blocks/{hash}` says of one.
struct OrphanAnswer: Encodable {
    let id: Int
    let state: String
    /// Where it stood.
    let height: Int
    let hash: Hash
    let replaced: Int64
    /// Where it stands, if it moved.
    let block: BlockPoint?

    init(_ orphan: Orphan) {
        id = orphan.id
        height = orphan.height
        hash = orphan.hash
        replaced = orphan.replaced
        switch orphan.state {
        case .moved(let height, let hash):
            state = "moved"
            block = BlockPoint(height: height, hash: hash)
        case .pending:
            state = "pending"
            block = nil
        }
    }
}

/// A page of orphans.
struct OrphansAnswer: Encodable {
    let orphans: [OrphanAnswer]
    /// What to give as `before` for the next page; `nil` after the last one.
    let next: Int?
}
