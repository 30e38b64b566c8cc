// What a node does for its own list every few seconds: orphans, settled blocks, a tail that does not count.

import Chain

extension Replica {
    func upkeep() async {
        updateTime()
        reportClocks()
        do {
            try await tidy()
            // What was replaced is sent into the order by `Consensus`, and nothing else changes the list.
            guard consensus == nil else { return }
            try await reappendOrphans()
            try await reappendTail()
            try await settle()
        } catch {
            logger.error("looking after the list failed", metadata: ["reason": "\(error)"])
        }
    }

    /// Says loudly, once a minute, that a clock is wrong, this node's own or another's: one would refuse what the other
    /// takes.
    private func reportClocks() {
        let own = time.ownSeconds
        let now = nowSeconds()
        if clock.isOwnClockOff(ownTime: own, nowSeconds: now) {
            guard now - clockToldSeconds >= 60 else { return }
            clockToldSeconds = now
            logger.error(
                "this machine's clock is wrong",
                metadata: ["off_by_seconds": "\(own - time.seconds)", "group_time": "\(time.seconds)"])
        } else if let other = clock.farthest(ownTime: own, nowSeconds: now) {
            guard now - memberClockToldSeconds >= 60 else { return }
            memberClockToldSeconds = now
            logger.error(
                "a member's clock differs",
                metadata: ["member": "\(other.address)", "ahead_by_seconds": "\(other.aheadSeconds.rounded())"])
        }
    }

    private func tidy() async throws {
        while true {
            switch try await list.tidy() {
            case .done: return
            case .unfinished: break
            case .unreadable(_, let heights):
                logger.error("replaced blocks cannot be read", metadata: ["heights": "\(heights)"])
            }
        }
    }

    private func reappendOrphans() async throws {
        let jitterSeconds = group.jitter() * settings.orphanSeconds
        let appended = try await list.reappendOrphans(
            replacedBefore: time.seconds - Int64(settings.orphanSeconds + jitterSeconds))
        if appended > 0 {
            logger.notice("orphans were appended again", metadata: ["blocks": "\(appended)"])
            listChanged()
        }
    }

    /// A tail that a clock of this node's own gave times from the future is appended again, if the members agree that its
    /// clock is right now.
    private func reappendTail() async throws {
        let confirmed = clock.isOwnClockConfirmed(
            memberCount: group.memberCount, ownTime: time.ownSeconds, nowSeconds: nowSeconds())
        guard confirmed, list.status.headTimestamp > time.latestTimestamp else { return }
        if let result = try await list.reappendTail(latestTimestamp: time.latestTimestamp) {
            replaced(result, by: "the same with the time of now")
        }
    }

    private func settle() async throws {
        let before = time.seconds - settings.settledAgeSeconds
        guard before > 0, list.status.settledHeight < list.status.height else { return }
        let aged = try await list.firstHeight(notBefore: before).map { $0 - 1 } ?? list.status.height
        let replacements = noteReplacements()
        let height = Settlement.height(
            commonPoints: group.commonPoints, agedHeight: aged, nowSeconds: nowSeconds())
        if let height { try await list.settle(upTo: height, replacements: replacements) }
    }
}
