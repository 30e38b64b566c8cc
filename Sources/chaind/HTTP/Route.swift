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
    case events
    /// One block, by what its path component says.
    case block(String)
    /// What those ask who watch the node.
    case live, ready, verified, metrics
    /// A file that is part of the program.
    case asset(Asset)
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
        if let asset = Asset(rawValue: "/" + components.joined(separator: "/")) {
            self = .asset(asset)
            return
        }
        switch (components.first, components.dropFirst().first, components.count) {
        case (_, _, 0): self = .status
        case ("blocks", _, 1): self = .blocks
        case ("blocks", "batch", 2): self = .batch
        case ("blocks", "head", 2): self = .head
        case ("blocks", "valid", 2): self = .validation
        case ("blocks", "events", 2): self = .events
        case ("blocks", .some(let block), 2): self = .block(String(block))
        case ("live", _, 1): self = .live
        case ("ready", _, 1): self = .ready
        case ("verified", _, 1): self = .verified
        case ("metrics", _, 1): self = .metrics
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
        case .status, .head, .validation, .events, .block, .live, .ready, .verified, .metrics, .asset, .group, .orphans:
            [.get, .head]
        }
    }

    /// Whether it can be asked to wait for what is in the order.
    var readsList: Bool {
        switch self {
        case .live, .ready, .verified, .metrics, .asset: false
        default: true
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
        case .events: "/blocks/events"
        case .block: "/blocks/{block}"
        case .live: "/live"
        case .ready: "/ready"
        case .verified: "/verified"
        case .metrics: "/metrics"
        case .asset(let asset): asset.rawValue
        case .group: "/sync/"
        default: "/sync/" + (Route.syncRoutes.first { $0.value == self }?.key ?? "")
        }
    }
}
