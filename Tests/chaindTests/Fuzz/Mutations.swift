// Input that is nearly right: samples with some bytes changed, as a seed says.

import Foundation
import TestSupport

/// Makes input of samples.
struct Mutations {
    /// How often each of the tests tries; `make test-long` sets more.
    static let rounds = Int(ProcessInfo.processInfo.environment["CHAIND_FUZZ_ROUNDS"] ?? "") ?? 3_000

    /// Bytes, and numbers of four and eight bytes, at which code that parses decides something.
    private static let bytes: [UInt8] = [0, 1, 0x7F, 0x80, 0xFF] + Array("\"\\{}[]:,/ \r\n.-+0eEu%".utf8)
    private static let numbers: [UInt64] = [
        0, 1, 0x7F, 0x80, 0xFF, 0x100, 0xFFFF, 0x1_0000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 40, 1 << 62,
        1 << 63 - 1, 1 << 63, .max,
    ]

    private let samples: [[UInt8]]
    private var random: SeededGenerator

    init(_ samples: [[UInt8]], seed: UInt64) {
        self.samples = samples
        random = SeededGenerator(seed: seed)
    }

    /// The next input. Now and then a sample as it is.
    mutating func next() -> [UInt8] {
        var input = samples.randomElement(using: &random) ?? []
        for _ in 0..<Int.random(in: 0...4, using: &random) { change(&input) }
        return input
    }

    private mutating func change(_ input: inout [UInt8]) {
        let range = part(of: input.count)
        switch Int.random(in: 0..<9, using: &random) {
        case 0: if !input.isEmpty { input[place(input.count - 1)] ^= 1 << UInt8.random(in: 0..<8, using: &random) }
        case 1: if !input.isEmpty { input[place(input.count - 1)] = Self.bytes.randomElement(using: &random) ?? 0 }
        case 2: input.insert(Self.bytes.randomElement(using: &random) ?? 0, at: place(input.count))
        case 3: input.removeSubrange(range)
        case 4: input.insert(contentsOf: Array(input[range]), at: place(input.count))
        case 5: input = Array(input[..<place(input.count)])
        case 6:
            input.replaceSubrange(
                range, with: (0..<range.count).map { _ in UInt8.random(in: 0 ... .max, using: &random) })
        case 7:
            let other = samples.randomElement(using: &random) ?? []
            input = Array(input[..<place(input.count)]) + Array(other[place(other.count)...])
        default:
            let number = Self.numbers.randomElement(using: &random) ?? 0
            let size = Bool.random(using: &random) ? 4 : 8
            let start = place(input.count)
            guard start + size <= input.count else { return }
            withUnsafeBytes(of: number.bigEndian) {
                input.replaceSubrange(start..<(start + size), with: $0.suffix(size))
            }
        }
    }

    private mutating func place(_ max: Int) -> Int { Int.random(in: 0...max, using: &random) }

    /// Mostly a few bytes.
    private mutating func part(of size: Int) -> Range<Int> {
        let start = place(size)
        let length = place(Bool.random(using: &random) ? min(8, size - start) : size - start)
        return start..<(start + length)
    }
}
