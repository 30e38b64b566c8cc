// The routes by their paths: with and without the slash at the end.

import Foundation
import HTTPTypes

/// What a path stands for.
enum Route: Equatable {
    case status
    case blocks
    case batch
    case head
    case validation
    /// One block, by what its path component says.
    case block(String)
    case group
    case groupAddress
    case groupForget
    case groupAdopt
    case receivedList
    case round
    case orphans
    /// What only nodes send each other.
    case peerStatus, peerLocate, peerStream, peerLeave, peerForward

    /// `nil` if nothing is there.
    init?(path: String) {
        guard let path = path.removingPercentEncoding, path.isEmpty || path.hasPrefix("/") else { return nil }
        var components = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        if components.last == "" { components.removeLast() }
        guard !components.contains("") else { return nil }
        switch (components.first, components.dropFirst().first, components.count) {
        case (_, _, 0): self = .status
        case ("blocks", _, 1): self = .blocks
        case ("blocks", "batch", 2): self = .batch
        case ("blocks", "head", 2): self = .head
        case ("blocks", "valid", 2): self = .validation
        case ("blocks", .some(let block), 2): self = .block(String(block))
        case ("sync", _, 1): self = .group
        case ("sync", .some(let name), 2):
            guard let route = Route.syncRoutes[String(name)] else { return nil }
            self = route
        default: return nil
        }
    }

    /// By the name after `/sync/`.
    private static let syncRoutes: [String: Route] = [
        "address": .groupAddress, "forget": .groupForget, "adopt": .groupAdopt, "blockchain": .receivedList,
        "start": .round, "orphans": .orphans, "status": .peerStatus, "locate": .peerLocate, "stream": .peerStream,
        "leave": .peerLeave, "forward": .peerForward,
    ]

    /// The methods that it answers to.
    var methods: [HTTPRequest.Method] {
        switch self {
        case .blocks, .peerStream: [.get, .head, .post]
        case .batch, .groupAddress, .groupForget, .groupAdopt, .receivedList, .round, .peerStatus, .peerLocate,
            .peerLeave, .peerForward:
            [.post]
        case .status, .head, .validation, .block, .group, .orphans: [.get, .head]
        }
    }

    /// The route in figures and logs, the same for all blocks.
    var name: String {
        switch self {
        case .status: "/"
        case .blocks: "/blocks/"
        case .batch: "/blocks/batch"
        case .head: "/blocks/head"
        case .validation: "/blocks/valid"
        case .block: "/blocks/{block}"
        case .group: "/sync/"
        default: "/sync/" + (Route.syncRoutes.first { $0.value == self }?.key ?? "")
        }
    }
}
