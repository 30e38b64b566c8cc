// What a member sends to the leader, and what the leader says to it: appends to be put in order.
//
//     forward  "CHNF", 0x01, address length 2, address, session 8, count 4, append ...
//     append   counter 8, flags 1, last hash 32 if flag 1, key length 1 and key and hash of the request 32 if flag 2,
//              drafts 4, draft ...
//     draft    0, or 1 and origin: hash 32, previous hash 32, timestamp 8, height 8; length 4, text
//     answer   "CHNA", 0x01, count 4, outcome ...
//     outcome  kind 1, number 8, number 8, length 2, text
//
// All numbers are big-endian.

import Chain
import NIOCore

/// Appends that a member sends to the leader.
struct ForwardMessage: Sendable {
    /// Requests in one message, and the bytes of text after which no more are added.
    static let requestsMax = 10_000
    static let textSizeBytesMax = 1 << 20
    /// Bytes of a message: one request of 16 MiB, with what stands beside texts.
    static let sizeBytesMax = 20 << 20

    /// Where the member is found.
    let address: MemberAddress
    /// Its time in the group.
    let session: Int
    /// Each has an id of that session.
    let requests: [AppendRequest]
}

/// What the leader says of one append.
enum ForwardOutcome: Hashable, Sendable {
    /// It made these blocks, now or before; they are final.
    case ordered(Range<Int>)
    /// It names another head than this, which stands at this height.
    case invalidLastHash(headHeight: Int)
    case idempotencyKeyReused
    /// What it stands for is in the list already, at this height.
    case identityExists(height: Int)
    /// It is not in the list and will never be; why, in a line.
    case refused(String)
    /// This message of it was not taken; why, in a line. Of another one that was sent before that says nothing.
    case notTaken(String)
    /// Not by this leader: it may be sent to the next one.
    case undecided
}

extension ForwardMessage {
    private static let magic = Array("CHNF".utf8) + [1]

    /// The bytes of the message.
    var encoded: ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeBytes(Self.magic)
        buffer.writeInteger(UInt16(address.text.utf8.count))
        buffer.writeString(address.text)
        buffer.writeInteger(UInt64(session))
        buffer.writeInteger(UInt32(requests.count))
        for request in requests { buffer.write(request) }
        return buffer
    }

    /// Reads a message.
    ///
    /// - Throws: `StreamError.notAStream` for what is none.
    init(decoding buffer: ByteBuffer) throws(StreamError) {
        var buffer = buffer
        guard buffer.readBytes(length: Self.magic.count) == Self.magic,
            let length = buffer.readInteger(as: UInt16.self), let text = buffer.readString(length: Int(length)),
            let session = buffer.readInteger(as: Int.self), session > 0,
            let count = buffer.readInteger(as: UInt32.self), 1...Self.requestsMax ~= Int(count)
        else { throw .notAStream }
        do throws(MemberAddressError) {
            address = try MemberAddress(text)
        } catch {
            throw .notAStream
        }
        var requests: [AppendRequest] = []
        for _ in 0..<count {
            guard let request = buffer.readRequest(session: session) else { throw .notAStream }
            requests.append(request)
        }
        guard buffer.readableBytes == 0 else { throw .notAStream }
        self.session = session
        self.requests = requests
    }
}

extension ByteBuffer {
    fileprivate mutating func write(_ request: AppendRequest) {
        writeInteger(UInt64(request.id?.counter ?? 0))
        writeInteger(UInt8((request.lastHash == nil ? 0 : 1) + (request.idempotency == nil ? 0 : 2)))
        if let lastHash = request.lastHash { writeBytes(lastHash.bytes) }
        if let idempotency = request.idempotency {
            writeInteger(UInt8(idempotency.key.utf8.count))
            writeString(idempotency.key)
            writeBytes(idempotency.requestHash.bytes)
        }
        writeInteger(UInt32(request.drafts.count))
        for draft in request.drafts {
            writeInteger(UInt8(draft.origin == nil ? 0 : 1))
            if let origin = draft.origin {
                writeBytes(origin.hash.bytes)
                writeBytes(origin.previousHash.bytes)
                writeInteger(origin.timestamp)
                writeInteger(UInt64(origin.height))
            }
            writeInteger(UInt32(draft.data.utf8.count))
            writeString(draft.data)
        }
    }

    /// Reads an append; `nil` if there is less, or a number is beyond its limits.
    fileprivate mutating func readRequest(session: Int) -> AppendRequest? {
        guard let counter = readInteger(as: Int.self), counter >= 0, let flags = readInteger(as: UInt8.self), flags < 4
        else { return nil }
        var request = AppendRequest(drafts: [])
        request.id = AppendID(session: session, counter: counter)
        if flags & 1 != 0 {
            guard let hash = readHash() else { return nil }
            request.lastHash = hash
        }
        if flags & 2 != 0 {
            guard let length = readInteger(as: UInt8.self), 1...64 ~= length,
                let idempotency = readIdempotency(keySizeBytes: Int(length))
            else { return nil }
            request.idempotency = idempotency
        }
        guard let count = readInteger(as: UInt32.self), 1...AppendRequest.draftsMax ~= Int(count) else { return nil }
        for _ in 0..<count {
            guard let draft = readDraft() else { return nil }
            request.drafts.append(draft)
        }
        return request
    }

    private mutating func readDraft() -> Draft? {
        guard let hasOrigin = readInteger(as: UInt8.self), hasOrigin < 2 else { return nil }
        var origin: Origin?
        if hasOrigin == 1 {
            guard let hash = readHash(), let previousHash = readHash(), let timestamp = readInteger(as: Int64.self),
                let height = readInteger(as: Int.self), 0...MessageLimits.heightMax ~= height
            else { return nil }
            origin = Origin(hash: hash, previousHash: previousHash, timestamp: timestamp, height: height)
        }
        // A text that is not UTF-8 would be another one once it is read.
        guard let length = readInteger(as: UInt32.self), let bytes = readBytes(length: Int(length)),
            let data = String(validating: bytes, as: UTF8.self)
        else { return nil }
        return Draft(data: data, origin: origin)
    }

    fileprivate mutating func readHash() -> Hash? { readBytes(length: Hash.sizeBytes).flatMap { Hash(bytes: $0) } }
}

/// What the leader answers.
enum ForwardAnswer {
    private static let magic = Array("CHNA".utf8) + [1]
    private static let reasonSizeBytesMax = 1_000
    /// Bytes of an answer.
    static let sizeBytesMax = ForwardMessage.requestsMax * (19 + reasonSizeBytesMax) + 16

    /// The bytes of outcomes, in the order of the requests.
    static func encode(_ outcomes: [ForwardOutcome]) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeBytes(magic)
        buffer.writeInteger(UInt32(outcomes.count))
        for outcome in outcomes {
            let (kind, first, second, text): (UInt8, Int, Int, String) =
                switch outcome {
                case .ordered(let heights): (1, heights.lowerBound, heights.count, "")
                case .invalidLastHash(let height): (2, height, 0, "")
                case .idempotencyKeyReused: (3, 0, 0, "")
                case .identityExists(let height): (4, height, 0, "")
                case .refused(let reason): (5, 0, 0, oneLine(reason))
                case .undecided: (6, 0, 0, "")
                case .notTaken(let reason): (7, 0, 0, oneLine(reason))
                }
            buffer.writeInteger(kind)
            buffer.writeInteger(UInt64(first))
            buffer.writeInteger(UInt64(second))
            buffer.writeInteger(UInt16(text.utf8.count))
            buffer.writeString(text)
        }
        return buffer
    }

    /// Reads an answer to so many requests.
    ///
    /// - Throws: `StreamError.notAStream` for what is none.
    static func decode(_ buffer: ByteBuffer, count: Int) throws(StreamError) -> [ForwardOutcome] {
        var buffer = buffer
        guard buffer.readBytes(length: magic.count) == magic, buffer.readInteger(as: UInt32.self) == UInt32(count)
        else { throw .notAStream }
        var outcomes: [ForwardOutcome] = []
        for _ in 0..<count {
            guard let outcome = buffer.readOutcome() else { throw .notAStream }
            outcomes.append(outcome)
        }
        return outcomes
    }
}

extension ByteBuffer {
    fileprivate mutating func readOutcome() -> ForwardOutcome? {
        guard let kind = readInteger(as: UInt8.self), let first = readInteger(as: Int.self),
            0...MessageLimits.heightMax ~= first, let second = readInteger(as: Int.self),
            let length = readInteger(as: UInt16.self), let text = readString(length: Int(length))
        else { return nil }
        switch kind {
        case 1:
            guard 1...AppendRequest.draftsMax ~= second else { return nil }
            return .ordered(first..<first + second)
        case 2: return .invalidLastHash(headHeight: first)
        case 3: return .idempotencyKeyReused
        case 4: return .identityExists(height: first)
        case 5: return .refused(oneLine(text))
        case 6: return .undecided
        case 7: return .notTaken(oneLine(text))
        default: return nil
        }
    }
}
