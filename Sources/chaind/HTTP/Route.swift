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
        default: return nil
        }
    }

    /// The methods that it answers to.
    var methods: [HTTPRequest.Method] {
        switch self {
        case .blocks: [.get, .head, .post]
        case .batch: [.post]
        case .status, .head, .validation, .block: [.get, .head]
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
        }
    }
}
