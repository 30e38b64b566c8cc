// The program's entry: one command a file beside this one.

import ArgumentParser

@main
struct Chaind: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chaind",
        abstract: "A tamper-evident, append-only list of blocks, kept on several machines.",
        version: version,
        subcommands: [Serve.self, Verify.self, Import.self, Join.self, Forget.self, Adopt.self, RepairFile.self]
    )

    /// The version of the program, as `GET /` and `--version` say it.
    static let version = "0.1.0"
}
