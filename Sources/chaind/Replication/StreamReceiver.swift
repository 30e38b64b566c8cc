// Takes a stream from a member into our list: in pieces, each checked before it is stored.

import Chain

/// What became of a stream.
enum ReceivedStream: Sendable {
    /// Its blocks are in our list, by an adoption if they replaced others.
    case adopted(blocks: Int, AdoptionResult?)
    /// Our list is as good.
    case ours
    /// It begins after a block that we do not have.
    case unknown
    /// Its blocks are fetched elsewhere; what was staged is kept.
    case unwanted
    /// It would replace settled blocks, the first one at this height.
    case conflict(height: Int)
    /// Something in it is wrong: at which height, and what.
    case refused(String)
    /// One of the lists changed meanwhile, as the sender says: nobody's fault.
    case overtaken(String)
    /// It ended early, or we cannot take it now; what was staged is kept.
    case broken(String)
}

/// Receives streams.
struct StreamReceiver: Sendable {
    /// As many runs or bytes are taken at once when the sender is slower than the disk: little is lost by a break.
    private static let runsMin = 64
    private static let sizeBytesMin = 2 << 20
    /// As many times that if the blocks have come already: while some are stored, the next ones are checked.
    private static let sharesMax = 4

    let list: BlockList
    /// Blocks with a later timestamp do not count yet.
    let latestTimestamp: Int64
    /// Our list counts only up to before this block.
    var damagedHeight: Int?
    /// An operator decided that this list is to be adopted.
    var isForced = false
    /// A block up to which the stream is wanted, and where it must have this one: nothing is in the list before that is known.
    var target: BlockPoint?
    /// What the adoption of a stream up to a target has to keep to.
    var terms: AdoptionTerms?
    /// Whether the blocks are still wanted.
    var isWanted: @Sendable () async -> Bool = { true }

    /// Takes a stream up to its end, and adopts it if it is better than our list.
    func receive(_ stream: IncomingStream) async -> ReceivedStream {
        do throws(ReceptionError) {
            let header = stream.header
            let end = target ?? header.head
            var reception = try await list.reception(
                after: header.after.height, hash: header.after.hash, isHeldBack: target != nil)
            var isWhole = true
            var runs: [BlockRun] = []
            var tags: [AppendTag] = []
            var sizeBytes = 0
            var ending: StreamEnding?
            while ending == nil {
                if runs.isEmpty, await !isWanted() { return .unwanted }
                ending = await next(of: stream, into: &runs, &tags, &sizeBytes)
                if ending == nil {
                    let shares = max(runs.count / Self.runsMin, sizeBytes / Self.sizeBytesMin)
                    if shares == 0 { continue }
                    if shares < Self.sharesMax, await stream.isNextThere() { continue }
                }
                if case .refused(let reason) = ending { return .refused(reason) }
                if target != nil {
                    if runs.last.map({ $0.endHeight > end.height }) == true { ending = .whole }
                    runs = runs.compactMap { $0.firstHeight <= end.height ? $0.part(upTo: end.height) : nil }
                }
                // What came before a break is good, and is kept.
                isWhole = try await reception.take(runs, tags: tags, latestTimestamp: latestTimestamp)
                runs = []
                tags = []
                sizeBytes = 0
                if !isWhole { break }
            }
            if isWhole {
                switch ending {
                case .broken(let reason): return .broken(reason)
                case .overtaken(let reason): return .overtaken(reason)
                case .refused, .whole, nil: break
                }
                guard reception.height == end.height, reception.hash == end.hash else {
                    return .refused(
                        "its blocks end at height \(reception.height) and not at \(end.height), as they should")
                }
            }
            if let terms {
                let result = try await reception.adopt(terms)
                return .adopted(blocks: reception.blocks, result)
            }
            var terms = AdoptionTerms()
            terms.finalHeight = header.finalHeight
            terms.latestTimestamp = latestTimestamp
            terms.damagedHeight = damagedHeight
            terms.isForced = isForced
            terms.settledHeight = header.settledHeight
            let result = try await reception.adopt(terms)
            return .adopted(blocks: reception.blocks, result)
        } catch {
            return outcome(of: error)
        }
    }

    private enum StreamEnding {
        case whole
        case broken(String)
        case overtaken(String)
        case refused(String)
    }

    /// Reads the next part.
    ///
    /// - Returns: how the stream ended, if it did.
    private func next(
        of stream: IncomingStream, into runs: inout [BlockRun], _ tags: inout [AppendTag], _ sizeBytes: inout Int
    ) async -> StreamEnding? {
        do throws(PeerError) {
            switch try await stream.next() {
            case .run(let run):
                runs.append(run)
                sizeBytes += run.content.count
                return nil
            case .tags(let more):
                tags += more
                return nil
            case .end: return .whole
            case .failed(let reason): return .overtaken(reason)
            case nil: return .broken("the stream broke off")
            }
        } catch {
            if case .invalid(let reason) = error { return .refused(reason) }
            if case .tooSlow = error { return .refused(error.description) }
            return .broken(error.description)
        }
    }

    private func outcome(of error: ReceptionError) -> ReceivedStream {
        switch error {
        case .invalid, .discontinuous: .refused(error.description)
        case .conflict(let height): .conflict(height: height)
        case .oursIsAsGood: .ours
        case .listMoved: .unknown
        case .damagedHead, .diskFull, .unavailable, .closed: .broken(error.description)
        }
    }
}
