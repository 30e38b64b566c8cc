// `chaind repair`: decides about a damaged head of a database that no node runs on.

import ArgumentParser
import Chain
import Glibc

/// Repairs a database by decision of an operator.
struct RepairFile: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair",
        abstract: "Accept a damaged head as what its data gives, while no node runs on the database.",
        discussion: """
            Nothing can be appended after a head that fails its check. A node asks the members what it was; where none \
            knows, only an operator can decide. What was changed is recorded, and shown by GET /.

            Exit status: 0 repaired, 1 there is nothing to repair or it cannot be, 2 not a database of chaind, unreadable \
            or in use.
            """)

    @Argument(help: "The database.", completion: .file()) var file: String
    @Flag(help: "Take what the data of the damaged head gives.") var acceptHead = false

    func validate() throws {
        guard acceptHead else { throw ValidationError("say what to do: --accept-head") }
    }

    func run() async throws {
        guard exists() else { throw refusal("\(file): no such file") }
        let list: BlockList
        do throws(OpenError) {
            list = try await BlockList.open(path: file, now: systemSeconds)
        } catch {
            throw refusal("\(error)")
        }
        let outcome: Result<[Repair], RepairError>
        do throws(RepairError) {
            outcome = .success(try await list.acceptHead())
        } catch {
            outcome = .failure(error)
        }
        do throws(SQLiteError) {
            try await list.close()
        } catch {
            throw commandFailure("\(file): closing the database: \(error)")
        }
        switch outcome {
        case .success(let repairs) where repairs.isEmpty: throw commandFailure("\(file): the head is not damaged")
        case .success(let repairs):
            for repair in repairs { print("block \(repair.height) was repaired: \(repair.fault)") }
        case .failure(let error): throw commandFailure("\(file): \(error)")
        }
    }

    /// A file that is missing must not be made.
    private func exists() -> Bool {
        var information = stat()
        return stat(file, &information) == 0
    }

    private func refusal(_ reason: String) -> ExitCode {
        StandardError.say(reason)
        return ExitCode(2)
    }
}
