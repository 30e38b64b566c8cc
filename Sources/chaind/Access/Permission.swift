// Who may do what: the roles that tokens have, and what each request needs.

import HTTPTypes

/// What whoever shows a token is to the node.
enum Role: String, CaseIterable, Sendable {
    /// Reads blocks, the state of the node and its group, and figures.
    case reader
    /// Reads and appends.
    case writer
    /// Another node of the group: reads, and sends what only nodes send.
    case member
    /// Does everything.
    case `operator`

    /// Whether it has a permission.
    func has(_ permission: Permission) -> Bool {
        switch permission {
        case .read: true
        case .append: self == .writer || self == .operator
        case .replicate: self == .member || self == .operator
        case .decide: self == .operator
        }
    }
}

/// What a request needs where tokens are asked for.
enum Permission: Sendable {
    case read, append
    /// What nodes send each other.
    case replicate
    /// What an operator decides about the group.
    case decide
}

extension Route {
    /// What it needs; `nil` where nobody is asked: for whether the node runs and is ready, and for files of the program.
    func permission(for method: HTTPRequest.Method) -> Permission? {
        switch self {
        case .live, .ready, .asset: nil
        case .blocks where method == .post, .batch: .append
        case .status, .blocks, .head, .validation, .events, .block, .verified, .metrics, .group, .orphans: .read
        case .groupAddress, .groupForget, .groupAdopt, .round: .decide
        case .receivedList, .peerStatus, .peerLocate, .peerStream, .peerLeave, .peerForward: .replicate
        }
    }
}
