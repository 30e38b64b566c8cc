// `chaind join`, `forget` and `adopt`: what an operator decides about a group, told to a node that runs.

import ArgumentParser
import Foundation

extension ReachedNode {
    /// Sends a decision, and prints the node's answer.
    fileprivate func tell(_ path: String, _ decision: Decision) async throws {
        var patience = NodeClient.Patience()
        // A second attempt would find the decision made, and be refused.
        patience.attemptsMax = 1
        try await with(patience: patience) { node in
            let json = Array(try JSONEncoder().encode(decision))
            let answer = try await node.client.post(path, json: json, answerSizeBytesMax: 4 << 20)
            guard answer.status == 200 else { throw CommandError(answer.detail) }
            try StandardOutput.write(String(decoding: answer.body, as: UTF8.self) + "\n")
        }
    }
}

/// What an operator decides about a node.
struct Decision: Encodable, Sendable {
    let address: String
    var merge: Bool?
}

/// Makes a node a member of a group.
struct Join: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a node a member of the group of another one.",
        discussion: """
            Two lists that both have blocks and share only the genesis are most likely two groups, and are not united \
            unless --merge says so: the better list stays, and the blocks of the other are appended again after it.

            Prints what GET /sync/ answers. Exit status: 0 it is a member now, 1 it is not.
            """)

    @Argument(help: "The node that becomes a member, as its URL.") var address: String
    @Flag(help: "Unite two lists that share only the genesis.") var merge = false
    @OptionGroup var node: ReachedNode

    func run() async throws {
        try await node.tell("/sync/address", Decision(address: address, merge: merge))
    }
}

/// Takes a node out of a group.
struct Forget: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take a node that will not come back out of its group.",
        discussion: """
            While a member is away nothing more is settled. A node that was forgotten and comes back stays outside \
            until it is joined again.

            Prints what GET /sync/ answers. Exit status: 0 it is no member any more, 1 it never was, or the node that \
            is told does not answer.
            """)

    @Argument(help: "The member, as its URL.") var address: String
    @OptionGroup var node: ReachedNode

    func run() async throws {
        try await node.tell("/sync/forget", Decision(address: address))
    }
}

/// Adopts another node's list by decision.
struct Adopt: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Adopt another node's list where settled blocks differ, which no rule may decide.",
        discussion: """
            What is replaced becomes orphans, and what this node acknowledged of it is appended again. Final blocks stay \
            in any case.

            Prints what was adopted. Exit status: 0 the node has that list now, 1 it has not.
            """)

    @Option(help: "The node whose list is adopted, as its URL.") var from: String
    @OptionGroup var node: ReachedNode

    func run() async throws {
        try await node.tell("/sync/adopt", Decision(address: from))
    }
}
