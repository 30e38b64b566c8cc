// A second, slow and simple reading of the format, which shares no code with the engine.

import CSystemLibs

/// A block as the reference reads it. Nothing in it is checked.
public struct ReferenceBlock: Equatable, Sendable {
    public struct Origin: Equatable, Sendable {
        public var hash: [UInt8]
        public var previousHash: [UInt8]
        public var timestamp: UInt64
        public var height: UInt64

        public init(hash: [UInt8], previousHash: [UInt8], timestamp: UInt64, height: UInt64) {
            self.hash = hash
            self.previousHash = previousHash
            self.timestamp = timestamp
            self.height = height
        }
    }

    public var timestamp: UInt64
    public var hash: [UInt8]
    public var data: [UInt8]
    public var origin: Origin?

    public init(timestamp: UInt64, hash: [UInt8], data: [UInt8], origin: Origin?) {
        self.timestamp = timestamp
        self.hash = hash
        self.data = data
        self.origin = origin
    }
}

/// Encodes, decodes and validates lists one byte array after the other.
public enum ReferenceList {
    /// A first fault.
    public struct Fault: Equatable, Sendable {
        public var height: Int
        public var kind: String

        public init(height: Int, kind: String) {
            self.height = height
            self.kind = kind
        }
    }

    public static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        SHA256(bytes, bytes.count, &digest)
        return digest
    }

    /// The hash that a block's parts give.
    public static func hash(_ block: ReferenceBlock, after previousHash: [UInt8]) -> [UInt8] {
        var preimage = previousHash
        if let origin = block.origin {
            preimage +=
                bigEndian(block.timestamp | 1 << 63, bytes: 8) + origin.hash + bigEndian(origin.height, bytes: 8)
        } else {
            preimage += bigEndian(block.timestamp, bytes: 8)
        }
        return sha256(preimage + block.data)
    }

    /// The first fault of a list, by the rules of the format; `nil` if there is none.
    public static func firstFault(of blocks: [ReferenceBlock]) -> Fault? {
        let genesis = ReferenceBlock(
            timestamp: 1_687_716_840,
            hash: hash(
                ReferenceBlock(timestamp: 1_687_716_840, hash: [], data: Array("Genesis Block".utf8), origin: nil),
                after: [UInt8](repeating: 0, count: 32)),
            data: Array("Genesis Block".utf8), origin: nil)
        var identities: [[UInt8]: Int] = [:]
        var faults: [Fault] = []
        var previousHash = [UInt8](repeating: 0, count: 32)
        var previousTimestamp: UInt64 = 0
        for (height, block) in blocks.enumerated() {
            if String(validating: block.data, as: UTF8.self) == nil {
                faults.append(Fault(height: height, kind: "structure"))
            } else if height == 0 {
                if block != genesis { faults.append(Fault(height: 0, kind: "genesis")) }
            } else if hash(block, after: previousHash) != block.hash {
                faults.append(Fault(height: height, kind: "hash"))
            } else if let origin = block.origin,
                origin.timestamp >> 63 != 0 || origin.height >> 63 != 0
                    || hash(
                        ReferenceBlock(timestamp: origin.timestamp, hash: [], data: block.data, origin: nil),
                        after: origin.previousHash) != origin.hash
            {
                faults.append(Fault(height: height, kind: "origin"))
            } else if block.timestamp < previousTimestamp {
                faults.append(Fault(height: height, kind: "time"))
            } else if identities[block.origin?.hash ?? block.hash] != nil {
                faults.append(Fault(height: height, kind: "origin"))
            }
            if faults.first != nil { break }
            identities[block.origin?.hash ?? block.hash] = height
            previousHash = block.hash
            previousTimestamp = block.timestamp
        }
        return faults.first
    }

    /// The content of a run.
    public static func encode(_ blocks: [ReferenceBlock]) -> [UInt8] {
        var timestamps: [UInt8] = []
        var hashes: [UInt8] = []
        var ends: [UInt8] = []
        var data: [UInt8] = []
        var origins: [UInt8] = []
        for block in blocks {
            timestamps += bigEndian(block.timestamp | (block.origin == nil ? 0 : 1 << 63), bytes: 8)
            hashes += block.hash
            data += block.data
            ends += bigEndian(UInt64(data.count), bytes: 4)
            if let origin = block.origin {
                origins =
                    origin.hash + origin.previousHash + bigEndian(origin.timestamp, bytes: 8)
                    + bigEndian(origin.height, bytes: 8) + origins
            }
        }
        return timestamps + hashes + ends + data + origins
    }

    /// The blocks of a run whose content is whole.
    public static func decode(_ run: RawRun) -> [ReferenceBlock] {
        let count = Int(run.blocks)
        var blocks: [ReferenceBlock] = []
        var dataStart = 44 * count
        var originEnd = run.content.count
        for index in 0..<count {
            let stored = number(run.content[(8 * index)..<(8 * index + 8)])
            let dataEnd = 44 * count + Int(number(run.content[(40 * count + 4 * index)..<(40 * count + 4 * index + 4)]))
            var block = ReferenceBlock(
                timestamp: stored & ~(1 << 63),
                hash: Array(run.content[(8 * count + 32 * index)..<(8 * count + 32 * index + 32)]),
                data: Array(run.content[dataStart..<dataEnd]), origin: nil)
            if stored >> 63 != 0 {
                let bytes = Array(run.content[(originEnd - 80)..<originEnd])
                block.origin = .init(
                    hash: Array(bytes[..<32]), previousHash: Array(bytes[32..<64]), timestamp: number(bytes[64..<72]),
                    height: number(bytes[72..<80]))
                originEnd -= 80
            }
            blocks.append(block)
            dataStart = dataEnd
        }
        return blocks
    }

    /// Cuts blocks into runs of the given sizes, the last size for the rest.
    public static func runs(_ blocks: [ReferenceBlock], sizes: [Int]) -> [RawRun] {
        var runs: [RawRun] = []
        var first = 0
        var sizes = sizes[...]
        while first < blocks.count {
            let size = min(sizes.popFirst() ?? 256, blocks.count - first)
            runs.append(
                RawRun(
                    position: Int64(first), blocks: Int64(size), content: encode(Array(blocks[first..<(first + size)])))
            )
            first += size
        }
        return runs
    }

    /// The bytes of a hash as the routes write it; those that are no hexadecimal digits are left out.
    public static func bytes(hex: String) -> [UInt8] {
        let digits = hex.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
        return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(16 * digits[$0] + digits[$0 + 1]) }
    }

    private static func bigEndian(_ number: UInt64, bytes: Int) -> [UInt8] {
        (0..<bytes).reversed().map { UInt8(truncatingIfNeeded: number >> UInt64(8 * $0)) }
    }

    private static func number(_ bytes: some Collection<UInt8>) -> UInt64 {
        bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }
}
