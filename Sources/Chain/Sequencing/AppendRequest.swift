// What a caller asks the sequencer for.

/// One text to append.
public struct Draft: Sendable {
    /// The text; any character is legal, and so is the empty text.
    public var data: String
    /// Whole seconds since the Unix epoch, not before the head's; `nil` takes the list's clock, or the head's
    /// timestamp where the clock is behind it.
    public var timestamp: Int64?
    /// Where the text was acknowledged first, if it is appended again; `nil` for whatever is new.
    public var origin: Origin?

    /// Makes a draft; as a rule the text is all that is given.
    public init(data: String, timestamp: Int64? = nil, origin: Origin? = nil) {
        self.data = data
        self.timestamp = timestamp
        self.origin = origin
    }
}

/// What makes a retry of an append safe: the same key and request within 24 hours give the same blocks, and are not appended
/// again, also after a restart. The same key with another request is ``AppendError/idempotencyKeyReused``.
public struct Idempotency: Hashable, Sendable {
    /// How long a key is remembered, in seconds.
    public static let lifetimeSeconds: Int64 = 24 * 60 * 60

    /// The client's key: any text that no other append has. A node takes 1 to 64 printable characters of ASCII.
    public let key: String
    /// The hash of the request that it stands for: of whatever bytes tell it from other requests.
    public let requestHash: Hash

    /// Ties a key to a request.
    public init(key: String, requestHash: Hash) {
        self.key = key
        self.requestHash = requestHash
    }
}

/// Texts that are appended together: all of them, one after the other, or none.
public struct AppendRequest: Sendable {
    /// How many texts a request may have.
    public static let draftsMax = 10_000

    /// 1 to ``draftsMax`` texts.
    public var drafts: [Draft]
    /// Append only onto a head with this hash; `nil` for whatever the head is.
    public var lastHash: Hash?
    /// Makes a retry safe; `nil` appends again.
    public var idempotency: Idempotency?
    /// Names the append where an engine of consensus orders it; `nil` elsewhere.
    public var id: AppendID?

    /// Makes a request. Whether it keeps to the limits is checked when it is appended.
    ///
    /// - Parameters:
    ///   - drafts: 1 to ``draftsMax`` texts.
    ///   - lastHash: append only onto a head with this hash; `nil` for whatever the head is.
    ///   - idempotency: makes a retry safe.
    public init(drafts: [Draft], lastHash: Hash? = nil, idempotency: Idempotency? = nil) {
        self.drafts = drafts
        self.lastHash = lastHash
        self.idempotency = idempotency
    }

    /// The size of all texts in bytes of UTF-8.
    ///
    /// - Parameter dataSizeBytesMax: bytes of UTF-8 that each text may have.
    /// - Throws: ``AppendError/textCount(found:max:)`` or ``AppendError/textTooLarge(index:sizeBytes:sizeBytesMax:)``.
    public func checkedSizeBytes(dataSizeBytesMax: Int) throws(AppendError) -> Int {
        guard 1...AppendRequest.draftsMax ~= drafts.count else {
            throw .textCount(found: drafts.count, max: AppendRequest.draftsMax)
        }
        var total = 0
        for (index, draft) in drafts.enumerated() {
            let sizeBytes = draft.data.utf8.count
            guard sizeBytes <= dataSizeBytesMax else {
                throw .textTooLarge(index: index, sizeBytes: sizeBytes, sizeBytesMax: dataSizeBytesMax)
            }
            total += sizeBytes
        }
        return total
    }
}
