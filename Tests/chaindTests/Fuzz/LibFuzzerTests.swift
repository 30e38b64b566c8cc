// Gives a target to libFuzzer (https://llvm.org/docs/LibFuzzer.html), which sees what the code does with an input and goes on
// from those that do something new. Only `make fuzz` links it. Only tests can import the program's module, so it starts in one.

import Foundation
import Testing

/// libFuzzer, and what `make fuzz` says.
private enum LibFuzzer {
    typealias RunDriver =
        @convention(c) (
            _ count: UnsafeMutablePointer<CInt>,
            _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
            _ callback: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
        ) -> CInt

    /// Looked up by name, so that other builds link without it.
    static let runDriver = dlsym(nil, "LLVMFuzzerRunDriver").map { unsafeBitCast($0, to: RunDriver.self) }

    static let targetName = ProcessInfo.processInfo.environment["CHAIND_FUZZ_TARGET"]
    static let target = FuzzTarget.all.first { $0.name == targetName }
    /// The folder of inputs that do something new.
    static let corpusPath = ProcessInfo.processInfo.environment["CHAIND_FUZZ_CORPUS"]
    static let arguments = (ProcessInfo.processInfo.environment["CHAIND_FUZZ_ARGUMENTS"] ?? "").split(separator: " ")
}

@Suite(.enabled(if: LibFuzzer.targetName != nil))
struct LibFuzzerTests {
    /// Ends the process: with 0 when the time is over, otherwise at an input that ends it or for which something does
    /// not hold.
    @Test func target() throws {
        let runDriver = try #require(LibFuzzer.runDriver)
        let target = try #require(LibFuzzer.target, "the targets are \(FuzzTarget.all.map(\.name))")
        let corpusPath = try #require(LibFuzzer.corpusPath)
        for (index, sample) in target.samples.enumerated() {
            try Data(sample).write(to: URL(fileURLWithPath: "\(corpusPath)/sample-\(index)"))
        }
        var arguments = (["fuzz"] + LibFuzzer.arguments).map { argument in strdup(String(argument)) } + [nil]
        var count = CInt(arguments.count - 1)
        try arguments.withUnsafeMutableBufferPointer { buffer in
            var start = try #require(buffer.baseAddress)
            _ = runDriver(&count, &start) { bytes, count in
                do {
                    _ = try LibFuzzer.target?.check(Array(UnsafeBufferPointer(start: bytes, count: count)))
                } catch {
                    print(type(of: error))
                    abort()
                }
                return 0
            }
        }
    }
}
