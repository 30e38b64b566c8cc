// What a node answers to the members, and to operators who decide what no rule may decide.

import Chain

/// Why a node was not joined.
enum JoinError: Error, CustomStringConvertible {
    /// It does not answer as a node.
    case unreachable(MemberAddress, String)
    /// It is this node itself.
    case isSelf(MemberAddress)
    /// Both lists have blocks and share only the genesis.
    case otherList(ours: BlockPoint, theirs: BlockPoint)
    case membership(MembershipError)

    /// One line.
    var description: String {
        switch self {
        case .unreachable(let address, let reason): "\(address) does not answer as a node: \(reason)"
        case .isSelf(let address): "\(address) is this node itself"
        case .otherList(let ours, let theirs):
            """
            its list and ours share only the genesis: ours ends with block \(ours.height), \(ours.hash), its with \
            \(theirs.height), \(theirs.hash); to unite them all the same: chaind join URL --merge
            """
        case .membership(let error): error.description
        }
    }
}

extension Replica {
    // MARK: Messages of members

    /// A member compares heads.
    func answer(_ theirs: StatusMessage) async throws -> StatusMessage {
        try await merge(theirs.members)
        let now = nowSeconds()
        clock.learn(
            from: theirs.address, nodeID: theirs.nodeID, time: Int64(theirs.timeSeconds), roundTripSeconds: 0,
            nowSeconds: now)
        updateTime()
        report(
            group.heard(
                from: theirs.address,
                head: MemberHead(nodeID: theirs.nodeID, height: theirs.head.height, headHash: theirs.head.hash),
                nowSeconds: now))
        return try await ownStatus()
    }

    /// A member asks which of its blocks this node has.
    func answer(_ request: LocateRequest) async throws -> LocateAnswer {
        let hashes = try await list.storedHashes(at: request.points.map(\.height))
        let known = zip(request.points, hashes).filter { $0.hash == $1 }.last?.0
        let staged = try await list.stagedHeads().max { $0.height < $1.height }
        return LocateAnswer(
            list: known, staged: staged.map { BlockPoint(height: $0.height, hash: $0.hash) },
            isBusy: isFetchingMany)
    }

    /// A member asks for what follows one of its blocks; `nil` if that is not in our list.
    func stream(after point: BlockPoint) async throws -> OutgoingStream? {
        guard try await list.storedHashes(at: [point.height]) == [point.hash] else { return nil }
        let damagedHeight = list.damagedHeight(among: unrepairedHeights, above: point.height)
        let rank = try await list.counted(
            try await list.rank(latestTimestamp: time.latestTimestamp), below: damagedHeight)
        guard rank.height >= point.height else { return nil }
        return OutgoingStream(
            of: list, after: point, upTo: BlockPoint(height: rank.height, hash: rank.headHash),
            finalHeight: rank.finalHeight)
    }

    /// A member sends blocks.
    func take(_ stream: IncomingStream) async throws -> PushAnswer {
        if consensus != nil {
            let head = BlockPoint(height: list.status.height, hash: list.status.headHash)
            return PushAnswer(outcome: .ours, head: head, detail: "etcd decides on this list")
        }
        var receiver = StreamReceiver(list: list, latestTimestamp: time.latestTimestamp)
        receiver.isWanted = { await !self.isFetchingMany }
        let received = await receiver.receive(stream)
        var detail = ""
        let outcome: PushAnswer.Outcome
        switch received {
        case .adopted(_, let result):
            if let result { replaced(result, by: "a member's list") }
            outcome = .adopted
        case .ours: outcome = .ours
        case .unknown: outcome = .unknown
        case .unwanted: outcome = .busy
        case .overtaken(let reason):
            outcome = .unknown
            detail = reason
        case .conflict(let height):
            outcome = .conflict
            detail = "settled blocks from height \(height) on"
        case .refused(let reason), .broken(let reason):
            outcome = .refused
            detail = reason
        }
        let rank = try await list.rank(latestTimestamp: time.latestTimestamp)
        return PushAnswer(
            outcome: outcome, head: BlockPoint(height: rank.height, hash: rank.headHash), detail: detail)
    }

    private var isFetchingMany: Bool { group.isFetchingMany(nowSeconds: nowSeconds()) }

    /// A member stops.
    func answer(_ leave: LeaveMessage) {
        report(group.left(leave.address, nodeID: leave.nodeID, nowSeconds: nowSeconds()))
        onChange()
    }

    // MARK: Decisions of operators

    /// Makes a node a member, unless its list must not be united with ours.
    ///
    /// - Throws: `JoinError`.
    func join(_ address: MemberAddress, merging: Bool) async throws {
        if group.membership.isIn(address) == true { throw JoinError.membership(.isMember(address)) }
        if let consensus {
            do {
                try await consensus.allow(address)
            } catch let error as MembershipError {
                throw JoinError.membership(error)
            } catch {
                throw JoinError.unreachable(address, "the group's engine: \(error)")
            }
        }
        let health: HealthMessage
        let common: BlockPoint?
        do {
            health = try await transport.health(address)
            guard health.nodeID != group.nodeID else { throw JoinError.isSelf(address) }
            common = try await CommonBlock.find(
                in: list, upTo: min(health.head.height, list.status.height)
            ) { [transport] points in try await transport.locate(address, points).list }
        } catch let error as PeerError {
            throw JoinError.unreachable(address, error.description)
        }
        let ours = BlockPoint(height: list.status.height, hash: list.status.headHash)
        let areBothFilled = ours.height > 0 && health.head.height > 0
        guard common != nil, merging || !areBothFilled || common?.height != 0 else {
            throw JoinError.otherList(ours: ours, theirs: health.head)
        }
        do throws(MembershipError) {
            try group.membership.join(address)
        } catch {
            throw JoinError.membership(error)
        }
        candidates.remove(address)
        try await keepMembership()
    }

    /// Takes a node out of the group for ever, or until it is joined again.
    ///
    /// - Throws: `MembershipError`.
    func forget(_ address: MemberAddress) async throws {
        // The map of the members follows what etcd says.
        if let consensus, ordered.members.contains(address) { return try await consensus.forget(address) }
        try group.membership.forget(address)
        try await keepMembership()
        group.roundRequested()
        onChange()
    }

    /// Adopts a node's list whatever the rules say; in a group without an engine only final blocks stay.
    ///
    /// - Throws: `ExchangeError`; `PeerError`; with an engine also `EtcdError` and `FollowError`.
    func adopt(from address: MemberAddress) async throws -> ReceivedStream {
        if let consensus, address == group.ownAddress {
            try await consensus.imposeOwnList()
            return .adopted(blocks: 0, nil)
        }
        let theirs = try await transport.health(address)
        let common = try await CommonBlock.find(
            in: list, upTo: min(theirs.head.height, list.status.height)
        ) { [transport] points in try await transport.locate(address, points).list }
        guard let common else { throw ExchangeError.refused("its list begins with another genesis") }
        let stream = try await transport.pull(address, common)
        // All of it: what is settled there counts, whatever its time.
        var receiver = StreamReceiver(list: list, latestTimestamp: .max)
        receiver.isForced = true
        if consensus != nil {
            var terms = AdoptionTerms()
            terms.finalHeight = min(stream.header.finalHeight, stream.header.head.height)
            terms.isOrdered = true
            terms.replacesFinal = true
            receiver.terms = terms
            receiver.target = stream.header.head
        }
        let received = await receiver.receive(stream)
        if case .adopted = received { try await consensus?.beginAgain() }
        if case .adopted(_, let result?) = received { replaced(result, by: "the list of \(address)") }
        group.roundRequested()
        onChange()
        return received
    }
}
