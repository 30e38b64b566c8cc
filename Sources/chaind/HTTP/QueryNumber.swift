// Numbers from the query of a request.

import HummingbirdCore

extension URI {
    /// A number that is not negative; `nil` if the query does not name it. Of a repeated parameter the last counts.
    ///
    /// - Throws: `HTTPFailure` 422 naming the parameter and its limit.
    func number(_ name: String) throws(HTTPFailure) -> Int? {
        guard let text = queryParameters.getAll(name).last else { return nil }
        let location: [RequestFault.Step] = ["query", .name(name)]
        let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else {
            throw HTTPFailure(RequestFault(location, "value is not a valid integer", type: "type_error.integer"))
        }
        guard let number = Int(text) else {
            let isNegative = text.hasPrefix("-")
            throw isNegative ? Self.tooSmall(location) : Self.tooLarge(location)
        }
        guard number >= 0 else { throw Self.tooSmall(location) }
        return number
    }

    private static func tooSmall(_ location: [RequestFault.Step]) -> HTTPFailure {
        HTTPFailure(
            RequestFault(
                location, "ensure this value is greater than or equal to 0", type: "value_error.number.not_ge"))
    }

    private static func tooLarge(_ location: [RequestFault.Step]) -> HTTPFailure {
        HTTPFailure(
            RequestFault(
                location, "ensure this value is less than or equal to \(Int.max)", type: "value_error.number.not_le"))
    }
}
