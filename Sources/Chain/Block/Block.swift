// A block of the list as a value, and where a block that was appended again comes from.

/// One block of the list: a text, a time, and the hash that ties both to the block before.
///
/// <doc:Format> says what its hash covers. Whatever a ``BlockList`` gives out was checked first.
public struct Block: Hashable, Sendable {
    /// The place of the block in the list; the genesis stands at 0.
    public let height: Int
    /// Whole seconds since the Unix epoch, not negative.
    public let timestamp: Int64
    /// The client's text. Any character is legal, NUL too, and so is the empty text; a list takes up to
    /// ``BlockListOptions/dataSizeBytesMax`` bytes of UTF-8.
    public let data: String
    /// The hash of the block before; 32 zero bytes for the genesis.
    public let previousHash: Hash
    /// The hash that ties this block to the one before.
    public let hash: Hash
    /// Where the text was acknowledged first, if the block was appended again after a fork.
    public let origin: Origin?

    /// Makes the block that follows `previousHash`, and computes its hash. Whether it may stand in a list is not checked.
    ///
    /// - Parameters:
    ///   - height: its place in the list, which its hash does not cover.
    ///   - timestamp: whole seconds since the Unix epoch, not negative.
    ///   - data: the text.
    ///   - previousHash: the hash of the block before.
    ///   - origin: where the text was acknowledged first, for a block that is appended again.
    public init(height: Int, timestamp: Int64, data: String, previousHash: Hash, origin: Origin? = nil) {
        var data = data
        let hash = data.withUTF8 { bytes in
            SHA256.hashOfBlock(
                previousHash: previousHash, timestamp: timestamp, origin: origin, data: UnsafeRawBufferPointer(bytes))
        }
        self.init(
            height: height, timestamp: timestamp, data: data, previousHash: previousHash, hash: hash, origin: origin)
    }

    /// Takes the hash as it was found; whether it is right is for the caller to check.
    public init(height: Int, timestamp: Int64, data: String, previousHash: Hash, hash: Hash, origin: Origin?) {
        self.height = height
        self.timestamp = timestamp
        self.data = data
        self.previousHash = previousHash
        self.hash = hash
        self.origin = origin
    }

    /// The first block of every list: 2023-06-25T18:14:00Z, `Genesis Block`.
    public static let genesis = Block(height: 0, timestamp: 1_687_716_840, data: "Genesis Block", previousHash: .zero)

    /// What the block stands for: the hash of its origin if it has one, else its own. No list holds an identity twice.
    public var identity: Hash { origin?.hash ?? hash }
}

/// Where the data of a block that was appended again after a fork was acknowledged first.
public struct Origin: Hashable, Sendable {
    /// The hash under which the data was acknowledged.
    public let hash: Hash
    /// The hash of the block that stood before it then.
    public let previousHash: Hash
    /// Its timestamp then, in whole seconds since the Unix epoch.
    public let timestamp: Int64
    /// Its height then.
    public let height: Int

    /// Makes an origin. Whether its hash is right is checked where a block takes it.
    public init(hash: Hash, previousHash: Hash, timestamp: Int64, height: Int) {
        self.hash = hash
        self.previousHash = previousHash
        self.timestamp = timestamp
        self.height = height
    }

    /// The origin of a block that is appended again: what the block itself came from, or the block.
    public init(of block: Block) {
        self =
            block.origin
            ?? Origin(
                hash: block.hash, previousHash: block.previousHash, timestamp: block.timestamp, height: block.height)
    }

    /// Whether the hash is that of the previous hash, the timestamp and this text.
    func isOrigin(of data: String) -> Bool {
        guard timestamp >= 0, height >= 0 else { return false }
        return Block(height: height, timestamp: timestamp, data: data, previousHash: previousHash).hash == hash
    }
}
