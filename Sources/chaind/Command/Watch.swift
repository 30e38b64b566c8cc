// `chaind watch`: each block as it is appended, for as long as one likes.

import ArgumentParser
import Chain

/// Follows the list.
struct Watch: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print each block as it is appended.",
        discussion: """
            Begins with the head, or at --from. When the connection is lost it comes again and goes on where it was. What \
            gives way after a fork is told on standard error: blocks after that height are printed again as they are now. \
            With --json that is a line {"replaced":{"height":H,"hash":"..."}}.

            Ends with Ctrl-C (exit status 130). Exit status 1: a block does not hash to its hash, or the node refuses.
            """)

    @Option(help: "The height to begin at. (default: that of the head)") var from: Int?
    @Option(help: "End after so many blocks.") var limit: Int?
    @Flag(help: "Print a JSON object a line.") var json = false
    @OptionGroup var node: ReachedNode

    func validate() throws {
        if let from, from < 0 { throw ValidationError("--from must be 0 or more.") }
        if let limit, limit < 1 { throw ValidationError("--limit must be 1 or more.") }
    }

    func run() async throws {
        try await node.with { [from, limit, json] node in
            let output = BlockOutput(isJSON: json)
            var listening = NodeListening(client: node.client, from: from)
            var rest = limit ?? .max
            while rest > 0 {
                switch try await listening.next() {
                case .block(let block):
                    try output.write(block)
                    rest -= 1
                case .replaced(let point) where json:
                    try StandardOutput.write("{\"replaced\":{\"height\":\(point.height),\"hash\":\"\(point.hash)\"}}\n")
                case .replaced(let point):
                    StandardError.say("blocks after \(point.height) gave way to others")
                case .lost(let reason):
                    StandardError.say("\(reason); coming again")
                }
            }
        }
    }
}
