// One node of a group: holds its view of the group, does what that says is due, and answers the members. It is given its
// clocks, its randomness and its way to the members, so that the simulation of the tests drives it as the daemon does.

import Chain
import Logging
import Synchronization

/// How long things last in a group.
struct ReplicaSettings: Sendable {
    /// How often members are checked and synced with.
    var pace = GroupPace()
    /// Members that may join.
    var membersMax = 64
    /// How long an orphan that another node acknowledged may be missing before this node appends it again, in seconds.
    var orphanSeconds = 30.0
    /// How old a block must be to be settled, in seconds.
    var settledAgeSeconds: Int64 = 86_400
    /// How fast and how often what is at rest is checked.
    var atRest = AtRestPace()
}

/// A node's part in its group.
actor Replica {
    let list: BlockList
    let transport: Transport
    let time: GroupTime
    let settings: ReplicaSettings
    let logger: Logger
    /// Monotonic seconds.
    let nowSeconds: @Sendable () -> Double

    var group: GroupState
    var clock: GroupClock
    var atRest: AtRest
    /// Nodes that are to be joined once they answer and their list may be united with ours.
    var candidates: Set<MemberAddress> = []
    /// Those of them that are being asked now.
    private var joining: Set<MemberAddress> = []
    /// When the list is looked after next.
    private var upkeepDueSeconds: Double
    /// How many replacements of the list's blocks the group was told of.
    private var notedReplacements = 0
    /// Whether this node appended since the members' turns were decided.
    private let hasAppended = Atomic(false)
    /// When it was last said that this machine's clock is wrong.
    var clockToldSeconds = -Double.infinity
    /// When it was last said that a member's clock differs.
    var memberClockToldSeconds = -Double.infinity
    /// When each member was last asked for its status.
    private var statusSeconds: [MemberAddress: Double] = [:]
    /// Who waits for the end of a sync.
    var syncWaiters: [Int: CheckedContinuation<Void, Never>] = [:]
    var lastWaiter = 0
    /// Is told when the scrub has come to its end.
    let verification: Verification
    /// What wakes the driver when something is due earlier than it knew.
    let onChange: @Sendable () -> Void
    /// This node's part in the consensus; `nil` in a group without an engine.
    let consensus: Consensus?
    /// Who belongs to the group by what the engine says.
    var ordered = OrderedGroup()

    /// Begins with what the database says of the members.
    ///
    /// - Parameters:
    ///   - isTold: whether the database is empty or a node to join was named, which makes this node a member again even
    ///     if it was forgotten.
    ///   - onChange: is called when something may be due earlier than `nextDueSeconds` said.
    /// - Throws: `MembershipError`; `ReadError`.
    init(
        list: BlockList, ownAddress: MemberAddress, nodeID: String, isTold: Bool, transport: Transport, time: GroupTime,
        settings: ReplicaSettings, logger: Logger, generator: any RandomNumberGenerator & Sendable,
        consensus: Consensus? = nil, verification: Verification, onChange: @escaping @Sendable () -> Void
    ) async throws {
        self.list = list
        self.consensus = consensus
        self.verification = verification
        self.transport = transport
        self.time = time
        self.settings = settings
        self.logger = logger
        nowSeconds = time.nowSeconds
        self.onChange = onChange
        var membership = Membership(membersMax: settings.membersMax)
        if let kept = try await list.record(Replica.membersRecord) {
            membership = try Membership(encoded: kept, membersMax: settings.membersMax)
        }
        group = try GroupState(
            ownAddress: ownAddress, nodeID: nodeID, membership: membership, isTold: isTold, pace: settings.pace,
            generator: generator)
        clock = GroupClock(ownNodeID: nodeID)
        atRest = AtRest(pace: settings.atRest, nowSeconds: nowSeconds())
        upkeepDueSeconds = nowSeconds()
        try await keepMembership()
    }

    private static let membersRecord = "members"

    // MARK: What is due

    /// A piece of work.
    enum Work: Hashable, Sendable {
        case group(GroupAction)
        /// To look whether nodes that were named can be joined.
        case join(MemberAddress)
        /// To look after the list: orphans, settled blocks, a tail that does not count.
        case upkeep
        /// To check the next piece of what is at rest.
        case scrub
        /// To check the structure of the small tables.
        case tables
        /// To repair what is damaged.
        case repair
    }

    /// What is due now. Each piece counts as under way until `perform` returns.
    func due() -> [Work] {
        let now = nowSeconds()
        if hasAppended.exchange(false, ordering: .acquiringAndReleasing) { group.listChanged() }
        var work = group.due(nowSeconds: now).map(Work.group)
        if upkeepDueSeconds <= now {
            upkeepDueSeconds = .infinity
            work.append(.upkeep)
            work += candidates.subtracting(joining).sorted().map(Work.join)
            joining.formUnion(candidates)
        }
        if atRest.beginsScrub(nowSeconds: now) { work.append(.scrub) }
        if atRest.beginsTables(nowSeconds: now) { work.append(.tables) }
        if atRest.beginsRepair(isDamaged: isDamaged, nowSeconds: now) { work.append(.repair) }
        return work
    }

    /// When something is due next, in monotonic seconds.
    var nextDueSeconds: Double {
        if hasAppended.load(ordering: .acquiring) { return -.infinity }
        return min(group.nextDueSeconds, upkeepDueSeconds, atRest.nextDueSeconds(isDamaged: isDamaged))
    }

    private var isDamaged: Bool {
        let status = list.status
        return !status.damagedHeights.isEmpty || status.structureFault != nil
    }

    /// Does a piece of work.
    func perform(_ work: Work) async {
        switch work {
        case .group(.check(let address)): await check(address)
        case .group(.sync(let address)): _ = await sync(with: address, isAsked: false)
        case .join(let address):
            await joinCandidate(address)
            joining.remove(address)
        case .upkeep:
            await upkeep()
            upkeepDueSeconds = nowSeconds() + settings.pace.syncSeconds
        case .scrub: await scrub()
        case .tables: await checkTables()
        case .repair: await repair()
        }
        onChange()
    }

    /// This node appended: the members are told at once. Appends that come together wake the driver once.
    nonisolated func listChanged() {
        if !hasAppended.exchange(true, ordering: .acquiringAndReleasing) { onChange() }
    }

    // MARK: Health

    private func check(_ address: MemberAddress) async {
        let result: CheckResult
        do throws(PeerError) {
            let health = try await transport.health(address)
            result = .answered(
                MemberHead(nodeID: health.nodeID, height: health.head.height, headHash: health.head.hash))
        } catch {
            result = .failed(error.description)
        }
        report(group.checked(address, result: result, nowSeconds: nowSeconds()))
    }

    // MARK: Sync

    /// Syncs with a member.
    ///
    /// - Parameter isAsked: whether somebody waits for it, so that what the member lacks is sent now.
    /// - Returns: what it came to, for whoever asked for a round.
    func sync(with address: MemberAddress, isAsked: Bool = true) async -> RoundAnswer.Member {
        let outcome: SyncOutcome
        var told = (outcome: "equal", blocks: 0, detail: "")
        do throws(ExchangeError) {
            let report = try await exchange(with: address, isAsked: isAsked)
            switch report.movement {
            case .equal: break
            case .sent(let blocks): told = ("sent", blocks, "")
            case .received(let blocks, let result):
                if let result { replaced(result, by: "the list of \(address)") }
                told = ("received", blocks, "")
            case .appendedAgain(let result): replaced(result, by: "what follows a damaged block that nobody has")
            case .postponed: told = ("equal", 0, "waits for other transfers")
            }
            if case .postponed = report.movement {
                outcome = .postponed
            } else if role(with: address) == .compareOnly, !syncWaiters.isEmpty,
                report.memberHead.height < list.height
            {
                // Somebody waits until it has.
                outcome = .overtaken("it has not stored the last blocks yet")
            } else {
                outcome = .agreed(report.memberHead, commonHeight: try await commonHeight(report.common))
            }
        } catch {
            switch error {
            case .failed(let reason):
                told = ("unreachable", 0, reason)
                outcome = .failed(reason)
            case .overtaken(let reason):
                told.detail = reason
                outcome = .overtaken(reason)
            case .refused(let reason):
                told = ("refused", 0, reason)
                logger.error("a member's list is refused", metadata: ["member": "\(address)", "reason": "\(reason)"])
                outcome = .refused(reason)
            case .conflict(let height):
                told = ("refused", 0, "settled blocks differ from height \(height) on")
                outcome = .conflict(height: height)
            }
        }
        report(group.synced(address, outcome: outcome, nowSeconds: nowSeconds()))
        endWaits()
        return RoundAnswer.Member(
            address: address.description, outcome: told.outcome, blocks: told.blocks, detail: told.detail)
    }

    /// The height of a block that both lists had, if ours has it still; else 0. Nothing may be awaited between this and
    /// telling the group: a later replacement is told after it.
    private func commonHeight(_ common: BlockPoint) async throws(ExchangeError) -> Int {
        let replacements = list.replacements
        do throws(ReadError) {
            let isOurs = try await list.storedHashes(at: [common.height]) == [common.hash]
            noteReplacements()
            return isOurs && list.replacements == replacements ? common.height : 0
        } catch {
            throw .failed(error.description)
        }
    }

    /// Tells the group which blocks were replaced: what members had of them is not common any more. To be called before
    /// anything is concluded from what is common.
    ///
    /// - Returns: how often blocks had been replaced by then.
    @discardableResult
    func noteReplacements() -> Int {
        let replacements = list.replacements
        if let lowest = list.lowestReplacedHeight(since: notedReplacements) { group.listReplaced(from: lowest) }
        notedReplacements = replacements
        return replacements
    }

    private func exchange(
        with address: MemberAddress, isAsked: Bool
    ) async throws(ExchangeError) -> ExchangeReport {
        if list.status.headHash == .zero { await repairHead(from: address) }
        let exchange = Exchange(
            list: list, transport: transport, address: address, latestTimestamp: time.latestTimestamp,
            damagedHeights: unrepairedHeights, role: role(with: address),
            mayTransfer: { await self.mayTransfer(with: address) },
            mayFetch: { await self.mayFetch(blocks: $0, from: address) },
            maySend: { isAsked ? true : await self.maySend(blocks: $0, to: address) })
        let now = nowSeconds()
        if exchange.role != .compareOnly, let known = group.records[address]?.head,
            group.records[address]?.commonPoint?.height == known.height,
            now - statusSeconds[address, default: -.infinity] < settings.pace.syncSeconds,
            let report = try await exchange.pushOn(from: known)
        {
            return report
        }
        let theirs = try await status(of: address)
        // As the member's map may have told just now.
        guard group.isMember, group.records[address] != nil else { throw .failed("one of both was forgotten") }
        return try await exchange.run(with: theirs)
    }

    private func mayTransfer(with address: MemberAddress) -> Bool { group.mayTransfer(with: address) }

    private func mayFetch(blocks: Int, from address: MemberAddress) -> Bool {
        group.mayFetch(blocks: blocks, from: address, nowSeconds: nowSeconds())
    }

    private func maySend(blocks: Int, to address: MemberAddress) -> Bool {
        group.maySend(blocks: blocks, to: address, nowSeconds: nowSeconds())
    }

    /// Asks a member for its head, and exchanges with it what each knows of the members and of the time.
    private func status(of address: MemberAddress) async throws(ExchangeError) -> StatusMessage {
        let start = nowSeconds()
        let theirs: StatusMessage
        do {
            theirs = try await transport.status(address, try await ownStatus())
        } catch PeerError.invalid(let reason) {
            throw .refused(reason)
        } catch {
            throw .failed("\(error)")
        }
        statusSeconds[address] = nowSeconds()
        clock.learn(
            from: address, nodeID: theirs.nodeID, time: Int64(theirs.timeSeconds),
            roundTripSeconds: nowSeconds() - start, nowSeconds: nowSeconds())
        updateTime()
        do {
            try await merge(theirs.members)
        } catch let error as MembershipError {
            throw .refused(error.description)
        } catch {
            throw .failed("\(error)")
        }
        guard theirs.nodeID != group.nodeID else { throw .failed("it is this node itself") }
        return theirs
    }

    /// What this node says of itself.
    func ownStatus() async throws -> StatusMessage {
        let rank = try await list.rank(latestTimestamp: time.latestTimestamp)
        return StatusMessage(
            address: group.ownAddress, nodeID: group.nodeID, timeSeconds: Int(max(0, time.ownSeconds)),
            head: BlockPoint(height: rank.height, hash: rank.headHash), finalHeight: rank.finalHeight,
            settledHeight: list.status.settledHeight, members: group.membership.entries)
    }

    /// Takes note of an adoption, and says of what.
    func replaced(_ result: AdoptionResult, by source: String) {
        noteReplacements()
        logger.notice(
            "blocks were replaced",
            metadata: [
                "by": "\(source)", "height": "\(result.firstHeight)",
                "adopted": "\(result.adoptedBlocks)", "replaced": "\(result.replacedBlocks)",
                "appended_again": "\(result.reappendedBlocks)",
            ])
        if result.reappendedBlocks > 0 { listChanged() }
    }

    // MARK: Members

    func merge(_ entries: [MembershipEntry]) async throws {
        if try group.merge(entries) { try await keepMembership() }
    }

    /// Keeps the map of the members before anybody is told of it.
    func keepMembership() async throws {
        try await list.setRecord(Replica.membersRecord, to: try group.membership.encoded())
        onChange()
    }

    private func joinCandidate(_ address: MemberAddress) async {
        do {
            try await join(address, merging: false)
            candidates.remove(address)
        } catch let error as JoinError {
            // One that does not answer is tried again.
            guard case .unreachable = error else {
                candidates.remove(address)
                logger.error("a node was not joined", metadata: ["address": "\(address)", "reason": "\(error)"])
                return
            }
        } catch {
            logger.error("a node was not joined", metadata: ["address": "\(address)", "reason": "\(error)"])
        }
    }

    // MARK: Time

    func updateTime() {
        time.set(clock.time(ownTime: time.ownSeconds, nowSeconds: nowSeconds()))
    }

    /// Logs what the group tells.
    func report(_ events: [GroupEvent]) {
        for event in events {
            switch event {
            case .removed(let address, let reason):
                logger.warning("a member is off the list", metadata: ["member": "\(address)", "reason": "\(reason)"])
            case .stopped(let address): logger.notice("a member stops", metadata: ["member": "\(address)"])
            case .returned(let address):
                logger.notice("a member is back", metadata: ["member": "\(address)"])
                atRest.memberCame(nowSeconds: nowSeconds())
            case .isSelf(let address):
                logger.warning("an address leads to this node itself", metadata: ["address": "\(address)"])
            case .sharedNode(let first, let second):
                logger.warning(
                    "two addresses lead to one node", metadata: ["first": "\(first)", "second": "\(second)"])
            case .sharedAddress(let address):
                logger.error("two nodes answer for one address", metadata: ["address": "\(address)"])
            case .conflict(let address, let height):
                logger.error(
                    "settled blocks differ; chaind adopt chooses",
                    metadata: ["member": "\(address)", "height": "\(height)"])
            case .ownAddressTaken:
                logger.error("another node says that it has this node's address")
            }
        }
    }
}
