// When a node looks after what is at rest: the scrub goes round for ever at a bounded rate, and what is damaged is tried
// to be repaired, ever less often while nobody has the blocks. A value without clocks; the replica owns it.

import Chain

/// How fast and how often a node looks after what is at rest.
struct AtRestPace: Hashable, Sendable {
    /// How much a scrub reads in a second; 0 for no scrub.
    var scrubBytesPerSecond = 8 << 20
    /// The pause between two passes of the scrub, which is what an idle node with a short list waits for.
    var passPauseSeconds = 10.0
    /// How often the structure of the small tables is checked.
    var tablesSeconds = 3_600.0
    /// The pause after the first attempt to repair that did not put everything right; it doubles up to the longest.
    var repairPauseSeconds = 5.0
    var repairPauseSecondsMax = 300.0
}

/// What is due for what is at rest.
struct AtRest: Sendable {
    private let pace: AtRestPace
    /// Where the scrub goes on.
    private(set) var place = ScrubPlace.start
    private var scrubDueSeconds: Double
    private var tablesDueSeconds: Double
    private var repairDueSeconds: Double
    private var pauseSeconds: Double
    /// What the last attempt could not put right, whichever members there were.
    private(set) var unrepairedHeights: Set<Int> = []
    /// What was told already, so that it is told once.
    private var toldHeights: Set<Int> = []
    private var toldOrphans: Set<Hash> = []

    init(pace: AtRestPace, nowSeconds: Double) {
        self.pace = pace
        // What reads the whole list after the start finds what is damaged then.
        scrubDueSeconds = pace.scrubBytesPerSecond > 0 ? nowSeconds + pace.passPauseSeconds : .infinity
        tablesDueSeconds = pace.scrubBytesPerSecond > 0 ? nowSeconds : .infinity
        repairDueSeconds = nowSeconds
        pauseSeconds = pace.repairPauseSeconds
    }

    /// When something is due next.
    func nextDueSeconds(isDamaged: Bool) -> Double {
        min(scrubDueSeconds, tablesDueSeconds, isDamaged ? repairDueSeconds : .infinity)
    }

    // MARK: Scrub

    /// Whether a step of the scrub is due; it is under way then until `scrubbed` or `scrubFailed`.
    mutating func beginsScrub(nowSeconds: Double) -> Bool {
        guard scrubDueSeconds <= nowSeconds else { return false }
        scrubDueSeconds = .infinity
        return true
    }

    /// A step is done.
    ///
    /// - Returns: what it found that was not told yet.
    mutating func scrubbed(_ step: ScrubStep, nowSeconds: Double) -> (heights: [Int], orphans: [Hash]) {
        place = step.next
        scrubDueSeconds = nowSeconds + Double(step.sizeBytes) / Double(max(1, pace.scrubBytesPerSecond))
        if step.next == .start { scrubDueSeconds += pace.passPauseSeconds }
        let heights = step.damagedHeights.filter { toldHeights.insert($0).inserted }
        let orphans = step.damagedOrphans.filter { toldOrphans.insert($0).inserted }
        return (heights, orphans)
    }

    /// A step failed; the next one begins a pass.
    mutating func scrubFailed(nowSeconds: Double) {
        place = .start
        scrubDueSeconds = nowSeconds + pace.passPauseSeconds
    }

    /// Whether the structure of the small tables is to be checked.
    mutating func beginsTables(nowSeconds: Double) -> Bool {
        guard tablesDueSeconds <= nowSeconds else { return false }
        tablesDueSeconds = nowSeconds + pace.tablesSeconds
        return true
    }

    // MARK: Repair

    /// Whether an attempt to repair is due; it is under way then until `repairEnded`.
    mutating func beginsRepair(isDamaged: Bool, nowSeconds: Double) -> Bool {
        guard isDamaged, repairDueSeconds <= nowSeconds else { return false }
        repairDueSeconds = .infinity
        return true
    }

    /// An attempt is over.
    ///
    /// - Parameters:
    ///   - hasRepaired: whether it put anything right; then there is no pause before the rest is tried.
    ///   - damagedHeights: what is damaged still.
    mutating func repairEnded(hasRepaired: Bool, damagedHeights: [Int], nowSeconds: Double) {
        unrepairedHeights = Set(damagedHeights)
        if hasRepaired {
            toldHeights = []
            pauseSeconds = pace.repairPauseSeconds
            repairDueSeconds = nowSeconds
        } else {
            repairDueSeconds = nowSeconds + pauseSeconds
            pauseSeconds = min(2 * pauseSeconds, pace.repairPauseSecondsMax)
        }
    }

    /// A member is back, or a new one is there: it may have what nobody else has.
    mutating func memberCame(nowSeconds: Double) {
        pauseSeconds = pace.repairPauseSeconds
        if repairDueSeconds < .infinity { repairDueSeconds = nowSeconds }
    }
}
