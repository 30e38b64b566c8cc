// The program as a process: that the tests find it, and what it says about itself.

import TestSupport
import Testing

struct ProgramTests {
    @Test func saysItsVersion() async throws {
        let result = try await runChaind(["--version"])
        #expect(result.status == 0, "\(result.error)")
        #expect(result.output == "0.1.0\n")
    }

    @Test func refusesAnUnknownCommandWithTheUsage() async throws {
        let result = try await runChaind(["mine"])
        #expect(result.status == 64)
        #expect(result.error.contains("Usage: chaind"))
    }
}
