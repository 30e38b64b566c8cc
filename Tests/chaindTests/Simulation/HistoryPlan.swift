// What kind of history a seed stands for: how many nodes, how bad the network, and which accidents how often.

import TestSupport

@testable import chaind

/// Something that happens to a group.
enum Happening: CaseIterable {
    case append, twins, burst, retry
    case part, partOneWay, join
    case crash, crashAtCommit, stop
    case clockJump, clockRight
    case backup, setBack, loseDisk, loseNode, forget
    case adopt, sendList
    case flipBit

    /// How often it happens where it happens at all, against the others.
    fileprivate var weight: Double {
        switch self {
        case .append: 60
        case .twins, .retry: 8
        case .burst: 2
        case .part, .partOneWay: 4
        case .join: 5
        case .crash: 3
        case .crashAtCommit: 6
        case .stop: 1.5
        case .clockJump, .clockRight: 1.5
        case .backup: 2
        case .setBack, .loseDisk: 0.7
        case .loseNode, .forget: 0.4
        case .adopt: 0.4
        case .sendList: 2
        case .flipBit: 3
        }
    }
}

/// The plan of one history.
struct HistoryPlan {
    let nodes: Int
    /// How many of them are there only after a while.
    let lateNodes: Int
    let seconds: Double
    /// The longest pause between two happenings.
    let pauseSecondsMax: Double
    var rates = NetworkRates()
    /// How many messages are slow.
    let slowRate: Double
    /// How many texts are from a small set.
    let commonTextRate: Double
    /// Whether the last thing that happens are two lists of one length.
    let endsEvenly: Bool
    var settings = ReplicaSettings()
    /// Whether disks are lost, or set back.
    var losesDisks: Bool { weights.contains { [.loseDisk, .setBack].contains($0.happening) } }
    private let weights: [(happening: Happening, weight: Double)]

    /// Makes up a plan.
    init(using generator: inout SeededGenerator) {
        func chance(_ probability: Double) -> Bool { Double.random(in: 0..<1, using: &generator) < probability }
        nodes = [3, 3, 3, 3, 4, 5, 5, 7].randomElement(using: &generator) ?? 3
        lateNodes = chance(0.3) ? 1 : 0
        seconds = Double.random(in: 40...160, using: &generator)
        pauseSecondsMax = [0.3, 0.6, 1, 2].randomElement(using: &generator) ?? 1
        if chance(0.6) { rates.loss = Double.random(in: 0...0.15, using: &generator) }
        if chance(0.5) { rates.duplicate = Double.random(in: 0...0.1, using: &generator) }
        if chance(0.4) { rates.corruption = Double.random(in: 0...0.1, using: &generator) }
        if chance(0.3) { rates.forgery = Double.random(in: 0...0.1, using: &generator) }
        if chance(0.5) { rates.crash = Double.random(in: 0...0.4, using: &generator) }
        slowRate = chance(0.5) ? Double.random(in: 0...0.2, using: &generator) : 0
        commonTextRate = chance(0.5) ? Double.random(in: 0.2...1, using: &generator) : 0
        endsEvenly = chance(0.3)
        settings.orphanSeconds = 30
        settings.settledAgeSeconds = [30, 60, 120, 600, 86_400, 86_400].randomElement(using: &generator) ?? 86_400
        // As if the lists were long.
        settings.pace.bulkBlocksMin = [1, 8, 4_096].randomElement(using: &generator) ?? 4_096
        let hasRot = chance(0.3)
        weights = Happening.allCases.compactMap { happening in
            let happens =
                switch happening {
                case .append, .part, .join: true
                case .flipBit: hasRot
                default: chance(0.6)
                }
            return happens ? (happening, happening.weight) : nil
        }
    }

    /// What happens next.
    func happening(using generator: inout SeededGenerator) -> Happening {
        var rest = Double.random(in: 0..<weights.reduce(0) { $0 + $1.weight }, using: &generator)
        for (happening, weight) in weights {
            if rest < weight { return happening }
            rest -= weight
        }
        return .append
    }
}
