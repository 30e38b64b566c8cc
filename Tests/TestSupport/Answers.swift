// The answers of the routes, as a client of the original decodes them: the names of the fields are the protocol.

/// A block as the routes answer with it.
public struct BlockAnswer: Decodable, Hashable, Sendable {
    public struct Origin: Decodable, Hashable, Sendable {
        public let height: Int
        public let hash: String
        public let previousHash: String
        public let timestamp: Int64

        enum CodingKeys: String, CodingKey {
            case height, hash, timestamp
            case previousHash = "previous_hash"
        }
    }

    public let height: Int
    public let timestamp: Int64
    public let data: String
    public let previousHash: String
    public let hash: String
    public let origin: Origin?

    enum CodingKeys: String, CodingKey {
        case height, timestamp, data, hash, origin
        case previousHash = "previous_hash"
    }

    public init(
        height: Int, timestamp: Int64, data: String, previousHash: String, hash: String, origin: Origin? = nil
    ) {
        self.height = height
        self.timestamp = timestamp
        self.data = data
        self.previousHash = previousHash
        self.hash = hash
        self.origin = origin
    }
}

/// `{"blocks": [...]}`.
public struct BlocksAnswer: Decodable, Sendable {
    public let blocks: [BlockAnswer]
}

/// What `GET /` answers.
public struct StatusAnswer: Decodable, Sendable {
    public let health: Bool
    public let version: String
    public let nodeID: String
    public let height: Int
    public let headHash: String
    public let validatedHeight: Int?
    public let damaged: [Int]
    public let repairs: [Repair]

    /// A damaged block that was replaced.
    public struct Repair: Decodable, Hashable, Sendable {
        public let time: Int64
        public let height: Int
        public let fault: String
        public let source: String
    }

    enum CodingKeys: String, CodingKey {
        case health, version, height, damaged, repairs
        case nodeID = "node_id"
        case headHash = "head_hash"
        case validatedHeight = "validated_height"
    }
}

/// What `GET /blocks/valid` and `chaind verify --json` answer.
public struct ValidationAnswer: Decodable, Sendable {
    public struct Fault: Decodable, Sendable {
        public let height: Int
        public let kind: String
        public let expected: String
        public let found: String
    }

    public let state: String
    public let height: Int
    public let blocks: Int
    public let seconds: Double
    public let fault: Fault?
}

/// What `GET /sync/` answers.
public struct GroupAnswer: Decodable, Sendable {
    public struct Member: Decodable, Sendable {
        public let address: String
        public let state: String
        public let height: Int?
        public let headHash: String?
        public let failures: Int
        public let lastContactSeconds: Double?
        public let lagBlocks: Int?
        public let lastError: String?

        enum CodingKeys: String, CodingKey {
            case address, state, height, failures
            case headHash = "head_hash"
            case lastContactSeconds = "last_contact_seconds"
            case lagBlocks = "lag_blocks"
            case lastError = "last_error"
        }
    }

    /// What a node is to a group with an engine.
    public struct Consensus: Decodable, Sendable {
        public let state: String
        public let reason: String?
        public let leader: String?
        /// Up to where etcd has no blocks any more.
        public let keptHeight: Int

        enum CodingKeys: String, CodingKey {
            case state, reason, leader
            case keptHeight = "kept_height"
        }
    }

    public let syncAddresses: [String]
    public let ourURL: String
    public let members: [Member]
    public let consensus: Consensus?

    enum CodingKeys: String, CodingKey {
        case members, consensus
        case syncAddresses = "sync_addresses"
        case ourURL = "our_url"
    }

    /// The member at an address.
    public func member(_ address: String) -> Member? { members.first { $0.address == address } }
}

/// What `POST /sync/start` answers.
public struct RoundAnswer: Decodable, Sendable {
    public struct Member: Decodable, Sendable {
        public let address: String
        public let outcome: String
        public let blocks: Int
        public let detail: String
    }

    public let members: [Member]
}

/// What became of an orphan.
public struct OrphanAnswer: Decodable, Hashable, Sendable {
    public struct Place: Decodable, Hashable, Sendable {
        public let height: Int
        public let hash: String
    }

    public let id: Int
    public let state: String
    /// Where it stood.
    public let height: Int
    public let hash: String
    public let replaced: Int
    /// Where it stands now, if it moved.
    public let block: Place?
}

/// What `GET /sync/orphans` answers.
public struct OrphansAnswer: Decodable, Sendable {
    public let orphans: [OrphanAnswer]
    /// Names the next page.
    public let next: Int?

    public init(orphans: [OrphanAnswer], next: Int?) {
        self.orphans = orphans
        self.next = next
    }
}

/// What `POST /sync/blockchain` and `POST /sync/adopt` answer.
public struct AdoptionAnswer: Decodable, Sendable {
    public let adopted: Bool
    public let height: Int
    public let headHash: String

    enum CodingKeys: String, CodingKey {
        case adopted, height
        case headHash = "head_hash"
    }
}
