// What a node knows of one member, and when its turn is. `GroupState` owns the records.

import Chain

/// What a health answer or a status message says of the node that sent it.
struct MemberHead: Hashable, Sendable {
    /// The random id of its process.
    let nodeID: String
    /// The height of its list, as far as that counts.
    let height: Int
    /// The hash of the block there.
    let headHash: Hash
}

/// Pauses that double up to a bound.
struct Backoff: Sendable {
    private let firstSeconds: Double
    private let pauseSecondsMax: Double
    private var pauseSeconds: Double

    /// Begins with the first pause.
    init(firstSeconds: Double, pauseSecondsMax: Double) {
        self.firstSeconds = firstSeconds
        self.pauseSecondsMax = pauseSecondsMax
        pauseSeconds = firstSeconds
    }

    /// The pause to make now; the next one is twice as long.
    mutating func next() -> Double {
        defer { pauseSeconds = min(2 * pauseSeconds, pauseSecondsMax) }
        return pauseSeconds
    }

    /// Begins with the first pause again.
    mutating func reset() { pauseSeconds = firstSeconds }
}

/// One member as this node sees it. Times are monotonic seconds; a turn at minus infinity is due at once.
struct MemberRecord: Sendable {
    /// With how many failures in a row a member is taken off the list.
    static let failuresMax = 3
    /// How long after a check began a member that announces itself is checked again, however often it does.
    static let announcementSecondsMin = 1.0
    /// How long two nodes that answer for one address are told of after they were last seen.
    static let sharedAddressSeconds = 60.0

    /// Which syncs wait for the next turn.
    private enum Hold {
        /// Changes start one at once.
        case none
        /// The last one failed: changes wait for the next turn or a health check that succeeds.
        case changesUntilCheck
        /// The member was refused, or the last sync overtaken: everything waits for the next turn.
        case untilTurn
    }

    private let ownNodeID: String
    private let pace: GroupPace

    // Health.
    private(set) var isRemoved = false
    private(set) var failures = 0
    private(set) var head: MemberHead?
    private(set) var lastContactSeconds: Double?
    private(set) var isCheckUnderWay = false
    private var checkError: String?
    private var nextCheckSeconds = -Double.infinity
    private var lastCheckSeconds = -Double.infinity
    private var removedBackoff: Backoff
    /// The process that has said it stops; it may answer for a while yet.
    private var stoppedNodeID: String?

    // Who answers there.
    private var previousNodeID: String?
    /// Who has said last that it is found there.
    private(set) var announcedNodeID: String?
    private var sharedSeconds = -Double.infinity

    // Sync.
    private(set) var isSyncUnderWay = false
    private(set) var commonPoint: CommonPoint?
    private(set) var conflictHeight: Int?
    private var syncError: String?
    private var nextSyncSeconds = -Double.infinity
    private var hasChange = false
    private var hold = Hold.none
    /// Since when it is known to lack many blocks.
    private var lacksManySeconds: Double?
    private var refusedBackoff: Backoff
    private var overtakenBackoff: Backoff

    /// A member of which nothing is known: it counts as up, and check and sync are due.
    init(ownNodeID: String, pace: GroupPace) {
        self.ownNodeID = ownNodeID
        self.pace = pace
        removedBackoff = Backoff(firstSeconds: pace.checkSeconds, pauseSecondsMax: GroupPace.removedPauseSecondsMax)
        refusedBackoff = Backoff(firstSeconds: pace.syncSeconds, pauseSecondsMax: GroupPace.refusedPauseSecondsMax)
        overtakenBackoff = Backoff(firstSeconds: GroupPace.overtakenPauseSeconds, pauseSecondsMax: pace.syncSeconds)
    }

    /// Whether this node itself answers there.
    var isSelf: Bool { head?.nodeID == ownNodeID }

    /// Whether two nodes answer for the address.
    func isShared(nowSeconds: Double) -> Bool { nowSeconds - sharedSeconds <= Self.sharedAddressSeconds }

    // MARK: Turns

    /// When the next check is due.
    var checkDueSeconds: Double { isSelf || isCheckUnderWay ? .infinity : nextCheckSeconds }

    /// When the next sync is due.
    var syncDueSeconds: Double {
        if isSelf || isRemoved || isSyncUnderWay { return .infinity }
        return hasChange && hold == .none ? -.infinity : nextSyncSeconds
    }

    mutating func checkBegins(nowSeconds: Double) {
        isCheckUnderWay = true
        lastCheckSeconds = nowSeconds
        nextCheckSeconds = nowSeconds + pace.checkSeconds
    }

    /// Whether a member that lacks many blocks had the time to fetch them.
    mutating func hadTurnToFetch(nowSeconds: Double) -> Bool {
        let sinceSeconds = lacksManySeconds ?? nowSeconds
        lacksManySeconds = sinceSeconds
        return nowSeconds - sinceSeconds >= pace.syncSeconds
    }

    mutating func syncBegins() {
        isSyncUnderWay = true
        hasChange = false
    }

    /// The list changed: a sync is due, or another one after that which is under way.
    mutating func listChanged() { hasChange = true }

    /// This node's blocks were replaced from a height on.
    mutating func listReplaced(from height: Int) {
        guard let point = commonPoint, point.height >= height else { return }
        commonPoint = CommonPoint(height: height - 1, foundSeconds: point.foundSeconds)
    }

    /// Somebody asks for a sync now, whatever the last one came to.
    mutating func roundRequested() {
        hold = .none
        hasChange = true
    }

    // MARK: Health

    /// - Returns: whether the member comes back.
    mutating func checkSucceeded(_ head: MemberHead, nowSeconds: Double) -> Bool {
        isCheckUnderWay = false
        // A check that began before, or a process that is not gone yet.
        guard head.nodeID != stoppedNodeID else { return false }
        stoppedNodeID = nil
        note(head, nowSeconds: nowSeconds)
        failures = 0
        checkError = nil
        removedBackoff.reset()
        if hold == .changesUntilCheck { hold = .none }
        guard isRemoved else { return false }
        isRemoved = false
        nextCheckSeconds = lastCheckSeconds + pace.checkSeconds
        if hold == .none { hasChange = true }
        return true
    }

    /// - Returns: whether the member is taken off the list with this failure.
    mutating func checkFailed(_ reason: String, jitter: Double, nowSeconds: Double) -> Bool {
        isCheckUnderWay = false
        failures += 1
        checkError = reason
        let wasRemoved = isRemoved
        isRemoved = isRemoved || failures >= Self.failuresMax
        if isRemoved { nextCheckSeconds = nowSeconds + removedBackoff.next() * jitter }
        return isRemoved && !wasRemoved
    }

    /// The member has sent a message of its own accord.
    mutating func heard(_ head: MemberHead, nowSeconds: Double) {
        announcedNodeID = head.nodeID
        guard head.nodeID != stoppedNodeID else { return }
        note(head, nowSeconds: nowSeconds)
        if isRemoved {
            let soonestSeconds = max(nowSeconds, lastCheckSeconds + Self.announcementSecondsMin)
            nextCheckSeconds = min(nextCheckSeconds, soonestSeconds)
        }
    }

    /// The member has said that it stops.
    ///
    /// - Returns: whether it is taken off the list with that.
    mutating func left(nodeID: String, jitter: Double, nowSeconds: Double) -> Bool {
        // A message that comes late must not take off the process that has taken its place.
        guard head == nil || head?.nodeID == nodeID else { return false }
        defer { isRemoved = true }
        stoppedNodeID = nodeID
        checkError = "has stopped"
        removedBackoff.reset()
        nextCheckSeconds = nowSeconds + removedBackoff.next() * jitter
        return !isRemoved
    }

    private mutating func note(_ head: MemberHead, nowSeconds: Double) {
        if let known = self.head?.nodeID, known != head.nodeID {
            // A restart brings an id that was never there before, and not the last but one.
            if head.nodeID == previousNodeID { sharedSeconds = nowSeconds }
            previousNodeID = known
        }
        self.head = head
        lastContactSeconds = nowSeconds
    }

    // MARK: Sync

    mutating func syncEnded(_ outcome: SyncOutcome, jitter: Double, nowSeconds: Double) {
        isSyncUnderWay = false
        nextSyncSeconds = nowSeconds + pace.syncSeconds * jitter
        switch outcome {
        case .agreed(let head, let commonHeight):
            note(head, nowSeconds: nowSeconds)
            commonPoint = CommonPoint(height: commonHeight, foundSeconds: nowSeconds)
            conflictHeight = nil
            syncError = nil
            hold = .none
            lacksManySeconds = nil
            refusedBackoff.reset()
            overtakenBackoff.reset()
        case .postponed:
            // `GroupState` knows whose turn is next.
            break
        case .overtaken(let reason):
            syncError = reason
            hold = .untilTurn
            nextSyncSeconds = nowSeconds + overtakenBackoff.next() * jitter
        case .failed(let reason):
            syncError = reason
            hold = .changesUntilCheck
        case .refused(let reason):
            syncError = reason
            hold = .untilTurn
            nextSyncSeconds = nowSeconds + refusedBackoff.next() * jitter
        case .conflict(let height):
            syncError = "its list would replace settled blocks from height \(height) on"
            conflictHeight = height
            hold = .untilTurn
        }
    }

    // MARK: View

    /// What is shown of the member's state.
    var state: MemberState {
        if isRemoved { return .removed }
        if conflictHeight != nil { return .conflict }
        return failures > 0 ? .failing : .up
    }

    /// What is wrong with the member, in a line: who answers there, then the last sync, then the last check.
    func lastError(nowSeconds: Double) -> String? {
        if isSelf { return "is this node itself" }
        if isShared(nowSeconds: nowSeconds) { return "two nodes answer for this address" }
        return syncError ?? checkError
    }
}
