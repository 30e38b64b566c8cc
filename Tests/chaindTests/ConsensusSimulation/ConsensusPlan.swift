// What kind of history a seed stands for in a group with an engine: how many nodes, how bad etcd and the network are, and
// which accidents how often.

import TestSupport

@testable import chaind

/// Something that happens to a group with an engine.
enum Accident: CaseIterable {
    case part, cutOff, join
    case crash, crashAtCommit, crashAll, freeze, stop
    case clockJump, clockRight
    case backup, setBack, loseDisk
    case loseMajority, endLease, endWatch, silenceWatch, compact, fill

    /// How often it happens where it happens at all, against the others.
    fileprivate var weight: Double {
        switch self {
        case .part: 2
        case .cutOff: 3
        case .join: 5
        case .crash: 2
        case .crashAtCommit: 5
        case .crashAll: 0.3
        case .freeze: 5
        case .stop: 1.5
        case .clockJump, .clockRight: 1
        case .backup: 2
        case .setBack, .loseDisk: 1
        case .loseMajority: 2
        case .endLease: 2
        case .endWatch, .silenceWatch: 1.5
        case .compact: 1
        case .fill: 0.5
        }
    }
}

/// The plan of one history.
struct ConsensusPlan {
    let nodes: Int
    let seconds: Double
    /// The longest pause between two accidents.
    let pauseSecondsMax: Double
    /// The longest pause between two requests of clients.
    let requestPauseSecondsMax: Double
    var etcdRates = EtcdRates()
    /// Messages between nodes that are lost, and that are slow.
    let lossRate: Double
    let slowRate: Double
    /// Changes that a watch brings late.
    let slowWatchRate: Double
    /// How long a lease may go on after its end.
    let leaseLateSecondsMax: Double
    let queueAppendsMax: Int
    /// Whether some texts are so large that a batch has parts.
    let hasLargeTexts: Bool
    var settings = ConsensusSettings()
    private let weights: [(accident: Accident, weight: Double)]

    /// Makes up a plan.
    init(using generator: inout SeededGenerator) {
        func chance(_ probability: Double) -> Bool { Double.random(in: 0..<1, using: &generator) < probability }
        func rate(_ probability: Double, upTo most: Double) -> Double {
            chance(probability) ? Double.random(in: 0...most, using: &generator) : 0
        }
        nodes = [3, 3, 3, 3, 2, 4, 5].randomElement(using: &generator) ?? 3
        seconds = Double.random(in: 40...140, using: &generator)
        pauseSecondsMax = [2, 5, 10, 20].randomElement(using: &generator) ?? 5
        requestPauseSecondsMax = [0.2, 0.5, 1, 3].randomElement(using: &generator) ?? 1
        etcdRates.loss = rate(0.6, upTo: 0.1)
        etcdRates.answerLoss = rate(0.7, upTo: 0.15)
        etcdRates.late = rate(0.7, upTo: chance(0.2) ? 0.3 : 0.1)
        etcdRates.lateEndsLease = rate(0.5, upTo: 0.5)
        etcdRates.lateSecondsMax = [3, 10, 30].randomElement(using: &generator) ?? 10
        etcdRates.failure = rate(0.5, upTo: 0.1)
        etcdRates.staleRead = rate(0.6, upTo: 0.5)
        etcdRates.falseRenewal = rate(0.5, upTo: 1)
        etcdRates.droppedEvent = rate(0.5, upTo: 0.2)
        lossRate = rate(0.6, upTo: 0.15)
        slowRate = rate(0.5, upTo: 0.2)
        slowWatchRate = rate(0.5, upTo: 0.3)
        leaseLateSecondsMax = [0.5, 5, 20].randomElement(using: &generator) ?? 5
        queueAppendsMax = chance(0.3) ? 5 : 10_000
        hasLargeTexts = chance(0.06)
        settings.mayCompact = chance(0.5)
        // With places that are lost before an append's time is over.
        settings.intervalSeconds = [5, 5, 2, 1].randomElement(using: &generator) ?? 5
        settings.appendSeconds = chance(0.3) ? 30 : 10
        settings.quotaSizeBytes = chance(0.3) ? 60_000 : 2 << 30
        settings.tailSizeBytesMax = chance(0.4) ? 6_000 : 64 << 20
        settings.batchSizeBytesMax = chance(0.5) ? 60 : 1_000_000
        weights = Accident.allCases.compactMap { accident in
            let happens =
                switch accident {
                case .join: true
                default: chance(0.6)
                }
            return happens ? (accident, accident.weight) : nil
        }
    }

    /// What happens next.
    func accident(using generator: inout SeededGenerator) -> Accident {
        var rest = Double.random(in: 0..<weights.reduce(0) { $0 + $1.weight }, using: &generator)
        for (accident, weight) in weights {
            if rest < weight { return accident }
            rest -= weight
        }
        return .join
    }
}
