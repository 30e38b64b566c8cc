// `chaind head`, `get`, `list`, `status` and `export`: what a node that runs has.

import ArgumentParser
import Chain
import Foundation

/// How a command that reads ends.
private let readStatuses = """
    Exit status: 0 it is printed, 1 it failed, 3 nothing is there, 75 the node does not answer.
    """

/// Prints the last block.
struct HeadBlock: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "head", abstract: "Print the last block.", discussion: readStatuses)

    @Flag(help: "Print JSON, as GET /blocks/head answers.") var json = false
    @OptionGroup var node: ReachedNode

    func run() async throws {
        try await node.with(patience: .short) { [json] node in
            let block = try await node.head()
            try StandardOutput.write(json ? BlockOutput.json(block) : BlockOutput.page(block))
        }
    }
}

/// Prints one block.
struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print a block by its height or its hash.",
        discussion: "The block is hashed again before it is printed. \(readStatuses)")

    @Argument(help: "The height, or the hash as 64 hexadecimal digits.") var block: String
    @Flag(help: "Print the text alone, byte for byte.") var data = false
    @Flag(help: "Print JSON, as GET /blocks/{block} answers.") var json = false
    @OptionGroup var node: ReachedNode

    func validate() throws {
        if data && json { throw ValidationError("Give either --data or --json.") }
        guard Int(block).map({ $0 >= 0 }) ?? (Hash(hex: block) != nil) else {
            throw ValidationError("\(block) is neither a height nor a hash of 64 hexadecimal digits.")
        }
    }

    func run() async throws {
        try await node.with(patience: .short) { [block, data, json] node in
            let block = try await node.block(block)
            try StandardOutput.write(data ? block.data : json ? BlockOutput.json(block) : BlockOutput.page(block))
        }
    }
}

/// Prints blocks, one a line.
struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print blocks, one a line.",
        discussion: """
            Without --from or --since the last blocks, 20 unless --limit says otherwise. Every block is hashed again, and \
            each continues the one before. \(readStatuses)
            """)

    @Option(help: "The height of the first one.") var from: Int?
    @Option(help: "Begin with the first block that is not older, in seconds since the Unix epoch.") var since: Int?
    @Option(help: "How many, at most. (default: all, or the last 20)") var limit: Int?
    @Flag(help: "Print a JSON object a line.") var json = false
    @OptionGroup var node: ReachedNode

    func validate() throws {
        if from != nil && since != nil { throw ValidationError("Give either --from or --since.") }
        for (name, number) in [("from", from), ("since", since), ("limit", limit)] {
            if let number, number < 0 { throw ValidationError("--\(name) must be 0 or more.") }
        }
    }

    func run() async throws {
        try await node.with(patience: .short) { [from, since, limit, json] node in
            let output = BlockOutput(isJSON: json)
            let first: Int
            if let from {
                first = from
            } else if let since {
                guard let found = try await node.firstHeight(since: since) else { return }
                first = found
            } else {
                first = max(0, try await node.head().height + 1 - (limit ?? 20))
            }
            try await node.forEachBlock(from: first, limit: limit ?? .max) { try output.write($0) }
        }
    }
}

/// Prints what a node says of itself and of its group.
struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print what a node says of itself and of its group.",
        discussion: """
            Exit status: 0 the node answers and nothing is damaged, 1 blocks are damaged or it failed, 75 it does not \
            answer.
            """)

    @Flag(help: "Print JSON: what GET / and GET /sync/ answer.") var json = false
    @OptionGroup var node: ReachedNode

    func run() async throws {
        try await node.with(patience: .short) { [json] node in
            let (own, group) = (try await node.body(at: "/"), try await node.body(at: "/sync/"))
            let status = try node.decode(NodeAnswer.self, from: own)
            if json {
                let (own, group) = (String(decoding: own, as: UTF8.self), String(decoding: group, as: UTF8.self))
                try StandardOutput.write("{\"node\":\(own),\"group\":\(group)}\n")
            } else {
                let members = try node.decode(GroupAnswer.self, from: group)
                try StandardOutput.write(status.text + members.text)
            }
            if !status.damaged.isEmpty {
                throw CommandError("damaged blocks: \(status.damaged.map(String.init).joined(separator: ", "))")
            }
        }
    }
}

/// Writes blocks as JSON lines.
struct Export: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write blocks as JSON lines.",
        discussion: """
            Every block is hashed again, and each continues the one before; the first one that does not ends the export. A \
            file is there once it is whole, and is not written over. \(readStatuses)
            """)

    @Option(help: ArgumentHelp("The file to make; - for standard output.", valueName: "file")) var to = "-"
    @Option(help: "The height of the first one.") var from = 0
    @Option(help: "How many, at most. (default: all)") var limit: Int?
    @OptionGroup var node: ReachedNode

    func validate() throws {
        if from < 0 { throw ValidationError("--from must be 0 or more.") }
        if let limit, limit < 0 { throw ValidationError("--limit must be 0 or more.") }
    }

    func run() async throws {
        try await node.with { [to, from, limit] node in
            let end = try await node.head().height + 1
            let total = max(0, min(limit ?? .max, end - min(from, end)))
            let bar = ProgressBar(label: "exporting", isShown: StandardError.isTerminal)
            defer { bar.erase() }
            let file = to == "-" ? nil : try NewFile(path: to)
            var blocks = 0
            try await node.forEachBlock(from: from, limit: total) { block in
                let line = BlockOutput.json(block)
                if let file { try file.write(line) } else { try StandardOutput.write(line) }
                blocks += 1
                bar.show(.init(blocks: blocks, done: blocks, total: total))
            }
            try file?.finish()
        }
    }
}
