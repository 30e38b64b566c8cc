// A node's part in the order that a group's engine, etcd, decides. It is given its clock, its randomness and its ways to etcd
// and to the members, so that the simulation of the tests drives it as the daemon does.
//
// The rules are those of docs/consensus.md: a batch is committed by a transaction that compares the head's revision, the
// leader's epoch and the place of each member whose appends it has; a transaction of unknown outcome is sent again until it
// is answered; nothing is concluded from a read.

import Chain
import Logging

/// How long things last, and how large they may be, in a group with an engine.
struct ConsensusSettings: Sendable {
    /// More members do not fit into the comparisons of one transaction.
    static let membersLimit = 100

    /// What the group's keys begin with.
    var prefix = "chaind"
    /// How often a node renews its place, and looks at everything.
    var intervalSeconds = 5.0
    /// How long an append may take before its outcome is said to be unknown.
    var appendSeconds = 10.0
    /// Bytes of batches in etcd that not enough members have on disk.
    var tailSizeBytesMax = 64 << 20
    /// What etcd's database may have (`--quota-backend-bytes`).
    var quotaSizeBytes = 2 << 30
    /// Whether etcd has no other users, so that its history may be compacted.
    var mayCompact = false
    /// Members that may join. Each is compared in a transaction.
    var membersMax = 64
    /// How much text one transaction takes, but for a larger request alone.
    var batchSizeBytesMax = 1_000_000

    /// A place is lost after three missed renewals.
    var leaseSeconds: Int { max(1, Int((3 * intervalSeconds).rounded(.up))) }
}

/// A node's part in the consensus.
actor Consensus {
    /// A piece of work. At most one of each is under way.
    enum Work: Hashable, Sendable {
        /// To find out whether this list and the group's are one.
        case enter
        /// To hear of changes.
        case watch
        /// To renew this node's place in the group, or to take one.
        case renew
        /// To put what was ordered into the list.
        case follow
        case elect
        /// To put appends in order.
        case order
        /// To send appends to a leader.
        case forward(epoch: Int, slot: Int)
        /// To find out up to where reads have to wait.
        case read
        /// To delete what enough members have.
        case trim
        /// To send orphans again.
        case orphans
        /// To answer appends whose time is over.
        case expire
    }

    /// What this node is to the group.
    enum Phase: Hashable, Sendable {
        /// It does not know yet whether its list is the group's.
        case entering(reason: String)
        /// Its list and the group's differ in what is final; an operator chooses.
        case blocked(reason: String)
        case following
    }

    /// A place in the group: the live key, under a lease.
    struct Session: Sendable {
        /// The revision at which the key was made.
        let revision: Int
        let leaseID: Int
        /// When etcd said last that the lease goes on.
        var renewedSeconds: Double
        /// Whether it may be over: no append is sent under it any more.
        var isDoubtful = false
    }

    /// The right to put appends in order.
    struct Leadership: Sendable {
        /// The revision at which the leader key was made.
        let epoch: Int
        /// The revision of the head that this node wrote, or read when it was elected.
        var headRevision: Int
        var writtenSizeBytes: Int
        /// Bytes that had been written when the list ended at a height.
        var sizes: [(height: Int, writtenSizeBytes: Int)]
        /// What leaders before this one left behind is deleted.
        var isClean = false
    }

    let list: BlockList
    let etcd: Etcd
    let peers: Transport
    let keys: ConsensusKeys
    let settings: ConsensusSettings
    let ownAddress: MemberAddress
    let nodeID: String
    let time: GroupTime
    let logger: Logger
    nonisolated let nowSeconds: @Sendable () -> Double
    /// Waits for some seconds.
    let pause: @Sendable (Double) async -> Void
    /// What wakes the driver when something is due earlier than it knew.
    nonisolated let onChange: @Sendable () -> Void
    /// The same for an append, which is not to wait for the driver to wake up.
    private nonisolated let onAppend: @Sendable (Consensus) -> Void
    nonisolated let inbox: AppendInbox
    private let dataSizeBytesMax: Int

    var view: EtcdView
    var phase = Phase.entering(reason: "it has not heard from etcd yet")
    var session: Session?
    var leadership: Leadership?
    /// Whether an operator allows to unite this node's blocks with a group that shares only the genesis.
    var isMerging = false
    var isStopping = false
    /// Whether no appends are taken any more, since the node is about to stop.
    var isClosed = false
    /// Is told who belongs to the group.
    private var onMembers: (@Sendable (OrderedGroup) async -> Void)?
    private var toldGroup = OrderedGroup()

    /// Appends of this node that are not answered, by their counters.
    var outstanding: [Int: Outstanding] = [:]
    /// Those of them that are to be sent, in order.
    var unsent: [Int] = []
    var lastCounter = 0
    /// What is to be put in order, here, since this node leads.
    var queue: [Queued] = []
    /// Forwarded messages that are not answered.
    var receipts: [Int: Receipt] = [:]
    var lastReceipt = 0
    /// Reads that wait to know how far the list has to be, and those that wait for that.
    var newReads: [ReadAnswer] = []
    var waitingReads: [(height: Int, sinceSeconds: Double, answer: ReadAnswer)] = []
    /// Batches that were heard of and are not in the list yet, by their first heights.
    var arrived: [Int: [UInt8]] = [:]
    var arrivedSizeBytes = 0
    /// Bytes that were put into the list since its height was published.
    var unpublishedSizeBytes = 0
    /// Numbers attempts, so that a transaction that is sent twice finds its own trace.
    var lastAttempt = 0
    /// Since when etcd has not answered a transaction, and why.
    var silence: (sinceSeconds: Double, reason: String)?
    /// Since when nobody leads whom this node reaches.
    var leaderlessSeconds: Double?
    var leaderSilence: (epoch: Int, sinceSeconds: Double, reason: String)?
    /// Whether etcd's database is too full for appends.
    var isFull = false
    var statusDueSeconds = 0.0
    var statusWrittenSizeBytes = 0
    var reappending = ReappendingOrphans()
    private var generator: any RandomNumberGenerator & Sendable
    private var dueSeconds: [Work: Double]
    private var underWay: Set<Work> = []
    private var lastTold: [String: String] = [:]

    init(
        list: BlockList, etcd: Etcd, peers: Transport, settings: ConsensusSettings, options: BlockListOptions,
        ownAddress: MemberAddress, nodeID: String, time: GroupTime, logger: Logger,
        generator: any RandomNumberGenerator & Sendable, pause: @escaping @Sendable (Double) async -> Void,
        onChange: @escaping @Sendable () -> Void, onAppend: @escaping @Sendable (Consensus) -> Void
    ) {
        self.onAppend = onAppend
        self.list = list
        self.etcd = etcd
        self.peers = peers
        self.settings = settings
        self.ownAddress = ownAddress
        self.nodeID = nodeID
        self.time = time
        self.logger = logger
        self.generator = generator
        self.pause = pause
        self.onChange = onChange
        nowSeconds = time.nowSeconds
        dataSizeBytesMax = options.dataSizeBytesMax
        keys = ConsensusKeys(prefix: settings.prefix)
        view = EtcdView(keys: keys)
        inbox = AppendInbox(
            countMax: options.queueAppendsMax, sizeBytesMax: options.queueSizeBytesMax,
            refusal: .notOrdered(reason: "this node has not heard from etcd yet"))
        dueSeconds = [.enter: nowSeconds()]
    }

    // MARK: What is due

    /// What is due now. Each piece counts as under way until `perform` returns.
    func due() -> [Work] {
        if !inbox.isEmpty { appendsCame() }
        let now = nowSeconds()
        let due = dueSeconds.filter { $0.value <= now && !underWay.contains($0.key) }.map(\.key).sorted()
        for work in due { dueSeconds[work] = nil }
        underWay.formUnion(due)
        return due
    }

    /// When something is due next, in monotonic seconds.
    var nextDueSeconds: Double {
        if !inbox.isEmpty { return -.infinity }
        return dueSeconds.lazy.filter { !self.underWay.contains($0.key) }.map(\.value).min() ?? .infinity
    }

    /// Has a piece of work done after a while, or before if that is due already.
    func schedule(_ work: Work, afterSeconds seconds: Double = 0) {
        dueSeconds[work] = min(dueSeconds[work] ?? .infinity, nowSeconds() + seconds)
    }

    /// Does a piece of work.
    func perform(_ work: Work) async {
        if !isStopping {
            switch work {
            case .enter: await enter()
            case .watch: await watch()
            case .renew: await renew()
            case .follow: await follow()
            case .elect: await elect()
            case .order: await order()
            case .forward(let epoch, _): await forward(to: epoch)
            case .read: await findReadHeight()
            case .trim: await trim()
            case .orphans: await sendOrphans()
            case .expire: await expire()
            }
        }
        underWay.remove(work)
        updateGate()
        onChange()
    }

    func isUnderWay(_ work: Work) -> Bool { underWay.contains(work) }

    // MARK: Appends

    /// Has the texts of a request appended, all or none. `answer` is called once they are in the order and in this node's
    /// list, on any thread, and must not block it.
    nonisolated func append(_ request: AppendRequest, answer: @escaping AppendInbox.Answer) {
        do throws(AppendError) {
            let dataSizeBytes = try request.checkedSizeBytes(dataSizeBytesMax: dataSizeBytesMax)
            let isFirst = try inbox.push(
                AppendInbox.Waiting(
                    request: request, dataSizeBytes: dataSizeBytes, arrivedSeconds: nowSeconds(), answer: answer)
            ).get()
            if isFirst { onAppend(self) }
        } catch {
            answer(.failure(error))
        }
    }

    private func appendsCame() {
        takeInbox()
        if !unsent.isEmpty { schedule(leadership == nil ? nextForward : .order) }
    }

    /// Why appends are refused now; `nil` if they are taken.
    private var refusal: AppendError? {
        if isClosed { return .closed }
        switch phase {
        case .entering(let reason): return .notOrdered(reason: reason)
        case .blocked(let reason): return .notOrdered(reason: reason)
        case .following: break
        }
        let now = nowSeconds()
        if let silence, now - silence.sinceSeconds >= Self.silentSecondsMax {
            return .notOrdered(reason: "etcd does not answer: \(silence.reason)")
        }
        if isForgotten { return .notOrdered(reason: "this node was taken out of the group") }
        guard let session else { return .notOrdered(reason: "this node has no place in the group yet") }
        if session.isDoubtful { return .notOrdered(reason: "this node's place in the group may be over") }
        if let leaderlessSeconds, now - leaderlessSeconds >= Self.leaderlessSecondsMax {
            return .notOrdered(reason: "nobody leads the group")
        }
        if let leaderSilence, now - leaderSilence.sinceSeconds >= Self.leaderlessSecondsMax {
            return .notOrdered(reason: "the leader cannot be reached: \(leaderSilence.reason)")
        }
        return nil
    }

    /// How long etcd may not answer before appends are refused.
    private static let silentSecondsMax = 1.0
    /// How long the group may have no leader before appends are refused.
    private static let leaderlessSecondsMax = 2.0

    /// Takes appends or refuses them, as things are by now. What was not sent is refused with them.
    func updateGate() {
        let refusal = refusal
        guard refusal != inbox.refusal else { return }
        for waiting in inbox.refuse(refusal) {
            inbox.answered(dataSizeBytes: waiting.dataSizeBytes)
            if let refusal { waiting.answer(.failure(refusal)) }
        }
        guard let refusal else { return }
        refuseUnsent(refusal)
    }

    // MARK: Telling

    /// Says who is to be told of changes of the members and of who is there.
    func tellMembers(to receiver: @escaping @Sendable (OrderedGroup) async -> Void) { onMembers = receiver }

    func tellMembers() async {
        let group = group
        guard group != toldGroup else { return }
        toldGroup = group
        await onMembers?(group)
    }

    func jitterSeconds(_ range: ClosedRange<Double>) -> Double { Double.random(in: range, using: &generator) }

    /// Logs something that goes on, once until it is something else; `nil` when it is over.
    func tell(_ topic: String, _ text: String?, level: Logger.Level = .error) {
        guard lastTold[topic] != text else { return }
        lastTold[topic] = text
        guard let text else { return logger.notice("over: \(topic)") }
        logger.log(level: level, "\(topic)", metadata: ["reason": "\(text)"])
    }

    /// Whether this node was a member and is to be none.
    var isForgotten: Bool { view.members.value?.record.forgotten.contains(ownAddress) ?? false }

    var isMember: Bool { view.members.value?.record.members.contains(ownAddress) ?? false }

    func newAttempt() -> Int {
        lastAttempt += 1
        return lastAttempt
    }
}

extension Consensus.Work: Comparable {
    /// In the order in which they are begun.
    static func < (left: Self, right: Self) -> Bool { left.rank < right.rank }

    private var rank: Int {
        switch self {
        case .enter: 0
        case .watch: 1
        case .renew: 2
        case .follow: 3
        case .elect: 4
        case .order: 5
        case .read: 6
        case .trim: 7
        case .orphans: 8
        case .expire: 9
        case .forward(let epoch, let slot): 10 + 16 * epoch + slot
        }
    }
}
