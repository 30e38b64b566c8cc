// The program's entry: one command a file beside this one.

import ArgumentParser

@main
struct Chaind: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chaind",
        abstract: "A tamper-evident, append-only list of blocks, kept on several machines.",
        version: version,
        subcommands: [Serve.self],
        groupedSubcommands: [
            CommandGroup(
                name: "On a node that runs",
                subcommands: [
                    Append.self, HeadBlock.self, Get.self, List.self, Watch.self, Status.self, Export.self,
                ]),
            CommandGroup(
                name: "On a database",
                subcommands: [Verify.self, Backup.self, Restore.self, Import.self, RepairFile.self]),
            CommandGroup(
                name: "What an operator decides", subcommands: [Join.self, Forget.self, Adopt.self, Token.self]),
        ]
    )

    /// The version of the program, as `GET /` and `--version` say it.
    static let version = "0.1.0"
}
