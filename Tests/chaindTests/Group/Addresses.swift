// Addresses for tests.

@testable import chaind

/// The address of the test's node of that number.
func address(_ number: Int) -> MemberAddress {
    do {
        return try MemberAddress("http://localhost:\(8_000 + number)")
    } catch {
        preconditionFailure("\(error)")
    }
}
