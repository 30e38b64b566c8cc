// Gives a node a clock that is wrong, and that a test can turn while the node runs. See wrong_clock.c.

import Foundation
import TestSupport

/// What the node's environment has to be, and the hand of its clock.
struct WrongClock {
    /// Starts a node with this clock.
    let environment: [String: String]
    private let path: String

    /// Compiles the library into a folder. The clock is right as yet.
    init(in directory: String) async throws {
        path = directory + "/ahead-seconds"
        environment = [
            "LD_PRELOAD": try await compileLibrary("wrong_clock.c", into: directory),
            "WRONG_CLOCK": path,
        ]
    }

    /// Sets the clock so many seconds ahead of the right time, or behind it.
    func set(aheadSeconds: Int) throws {
        try Data("\(aheadSeconds)".utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
    }
}
