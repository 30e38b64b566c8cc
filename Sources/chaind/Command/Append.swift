// `chaind append`: one text, or each line of a file or a pipe as it comes, through a node that runs.

import ArgumentParser
import Chain
import Foundation

/// Appends.
struct Append: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Append a text, or each line of a file or a pipe.",
        discussion: """
            Prints each block's height and hash once it is on the node's disk. Attempts after the first are made under one \
            Idempotency-Key, so that a text is appended once.

            Without a text and --lines, standard input is one text, to its end. --lines - takes each line as it comes, as \
            in: tail -f FILE | chaind append --lines -

            Exit status: 0 appended, 1 refused or failed, 75 the node does not answer, and it may be appended or not.
            """)

    @Argument(help: "The text.") var text: String?
    @Option(help: ArgumentHelp("Append each line of a file; - for standard input.", valueName: "file")) var lines:
        String?
    @Option(help: "Append only if this is the hash of the head.") var lastHash: String?
    @Option(help: "Wait until so many members have it.") var wait: Int?
    @Option(help: "The Idempotency-Key: 1 to 64 printable ASCII characters. (default: a random one)") var key: String?
    @Flag(help: "Skip lines that are not UTF-8 or too long. (--lines)") var skipInvalid = false
    @Flag(help: "Print each block as a line of JSON.") var json = false
    @OptionGroup var node: ReachedNode

    func validate() throws {
        if lines != nil && (text != nil || lastHash != nil || wait != nil || key != nil) {
            throw ValidationError("--lines takes no text, --last-hash, --wait or --key.")
        }
        if lines == nil && skipInvalid { throw ValidationError("--skip-invalid is for --lines.") }
        if let lastHash, Hash(hex: lastHash) == nil {
            throw ValidationError("--last-hash must be 64 hexadecimal digits.")
        }
        if let wait, !(1...1_024 ~= wait) { throw ValidationError("--wait must be 1 to 1024.") }
    }

    func run() async throws {
        let appender = NodeAppender(output: BlockOutput(isJSON: json))
        if let lines {
            try await node.with { [skipInvalid] node in
                try await appender.appendLines(of: try InputFile(path: lines), skipsInvalid: skipInvalid, to: node)
            }
        } else {
            try await node.with { [text, lastHash, wait, key] node in
                let text = if let text { text } else { try await Append.standardInput() }
                try await appender.append(text, lastHash: lastHash, wait: wait, key: key, to: node)
            }
        }
    }
}

extension Append {
    /// What comes on standard input.
    ///
    /// - Throws: `CommandError` if nothing does, as where a variable or a file was meant that is empty: a block stays for ever.
    fileprivate static func standardInput() async throws -> String {
        if isatty(STDIN_FILENO) == 1 { StandardError.say("the text ends with Ctrl-D") }
        let text = try await InputFile(path: "-").text()
        guard !text.isEmpty else {
            throw CommandError(
                "standard input is empty, and nothing was appended; an empty text is appended by: append \"\"")
        }
        return text
    }
}

/// Appends through a node, and prints what was appended.
private struct NodeAppender: Sendable {
    private static let answerSizeBytesMax = 128 << 20
    private static let lineSizeBytesMax = 1 << 20

    let output: BlockOutput

    private struct Text: Encodable {
        let data: String
        let lastHash: String?

        enum CodingKeys: String, CodingKey {
            case data
            case lastHash = "last_hash"
        }
    }

    private struct Texts: Encodable {
        let data: [String]
    }

    private struct Appended: Decodable {
        let blocks: [AnsweredBlock]
        let members: Int?
    }

    func append(_ text: String, lastHash: String?, wait: Int?, key: String?, to node: ReadNode) async throws {
        let appended = try await post(
            "/blocks/" + (wait.map { "?wait=\($0)&timeout=60" } ?? ""), Text(data: text, lastHash: lastHash),
            key: key ?? NodeAppender.randomKey, to: node)
        if let wait, let members = appended.members, members < wait {
            throw CommandError("appended, but only \(members) of \(wait) members have it so far")
        }
    }

    func appendLines(of file: InputFile, skipsInvalid: Bool, to node: ReadNode) async throws {
        var batches = LineBatches(
            file: file, lineSizeBytesMax: Self.lineSizeBytesMax, skipsInvalid: skipsInvalid, waitsForMore: false)
        while let batch = try await batches.next() {
            do {
                _ = try await post("/blocks/batch", Texts(data: batch.texts), key: NodeAppender.randomKey, to: node)
            } catch let error as CommandError {
                throw CommandError("lines \(batch.firstLine) to \(batch.lastLine): \(error)")
            }
        }
        if batches.skippedLines > 0 { StandardError.say("skipped \(batches.skippedLines) invalid lines") }
    }

    private func post(_ path: String, _ body: some Encodable, key: String, to node: ReadNode) async throws -> Appended {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        let answer = try await node.client.post(
            path, json: Array(try encoder.encode(body)), idempotencyKey: key,
            answerSizeBytesMax: Self.answerSizeBytesMax)
        guard answer.status == 200 else { throw CommandError(answer.detail) }
        let appended = try node.decode(Appended.self, from: answer.body)
        for answered in appended.blocks {
            let block = try answered.block()
            if output.isJSON {
                try output.write(block)
            } else {
                try StandardOutput.write("\(block.height) \(block.hash)\n")
            }
        }
        return appended
    }

    private static var randomKey: String { "cli-" + String(UInt64.random(in: 1 ... .max), radix: 16) }
}
