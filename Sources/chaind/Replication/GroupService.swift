// Drives a node's part in its group with real time: does what is due, keeps `sync.json`, and leaves in order.

import Logging
import NIOPosix
import ServiceLifecycle

/// The group as a service.
struct GroupService: Service {
    /// The longest sleep, so that `sync.json` is looked at.
    private static let sleepSecondsMax = 5.0

    let replica: Replica
    let syncFile: SyncFileKeeper
    let wakeUp: WakeUp
    /// Ends with an element once the node can be reached.
    let listening: AsyncStream<Void>
    /// How long the last sync and the farewell may take together.
    let stopSeconds: Double

    func run() async throws {
        let hasBegun = await cancelWhenGracefulShutdown { () -> Bool in
            var listening = listening.makeAsyncIterator()
            guard await listening.next() != nil else { return false }
            await withDiscardingTaskGroup { tasks in
                while !Task.isCancelled {
                    await syncFile.refresh(replica)
                    for work in await replica.due() { tasks.addTask { await replica.perform(work) } }
                    let seconds = await replica.nextDueSeconds - replica.nowSeconds()
                    await wakeUp.wait(seconds: min(max(0, seconds), Self.sleepSecondsMax))
                }
            }
            return true
        }
        guard hasBegun else { return }
        await replica.stop(withinSeconds: stopSeconds)
        await syncFile.leave(replica)
    }
}

/// Keeps the file with the addresses of the members, and tells the replica of those that others put there.
actor SyncFileKeeper {
    /// How often the file is looked at while nothing changes.
    private static let lookSeconds = 1.0

    private let file: SyncFile
    private let logger: Logger
    private var stamp: SyncFile.Stamp?
    private var written: (up: [MemberAddress], down: [MemberAddress])?
    private var lookedSeconds = -Double.infinity
    private var lastError: String?

    init(file: SyncFile, logger: Logger) {
        self.file = file
        self.logger = logger
    }

    /// Looks at the file before a client can append: whom the node finds while its list is empty are founding members.
    func look(_ replica: Replica) async {
        do {
            await replica.found(try await NIOThreadPool.singleton.runIfActive { [file] in try file.addresses() })
        } catch {
            tell(error)
        }
    }

    /// Reads and writes the file if it, or what is to stand there, changed.
    func refresh(_ replica: Replica) async {
        let (up, down) = await replica.listedAddresses
        let isChanged = written.map { $0.up != up || $0.down != down } ?? true
        let now = replica.nowSeconds()
        guard isChanged || now - lookedSeconds >= Self.lookSeconds else { return }
        lookedSeconds = now
        if let found = await update(up: up, down: down, isChanged: isChanged) { await replica.found(found) }
    }

    /// Takes this node off the list.
    func leave(_ replica: Replica) async {
        let (up, down) = await replica.listedAddresses
        let own = await replica.group.ownAddress
        _ = await update(up: up.filter { $0 != own }, down: down + [own], isChanged: true)
    }

    /// - Returns: the addresses that stood there; `nil` if the file was not read.
    private func update(up: [MemberAddress], down: [MemberAddress], isChanged: Bool) async -> [MemberAddress]? {
        do {
            let stamp = stamp
            let wasThere = stamp != nil
            let update = try await NIOThreadPool.singleton.runIfActive { [file] in
                isChanged || file.hasChanged(since: stamp) ? try file.update(up: up, down: down) : nil
            }
            guard let update else { return nil }
            self.stamp = update.stamp
            written = (up, down)
            lastError = nil
            if let fault = update.fault {
                // At the first start there is none.
                logger.log(
                    level: fault == .missing && !wasThere ? .debug : .warning,
                    "the file of the members is written anew", metadata: ["file": "\(file.path)", "was": "\(fault)"])
            }
            return update.found
        } catch {
            tell(error)
            return nil
        }
    }

    /// Once, and not every second.
    private func tell(_ error: any Error) {
        if lastError != "\(error)" { logger.error("the file of the members", metadata: ["reason": "\(error)"]) }
        lastError = "\(error)"
    }
}

extension Replica {
    /// What has to stand in `sync.json`, and what must not.
    var listedAddresses: (up: [MemberAddress], down: [MemberAddress]) {
        guard consensus != nil else { return (group.upAddresses, group.downAddresses.sorted()) }
        return (ordered.up, (group.downAddresses + ordered.down).filter { !ordered.up.contains($0) }.sorted())
    }

    /// Addresses that stand in `sync.json`, or that an operator named. While the list is empty they are founding members;
    /// later each is joined once it is known that its list may be united with ours.
    func found(_ addresses: [MemberAddress]) async {
        var isChanged = false
        for address in addresses where address != group.ownAddress && group.membership.isIn(address) == nil {
            guard list.status.height == 0 else {
                candidates.insert(address)
                continue
            }
            do throws(MembershipError) {
                try group.membership.join(address)
                isChanged = true
            } catch {
                logger.error("a node was not joined", metadata: ["address": "\(address)", "reason": "\(error)"])
            }
        }
        guard isChanged else { return }
        do {
            try await keepMembership()
        } catch {
            logger.error("the members cannot be kept", metadata: ["reason": "\(error)"])
        }
    }

    /// Syncs once more, says how many blocks nobody else has, and tells the members that this node stops.
    func stop(withinSeconds seconds: Double) async {
        let members = group.records.filter { !$0.value.isRemoved && !$0.value.isSelf }.keys.sorted()
        guard !members.isEmpty else { return }
        await withinTime(seconds / 2, "syncing once more") { _ = await self.round() }
        guard consensus == nil else { return await sayFarewell(to: members, withinSeconds: seconds / 2) }
        let common = group.commonPoints.compactMap { $0?.height }.max() ?? 0
        let alone = list.status.height - common
        if alone > 0 {
            logger.warning("nobody else has the last blocks", metadata: ["blocks": "\(alone)"])
        }
        await sayFarewell(to: members, withinSeconds: seconds / 2)
    }

    private func sayFarewell(to members: [MemberAddress], withinSeconds seconds: Double) async {
        let leave = LeaveMessage(address: group.ownAddress, nodeID: group.nodeID)
        await withinTime(seconds, "telling the members") {
            await withDiscardingTaskGroup { tasks in
                for address in members { tasks.addTask { await self.sayFarewell(leave, to: address) } }
            }
        }
    }

    private func sayFarewell(_ leave: LeaveMessage, to address: MemberAddress) async {
        do throws(PeerError) {
            try await transport.leave(address, leave)
        } catch {
            logger.notice(
                "a member does not know that this node stops", metadata: ["member": "\(address)", "reason": "\(error)"])
        }
    }

    private func withinTime(
        _ seconds: Double, _ name: String, _ work: @escaping @Sendable () async -> Void
    ) async {
        do {
            try await withTimeLimit(seconds: seconds) { await work() }
        } catch {
            logger.warning("the stop does not wait any longer", metadata: ["for": "\(name)", "reason": "\(error)"])
        }
    }
}
