// `chaind repair`: puts a database right that no node runs on.

import ArgumentParser
import Chain
import Glibc

/// Repairs a database with a member's blocks, or by decision of an operator.
struct RepairFile: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair",
        abstract: "Put a damaged database right, while no node runs on it.",
        discussion: """
            With --from, what can be read goes into a new file, and what is missing comes from a member: damaged blocks, \
            lost pages, a lost end. Each block must follow the one before it, and ours must follow from them. The new file \
            takes the place of the old one, which is kept beside it as FILE.damaged.

            With --accept-head, a damaged head that no member knows is taken as what its data gives: nothing can be \
            appended after a head that fails its check.

            What was changed is recorded, and shown by GET /.

            Exit status: 0 repaired, 1 there is nothing to repair or it cannot be, 2 not a database of chaind, unreadable \
            or in use.
            """)

    @Argument(help: "The database.", completion: .file()) var file: String
    @Option(help: "The member that has the list, as its URL.") var from: String?
    @OptionGroup var shown: ShownCredentials
    @Flag(help: "Take what the data of the damaged head gives.") var acceptHead = false

    func validate() throws {
        guard acceptHead != (from != nil) else {
            throw ValidationError("say what to do, and one thing at a time: --from URL or --accept-head")
        }
    }

    func run() async throws {
        guard exists() else { throw RepairFile.refusal("\(file): no such file") }
        if let from { try await repair(from: from) } else { try await acceptDamagedHead() }
    }

    // MARK: From a member

    private func repair(from url: String) async throws {
        let address: MemberAddress
        do throws(MemberAddressError) {
            address = try MemberAddress(url)
        } catch {
            throw commandFailure("\(url): \(error)")
        }
        guard try await cancelledBySignal({ [file] in try await RepairFile.isDamaged(file) }) else {
            throw commandFailure("\(file): nothing is damaged")
        }
        let credentials: NodeCredentials
        do {
            credentials = try shown.credentials()
        } catch {
            throw commandFailure(error)
        }
        let client = PeerClient(credentials: { credentials })
        let outcome: Result<RebuildReport, any Error>
        do {
            let source = RebuildSource(address, transport: client.transport)
            let report = try await cancelledBySignal { [file] in
                try await BlockList.rebuild(path: file, from: [source], now: systemSeconds())
            }
            outcome = .success(report)
        } catch {
            outcome = .failure(error)
        }
        try await client.shutdown()
        switch outcome {
        case .success(let report): tell(report, address)
        case .failure(RebuildError.file(let error)) where !error.isDamage: throw RepairFile.refusal("\(error)")
        case .failure(let error): throw commandFailure("\(file): \(error)")
        }
    }

    /// Whether a block, or anything else in the file, is damaged.
    private static func isDamaged(_ path: String) async throws -> Bool {
        do {
            guard try await BlockList.verify(path: path, onProgress: { _ in }).isValid else { return true }
            return try await BlockList.structureFault(path: path) != nil
        } catch let error as OpenError where error.isDamage {
            return true
        } catch let error as ReadError {
            guard case .damaged = error else { throw refusal("\(path): \(error)") }
            return true
        } catch let error as OpenError {
            throw refusal("\(error)")
        }
    }

    private func tell(_ report: RebuildReport, _ address: MemberAddress) {
        for heights in report.filledHeights {
            print("blocks \(heights.lowerBound) to \(heights.upperBound - 1) came from \(address)")
        }
        for table in report.incompleteTables { print("not all could be read: \(table)") }
        print("rebuilt up to height \(report.height); the old file is kept as \(report.keptPath)")
    }

    // MARK: By decision

    private func acceptDamagedHead() async throws {
        let list: BlockList
        do throws(OpenError) {
            list = try await BlockList.open(path: file, now: systemSeconds)
        } catch {
            throw RepairFile.refusal("\(error)")
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

    private static func refusal(_ reason: String) -> ExitCode {
        StandardError.say(reason)
        return ExitCode(2)
    }
}
