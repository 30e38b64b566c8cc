// Looks at every request before its route does: for whom it is, from what page, from whom, and how many there are.

import Foundation
import HTTPTypes
import NIOCore

/// Lets requests in.
struct RequestGate: Sendable {
    /// How long a browser may keep what a preflight was answered, in seconds.
    private static let preflightSeconds = 600

    let hosts: HostNames
    /// Pages of other origins that may use the node, as `https://host:port`.
    let origins: Set<String>
    let credentials: Credentials
    /// `nil` without a limit.
    let requests: ClientRequests?

    /// Throws what a request that may not go on is answered with: 429, 421, 403 or 401, in this order.
    func check(_ request: HTTPRequest, route: Route?, from address: SocketAddress?) throws(HTTPFailure) {
        let permission = route?.permission(for: request.method)
        let tokens = credentials.tokens
        let role = tokens.flatMap { tokens in RequestGate.token(of: request).flatMap { tokens.role(of: $0) } }
        // Members may have much to send; where there are no tokens, nobody can tell who they are.
        let isMember = permission == .replicate && (tokens == nil || role?.has(.replicate) == true)
        if let requests, !isMember, let client = ClientAddress(address), !requests.take(client) {
            throw .tooManyRequests
        }
        if let authority = request.authority, !hosts.include(authority) { throw .misdirected }
        if let origin = request.headerFields[.origin], !isOwn(origin, request.authority), !origins.contains(origin) {
            throw HTTPFailure(.forbidden, "requests from pages of another origin are refused: see --allow-origin")
        }
        guard let permission, tokens != nil, !isPreflight(request) else { return }
        guard let role else { throw .noToken }
        guard role.has(permission) else {
            throw HTTPFailure(.forbidden, "the token's role, \(role.rawValue), does not permit this")
        }
    }

    /// Whether a browser asks if a page of a listed origin may send a request.
    func isPreflight(_ request: HTTPRequest) -> Bool {
        request.method == .options && allowedOrigin(of: request) != nil
            && request.headerFields[.accessControlRequestMethod] != nil
    }

    /// What the answer to a page of a listed origin has besides (https://fetch.spec.whatwg.org/#http-cors-protocol).
    func answerFields(for request: HTTPRequest) -> HTTPFields {
        guard let origin = allowedOrigin(of: request) else { return [:] }
        var fields: HTTPFields = [
            .accessControlAllowOrigin: origin, .accessControlExposeHeaders: "Retry-After, X-Request-Id",
            .vary: "Origin",
        ]
        if isPreflight(request) {
            fields[.accessControlAllowMethods] = "GET, POST"
            fields[.accessControlAllowHeaders] = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID"
            fields[.accessControlMaxAge] = String(Self.preflightSeconds)
        }
        return fields
    }

    private func allowedOrigin(of request: HTTPRequest) -> String? {
        guard !origins.isEmpty, let origin = request.headerFields[.origin], origins.contains(origin) else { return nil }
        return origin
    }

    /// Whether the page is the node's own. By which scheme it came, a proxy in front may have changed.
    private func isOwn(_ origin: String, _ authority: String?) -> Bool {
        guard let authority, let end = origin.range(of: "://")?.upperBound else { return false }
        return origin[end...].lowercased() == authority.lowercased()
    }

    /// The token of `Authorization: Bearer` (RFC 6750), or the password of `Basic` (RFC 7617), for which browsers ask by
    /// themselves.
    private static func token(of request: HTTPRequest) -> [UInt8]? {
        guard let field = request.headerFields[.authorization] else { return nil }
        let parts = field.split(separator: " ", maxSplits: 1)
        guard parts.count == 2 else { return nil }
        switch parts[0].lowercased() {
        case "bearer": return Array(parts[1].utf8)
        case "basic":
            guard let content = Data(base64Encoded: String(parts[1])),
                let colon = content.firstIndex(of: UInt8(ascii: ":"))
            else { return nil }
            return Array(content[(colon + 1)...])
        default: return nil
        }
    }
}
