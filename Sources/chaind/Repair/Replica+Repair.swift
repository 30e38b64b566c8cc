// What a node does for what is at rest: checks it, fetches from the members what is damaged, and tells.

import Chain
import Metrics

private let scrubbedBytes = Counter(label: Metric.scrubbedBytes.name)

extension Replica {
    /// How much of a member's list is held to repair blocks in a row.
    private static let candidatesSizeBytesMax = 64 << 20

    // MARK: Scrub

    func scrub() async {
        do throws(RepairError) {
            let step = try await list.scrub(from: atRest.place)
            let found = atRest.scrubbed(step, nowSeconds: nowSeconds())
            scrubbedBytes.increment(by: step.sizeBytes)
            if step.next == .start { verification.scrubEnded() }
            if !found.heights.isEmpty {
                logger.error("blocks are damaged", metadata: ["heights": "\(found.heights.prefix(100))"])
            }
            if !step.listedAgain.isEmpty {
                logger.notice(
                    "the index of identities lacked blocks", metadata: ["heights": "\(step.listedAgain.prefix(100))"])
            }
            if !found.orphans.isEmpty {
                logger.error("orphans are damaged", metadata: ["hashes": "\(found.orphans.prefix(100))"])
            }
        } catch {
            logger.error("the scrub failed", metadata: ["reason": "\(error)"])
            atRest.scrubFailed(nowSeconds: nowSeconds())
        }
    }

    func checkTables() async {
        do throws(ReadError) {
            guard let fault = try await list.tablesFault() else { return }
            logger.error("the structure of the file is damaged", metadata: ["fault": "\(fault)"])
        } catch {
            logger.error("the tables cannot be checked", metadata: ["reason": "\(error)"])
        }
    }

    // MARK: Repair

    /// Blocks that are damaged and for which all members were asked in vain, ascending.
    var unrepairedHeights: [Int] { list.status.damagedHeights.filter(atRest.unrepairedHeights.contains) }

    /// Tries to put right everything that is known to be damaged.
    func repair() async {
        var hasRepaired = list.status.structureFault == nil ? await repairBlocks() : false
        // What is wrong may have turned out just now to be more than blocks.
        if list.status.structureFault != nil, await rebuild() { hasRepaired = true }
        atRest.repairEnded(
            hasRepaired: hasRepaired, damagedHeights: list.status.damagedHeights, nowSeconds: nowSeconds())
    }

    private func repairBlocks() async -> Bool {
        var done = 0
        var hasRepaired = false
        for height in list.status.damagedHeights where height >= done && list.status.structureFault == nil {
            do throws(ReadError) {
                guard let range = try await list.damagedRange(at: height) else { continue }
                done = range.heights.upperBound
                if await repair(range, from: repairMembers) > 0 { hasRepaired = true }
            } catch {
                logger.error("a damaged block cannot be looked at", metadata: ["reason": "\(error)"])
            }
        }
        return hasRepaired
    }

    /// Builds a new file if the structure of the old one is damaged.
    private func rebuild() async -> Bool {
        do {
            let sources = repairMembers.map { RebuildSource($0, transport: transport) }
            guard let report = try await list.rebuild(from: sources) else { return false }
            logger.tell(report)
            noteReplacements()
            // It may be among what could not be read.
            try await keepMembership()
            return true
        } catch {
            logger.error("the file is damaged and cannot be rebuilt now", metadata: ["reason": "\(error)"])
            return false
        }
    }

    /// A head that is damaged is asked for before anything else: nothing can follow it, and the list counts only up to
    /// before it.
    func repairHead(from address: MemberAddress) async {
        do throws(ReadError) {
            guard let range = try await list.damagedRange(at: list.status.height) else { return }
            _ = await repair(range, from: [address])
        } catch {
            logger.error("the damaged head cannot be looked at", metadata: ["reason": "\(error)"])
        }
    }

    /// The members that may have what is damaged here.
    private var repairMembers: [MemberAddress] {
        group.records.filter { !$0.value.isRemoved && !$0.value.isSelf }.keys.sorted()
    }

    /// Puts damaged blocks right, with what the list itself has or with the blocks of one member after the other.
    ///
    /// - Returns: how many were put right.
    private func repair(_ range: DamagedRange, from members: [MemberAddress]) async -> Int {
        var repaired = 0
        var reasons: [String] = []
        do {
            repaired += told(try await list.repairHashes(at: range.heights))
        } catch {
            reasons.append("its own data: \(error)")
        }
        for address in members where list.status.structureFault == nil && isDamaged(range) {
            do {
                let candidates = try await candidates(for: range, from: address)
                repaired += told(try await list.repair(with: candidates, source: address.description))
            } catch {
                reasons.append("\(address): \(error)")
            }
        }
        guard isDamaged(range) else { return repaired }
        logger.error(
            "damaged blocks cannot be repaired now",
            metadata: ["heights": "\(range.heights)", "reasons": "\(reasons.joined(separator: "; "))"])
        return repaired
    }

    private func isDamaged(_ range: DamagedRange) -> Bool {
        list.status.damagedHeights.contains(where: range.heights.contains)
    }

    /// A member's blocks from the damaged ones on.
    private func candidates(
        for range: DamagedRange, from address: MemberAddress
    ) async throws(PeerError) -> [BlockRun] {
        let stream = try await transport.pull(
            address, BlockPoint(height: range.before.height, hash: range.before.hash))
        var runs: [BlockRun] = []
        var sizeBytes = 0
        while sizeBytes < Self.candidatesSizeBytesMax, let run = try await stream.nextRun() {
            runs.append(run)
            sizeBytes += run.content.count
            if run.endHeight >= range.heights.upperBound { break }
        }
        return runs
    }

    /// Tells of repairs.
    ///
    /// - Returns: how many there are.
    private func told(_ repairs: [Repair]) -> Int {
        for repair in repairs {
            logger.notice(
                "a damaged block was repaired",
                metadata: ["height": "\(repair.height)", "fault": "\(repair.fault)", "from": "\(repair.source)"])
        }
        if repairs.contains(where: { $0.height == list.status.height }) { listChanged() }
        return repairs.count
    }
}
