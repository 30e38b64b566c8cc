// The id of a request, by which a client finds what was logged about it.

import Foundation
import HTTPTypes
import Logging

enum RequestID {
    /// The id of the request that this task answers.
    @TaskLocal static var current: String?

    /// Has every line that is logged on behalf of a request name it.
    static let metadataProvider = Logger.MetadataProvider {
        current.map { ["request_id": "\($0)"] } ?? [:]
    }

    fileprivate static let fieldName = HTTPField.Name("X-Request-Id")

    static func make() -> String { UUID().uuidString.lowercased() }
}

extension HTTPFields {
    /// What `X-Request-Id` says: 1 to 128 visible ASCII characters; `nil` for anything else.
    var requestID: String? {
        get {
            guard let name = RequestID.fieldName, let id = self[name], 1...128 ~= id.utf8.count,
                id.utf8.allSatisfy({ 0x21...0x7E ~= $0 })
            else { return nil }
            return id
        }
        set {
            if let name = RequestID.fieldName { self[name] = newValue }
        }
    }
}
