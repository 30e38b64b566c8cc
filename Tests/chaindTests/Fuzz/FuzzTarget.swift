// Code that parses, each with input that it takes and with what has to hold for whatever it is given: the process goes on; and
// what is taken means what it says: it is written again as the same bytes, or another reader finds the same in it, or its
// hashes fit. The seeded tests and libFuzzer try the same targets.

import TestSupport
import Testing

/// One thing that parses.
struct FuzzTarget: Sendable, CustomTestStringConvertible {
    /// What `make fuzz TARGET=` calls it; the Makefile has the names of all.
    let name: String
    let samples: [[UInt8]]
    /// Says whether the input is taken, and throws if something does not hold.
    let check: @Sendable ([UInt8]) throws -> Bool

    init(_ name: String, _ samples: [[UInt8]], check: @escaping @Sendable ([UInt8]) throws -> Bool) {
        self.name = name
        self.samples = samples
        self.check = check
    }

    init(_ name: String, _ samples: String..., check: @escaping @Sendable ([UInt8]) throws -> Bool) {
        self.init(name, samples.map { Array($0.utf8) }, check: check)
    }

    var testDescription: String { name }

    static let all = [
        appends, texts, lines, memberFiles, events, streams, runs, batches, forwardedAppends, messages, etcdAnswers,
    ]

    /// Sizes of the pieces in which input comes in, the last for what is left. They depend on the input alone.
    static func pieceSizes(of input: [UInt8]) -> [Int] {
        var random = SeededGenerator(seed: input.reduce(UInt64(input.count)) { $0 &* 31 &+ UInt64($1) })
        return (0..<8).map { _ in Int.random(in: 1...200, using: &random) } + [Int.max]
    }
}
