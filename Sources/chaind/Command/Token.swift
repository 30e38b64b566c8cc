// `chaind token`: makes a token for a client, a member or an operator.

import ArgumentParser
import Foundation

/// Makes a token.
struct Token: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a token, and add it to the file of the tokens that nodes take.",
        discussion: """
            The file gets a line with the role, the name and a hash of the token; the token itself is printed once, on \
            standard output, and kept nowhere. Give all nodes of a group the same file. A node that runs reads it again at \
            a SIGHUP; a token whose line is taken out is refused from then on.

            Roles: reader reads blocks, state and figures. writer reads and appends. member is what nodes show each \
            other. operator does everything.

            Exit status: 0 the token is in the file, 1 it is not.
            """)

    @Argument(help: "One of reader, writer, member, operator.") var role: Role
    @Argument(help: "Whose it is: at most 64 letters, digits, and . - _") var name: String
    @Option(help: "The file, made if it is missing.") var tokensFile: String

    func run() throws {
        do {
            try StandardOutput.write(try add() + "\n")
        } catch {
            throw commandFailure("\(error)")
        }
    }

    private func add() throws(CommandError) -> String {
        guard TokenFile.isName(name) else {
            throw CommandError("the name has 1 to \(TokenFile.nameSizeBytesMax) letters, digits, and . - _")
        }
        // Group members may read it: what runs the node has another user than who makes tokens.
        let descriptor = open(tokensFile, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw failure("cannot be opened") }
        defer { close(descriptor) }
        // Two that add at once add one after the other.
        guard flock(descriptor, LOCK_EX) == 0 else { throw failure("cannot be locked") }
        let text = try SmallFile.text(tokensFile, sizeBytesMax: TokenFile.sizeBytesMax)
        var generator = SystemRandomNumberGenerator()
        let token = TokenFile.makeToken(using: &generator)
        let line =
            (text.isEmpty || text.last?.isNewline == true ? "" : "\n")
            + "\(role.rawValue) \(name) \(TokenFile.hash(of: Array(token.utf8)))\n"
        // As a node will read it.
        _ = try TokenFile(text + line, path: tokensFile)
        let bytes = Array(line.utf8)
        guard write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0 else {
            throw failure("cannot be written")
        }
        return token
    }

    private func failure(_ what: String) -> CommandError {
        CommandError("\(tokensFile): \(what): \(String(cString: strerror(errno)))")
    }
}

extension Role: ExpressibleByArgument {}
