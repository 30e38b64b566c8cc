// What is shown to a node that is asked, and how its certificate is judged.

import AsyncHTTPClient
import NIOSSL

/// How a node is asked.
struct NodeCredentials: Sendable {
    /// For https; where it is `nil`, the system's authorities are trusted and nothing is shown.
    var tls: TLSConfiguration?
    /// The token to show. With `tls` it is never sent in the clear.
    var token: String?

    /// Puts them into a request.
    func apply(to request: inout HTTPClientRequest) {
        request.tlsConfiguration = tls
        if let token, tls == nil || request.url.hasPrefix("https:") {
            request.headers.add(name: "Authorization", value: "Bearer \(token)")
        }
    }
}
