// One sync with one member: compare heads, find where the lists part, then take the better one or send ours.

import Chain

/// What an exchange came to.
struct ExchangeReport: Sendable {
    /// What became of the blocks.
    enum Movement: Sendable {
        case equal
        case sent(blocks: Int)
        case received(blocks: Int, AdoptionResult?)
        /// Our own blocks after a damaged one that nobody has were appended again.
        case appendedAgain(AdoptionResult)
        /// As many transfers as may be are under way.
        case postponed
    }

    var movement = Movement.equal
    /// The member's head after it.
    var memberHead: MemberHead
    /// The last block that both lists have, as far as the exchange found out.
    var common: BlockPoint
}

/// Why an exchange ended before it came to anything.
enum ExchangeError: Error {
    /// One of the lists changed meanwhile: nobody's fault, and worth another try soon.
    case overtaken(String)
    /// A message was not answered, or something on our side does not work.
    case failed(String)
    /// What the member sent is wrong.
    case refused(String)
    /// One list would replace settled blocks of the other.
    case conflict(height: Int)

    fileprivate static let memberIsBusy = ExchangeError.overtaken("it fetches many blocks from a member now")
}

/// What an exchange may change.
enum ExchangeRole: Sendable {
    /// The better list wins, on either side.
    case both
    /// The member's list only: an engine of consensus decides on ours.
    case sendOnly
    /// Nothing: the engine decides on both.
    case compareOnly
}

/// An exchange with a member. It owns no state that outlives it.
struct Exchange: Sendable {
    let list: BlockList
    let transport: Transport
    let address: MemberAddress
    /// Blocks with a later timestamp do not count yet.
    let latestTimestamp: Int64
    /// Blocks of ours that are damaged, ascending, and for which every member was asked in vain.
    let damagedHeights: [Int]
    /// What may come of it.
    let role: ExchangeRole
    /// Whether blocks may be moved now.
    let mayTransfer: @Sendable () async -> Bool
    /// Whether so many blocks may be fetched now.
    let mayFetch: @Sendable (_ blocks: Int) async -> Bool
    /// Whether so many blocks may be sent now to a member that was asked what it has.
    let maySend: @Sendable (_ blocks: Int) async -> Bool

    /// Brings both lists together.
    ///
    /// - Parameter theirs: what the member said of itself just now.
    func run(with theirs: StatusMessage) async throws(ExchangeError) -> ExchangeReport {
        let whole = try await rank()
        let memberHead = MemberHead(nodeID: theirs.nodeID, height: theirs.head.height, headHash: theirs.head.hash)
        if BlockPoint(height: whole.height, hash: whole.headHash) == theirs.head {
            if role == .both { try await takeOver(finalHeight: theirs.finalHeight, whole) }
            return ExchangeReport(memberHead: memberHead, common: theirs.head)
        }
        if role == .compareOnly {
            let isTheirsOurs = try await isOurs(theirs.head)
            let genesis = BlockPoint(height: 0, hash: Block.genesis.hash)
            return ExchangeReport(memberHead: memberHead, common: isTheirsOurs ? theirs.head : genesis)
        }
        let (common, located) = try await commonBlock(theirHeight: theirs.head.height)
        let damagedHeight = list.damagedHeight(among: damagedHeights, above: common.height)
        let ours = try await counted(whole, below: damagedHeight)
        let theirRank = ListRank(
            finalHeight: theirs.finalHeight, height: theirs.head.height, headHash: theirs.head.hash)
        guard await mayTransfer() else {
            return ExchangeReport(movement: .postponed, memberHead: memberHead, common: common)
        }
        if theirRank > ours {
            guard role == .both else { return ExchangeReport(memberHead: memberHead, common: common) }
            guard await mayFetch(theirRank.height - common.height) else {
                throw .overtaken("many blocks come from another member now")
            }
            return try await pull(memberHead, theirRank, after: common, ours, damagedHeight: damagedHeight)
        }
        if damagedHeight != nil, ours == theirRank, role == .both {
            return try await appendAgain(after: common, memberHead)
        }
        // A transfer to the member that broke off goes on where it did.
        var start = common
        if let staged = located?.staged, staged.height > common.height, try await isOurs(staged) { start = staged }
        if located?.isBusy == true { throw .memberIsBusy }
        guard await maySend(ours.height - common.height) else {
            throw .overtaken("it lacks many blocks and has a turn to fetch them")
        }
        return try await push(ours, to: memberHead, after: start, common: common)
    }

    /// Sends what we have beyond a block that the member is known to have as its head, without asking first.
    ///
    /// - Returns: `nil` if the member has another head by now.
    func pushOn(from known: MemberHead) async throws(ExchangeError) -> ExchangeReport? {
        let damagedHeight = list.damagedHeight(among: damagedHeights, above: known.height)
        let ours = try await counted(try await rank(), below: damagedHeight)
        let point = BlockPoint(height: known.height, hash: known.headHash)
        guard known.height < ours.height, try await isOurs(point), await mayTransfer() else { return nil }
        let answer = try await send(ours, after: point)
        guard answer.outcome == .adopted else { return nil }
        return report(of: answer, ours, to: known, after: point)
    }

    /// Two nodes that have the same list know the same of it: up to where an engine has committed it.
    private func takeOver(finalHeight: Int, _ ours: ListRank) async throws(ExchangeError) {
        guard finalHeight > ours.finalHeight, finalHeight <= ours.height else { return }
        do {
            guard let hash = try await list.storedHashes(at: [finalHeight]).first ?? nil else { return }
            _ = try await list.finalize(upTo: finalHeight, hash: hash)
        } catch {
            throw .failed("\(error)")
        }
    }

    // MARK: Where the lists part

    private func rank() async throws(ExchangeError) -> ListRank {
        do throws(ReadError) {
            return try await list.rank(latestTimestamp: latestTimestamp)
        } catch {
            throw .failed(error.description)
        }
    }

    private func counted(_ whole: ListRank, below damagedHeight: Int?) async throws(ExchangeError) -> ListRank {
        do throws(ReadError) {
            return try await list.counted(whole, below: damagedHeight)
        } catch {
            throw .failed(error.description)
        }
    }

    private func isOurs(_ point: BlockPoint) async throws(ExchangeError) -> Bool {
        do throws(ReadError) {
            return try await list.storedHashes(at: [point.height]) == [point.hash]
        } catch {
            throw .failed(error.description)
        }
    }

    /// The last block that both lists have, and what the member said last.
    private func commonBlock(theirHeight: Int) async throws(ExchangeError) -> (BlockPoint, LocateAnswer?) {
        do {
            let height = min(theirHeight, list.status.height)
            var located: LocateAnswer?
            let common = try await CommonBlock.find(in: list, upTo: height) { points in
                let answer = try await transport.locate(address, points)
                located = answer
                return answer.list
            }
            guard let common else { throw ExchangeError.refused("its list begins with another genesis") }
            return (common, located)
        } catch let error as ExchangeError {
            throw error
        } catch {
            throw failure(error)
        }
    }

    // MARK: Moving blocks

    /// Takes the member's blocks after the last common one, or after what is staged of them already.
    private func pull(
        _ memberHead: MemberHead, _ theirRank: ListRank, after common: BlockPoint, _ ours: ListRank,
        damagedHeight: Int?
    ) async throws(ExchangeError) -> ExchangeReport {
        let stream: IncomingStream
        do {
            let start = try await stagedPoint(above: common) ?? common
            stream = try await transport.pull(address, start)
        } catch PeerError.refused(status: 404, _) {
            throw await whyIncomplete(memberHead, end: nil) ?? .overtaken("its list changed meanwhile")
        } catch {
            throw failure(error)
        }
        // A list that grew or was replaced is better than before.
        let header = stream.header
        let streamRank = ListRank(
            finalHeight: header.finalHeight, height: header.head.height, headHash: header.head.hash)
        if streamRank < theirRank {
            if let error = await whyIncomplete(memberHead, end: header.head) { throw error }
            if damagedHeight != nil, streamRank == ours { return try await appendAgain(after: common, memberHead) }
            guard streamRank > ours else { return ExchangeReport(memberHead: memberHead, common: common) }
        }
        let receiver = StreamReceiver(list: list, latestTimestamp: latestTimestamp, damagedHeight: damagedHeight)
        switch await receiver.receive(stream) {
        case .adopted(let blocks, let result):
            return ExchangeReport(
                movement: .received(blocks: blocks, result),
                memberHead: MemberHead(
                    nodeID: memberHead.nodeID, height: stream.header.head.height, headHash: stream.header.head.hash),
                common: stream.header.head)
        case .ours: return ExchangeReport(memberHead: memberHead, common: common)
        case .unknown, .unwanted: throw .overtaken("our list changed meanwhile")
        case .overtaken(let reason): throw .overtaken(reason)
        case .conflict(let height): throw .conflict(height: height)
        case .refused(let reason): throw .refused(reason)
        case .broken(let reason): throw .failed(reason)
        }
    }

    /// Appends what can be read after a damaged block again, where the member has all that is before it.
    private func appendAgain(
        after point: BlockPoint, _ memberHead: MemberHead
    ) async throws(ExchangeError) -> ExchangeReport {
        do throws(ReceptionError) {
            let result = try await list.reappend(after: point.height, latestTimestamp: latestTimestamp)
            return ExchangeReport(
                movement: result.map { .appendedAgain($0) } ?? .equal, memberHead: memberHead, common: point)
        } catch {
            throw .failed(error.description)
        }
    }

    /// Why a member does not send its list up to the head that it named: it has another one by now, or it lies; `nil` if the
    /// next block is damaged there.
    ///
    /// - Parameter end: up to where it would send.
    private func whyIncomplete(_ memberHead: MemberHead, end: BlockPoint?) async -> ExchangeError? {
        do throws(PeerError) {
            let health = try await transport.health(address)
            guard health.head == BlockPoint(height: memberHead.height, hash: memberHead.headHash) else {
                return .overtaken("its list changed meanwhile")
            }
            if let end, health.damagedHeights.contains(end.height + 1) { return nil }
            return .refused("it does not back its head at height \(memberHead.height) with blocks")
        } catch {
            return failure(error)
        }
    }

    /// The highest end of what is staged here that the member's list has.
    private func stagedPoint(above common: BlockPoint) async throws -> BlockPoint? {
        let points = try await list.stagedHeads().filter { $0.height > common.height }
            .map { BlockPoint(height: $0.height, hash: $0.hash) }
        // Two may end at one height; a question names each height once.
        let heads = Dictionary(points.map { ($0.height, $0) }) { first, _ in first }.values.sorted {
            $0.height < $1.height
        }
        guard !heads.isEmpty else { return nil }
        return try await transport.locate(address, heads).list
    }

    /// Sends our blocks after the last common one, or after what the member has staged of them already.
    private func push(
        _ ours: ListRank, to memberHead: MemberHead, after start: BlockPoint, common: BlockPoint
    ) async throws(ExchangeError) -> ExchangeReport {
        let answer = try await send(ours, after: start)
        switch answer.outcome {
        case .adopted, .ours: return report(of: answer, ours, to: memberHead, after: common)
        case .unknown: throw .overtaken("its list changed meanwhile")
        case .conflict: throw .conflict(height: common.height + 1)
        case .busy: throw .memberIsBusy
        case .refused: throw .failed("it refused our blocks: \(answer.detail)")
        }
    }

    private func send(_ ours: ListRank, after point: BlockPoint) async throws(ExchangeError) -> PushAnswer {
        let head = BlockPoint(height: ours.height, hash: ours.headHash)
        guard point.height < head.height || point == head else { throw .overtaken("our list changed meanwhile") }
        do {
            return try await transport.push(
                address, OutgoingStream(of: list, after: point, upTo: head, finalHeight: ours.finalHeight))
        } catch {
            throw failure(error)
        }
    }

    private func report(
        of answer: PushAnswer, _ ours: ListRank, to memberHead: MemberHead, after point: BlockPoint
    ) -> ExchangeReport {
        let isAdopted = answer.outcome == .adopted
        return ExchangeReport(
            movement: isAdopted ? .sent(blocks: ours.height - point.height) : .equal,
            memberHead: MemberHead(
                nodeID: memberHead.nodeID, height: answer.head.height, headHash: answer.head.hash),
            common: isAdopted ? BlockPoint(height: ours.height, hash: ours.headHash) : point)
    }

    private func failure(_ error: any Error) -> ExchangeError {
        switch error {
        case let error as ExchangeError: error
        case PeerError.invalid(let reason): .refused(reason)
        case PeerError.tooSlow: .refused("too slow")
        default: .failed("\(error)")
        }
    }
}
