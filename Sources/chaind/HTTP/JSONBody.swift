// The JSON object that a request brings, and what is said where there is none.

import Foundation

/// Reads the bodies of requests as the original service did.
enum JSONBody {
    /// The members of the object that a body holds.
    ///
    /// - Parameters:
    ///   - contentType: the field of the request; without it the body is JSON.
    ///   - names: the members that are read; others are checked and dropped.
    /// - Throws: `HTTPFailure` 422 naming what is wrong.
    static func members(
        of body: [UInt8], contentType: String?, named names: Set<String>, elementsMax: Int = 0
    ) throws(HTTPFailure) -> [String: JSONValue] {
        guard !body.isEmpty else { throw HTTPFailure(.missing(["body"])) }
        guard contentType.map(isJSON) ?? true else { throw HTTPFailure(.notObject(["body"])) }
        let members: [String: JSONValue]?
        do {
            members = try JSONReader.members(of: body, named: names, elementsMax: elementsMax)
        } catch {
            throw HTTPFailure(
                RequestFault(["body", .index(error.offset)], error.message, type: "value_error.jsondecode"))
        }
        guard let members else { throw HTTPFailure(.notObject(["body"])) }
        return members
    }

    /// `application/json` or `application/*+json`, with any parameters.
    static func isJSON(_ contentType: String) -> Bool {
        let mediaType = contentType.prefix { $0 != ";" }.lowercased().trimmingCharacters(in: .whitespaces)
        guard mediaType.hasPrefix("application/") else { return false }
        return mediaType == "application/json" || mediaType.hasSuffix("+json")
    }
}
