import ArgumentParser

struct Verify: AsyncParsableCommand {
    func run() async throws {}
}
