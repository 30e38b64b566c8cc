// What one client of a group asked, what it was told, and when. Of all calls together a history is made.

import TestSupport

/// A request, from before it was sent until after it was answered or given up.
struct ClientCall: Sendable {
    enum Request: Hashable, Sendable {
        /// Texts that no other append has, but one that is sent again with the same key.
        case append([String], lastHash: String? = nil, key: String? = nil)
        case head(isLinearizable: Bool)
        case block(Int, isLinearizable: Bool)
    }

    enum Outcome: Hashable, Sendable {
        case appended([BlockAnswer])
        /// 400, with the head that stood against it.
        case invalidLastHash(head: BlockAnswer)
        case read(BlockAnswer)
        /// 404.
        case missing
        /// It was not done, and never will be: 503 and 507, and why.
        case refused(String)
        /// It may be done, and may still come to be: 504, or no answer.
        case unknown(String)
        /// An answer that there should not be.
        case unexpected(String)
    }

    /// The node that was asked.
    let node: Int
    let request: Request
    let outcome: Outcome
    /// On the monotonic clock that all clients have.
    let startSeconds: Double
    let endSeconds: Double
}
