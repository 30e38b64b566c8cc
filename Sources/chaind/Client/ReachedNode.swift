// The node that a command talks to, and how a command ends that does.

import ArgumentParser
import Foundation

/// Which node, and how its answers are shown.
struct ReachedNode: ParsableArguments {
    @Option(help: "The node, as its URL. (default: http://127.0.0.1:8000)")
    var url = "http://127.0.0.1:8000"
    @OptionGroup var shown: ShownCredentials

    /// Does work with the node.
    ///
    /// - Throws: `ExitCode`, after the reason was said: 1 it failed, 3 nothing is there, 75 the node does not answer.
    func with(
        patience: NodeClient.Patience = .init(isSaid: true), _ work: @escaping @Sendable (ReadNode) async throws -> Void
    ) async throws {
        try await cancelledBySignal { [url, shown] in
            do {
                let client = try NodeClient(url: url, credentials: try shown.credentials(), patience: patience)
                let outcome: Result<Void, any Error>
                do {
                    outcome = .success(try await work(ReadNode(client: client)))
                } catch {
                    outcome = .failure(error)
                }
                try await client.close()
                try outcome.get()
            } catch let error as CancellationError {
                throw error
            } catch let error as ExitCode {
                throw error
            } catch let error as NothingThere {
                StandardError.say(error.reason)
                throw ExitCode(3)
            } catch let error as NodeClient.Failure {
                StandardError.say("\(error)")
                // sysexits.h: EX_TEMPFAIL.
                throw ExitCode(75)
            } catch {
                throw commandFailure("\(error)")
            }
        }
    }
}

/// A person who looks does not wait for minutes until a node answers.
extension NodeClient.Patience {
    static let short = NodeClient.Patience(attemptsMax: 3, pauseSecondsFirst: 0.3, pauseSecondsMax: 2)
}
