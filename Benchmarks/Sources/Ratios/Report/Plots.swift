// The plots: how far each ratio is from its aim, latency over load, and the size of etcd's database.

import Foundation

/// A line a row: how many times better than its aim it is, with the spread of the runs.
struct RatioPlot {
    let rows: [Row]

    var svg: String {
        let aimed = rows.filter { $0.isMet != nil }
        let (left, right, top, step) = (520.0, 60.0, 40.0, 26.0)
        let height = top + step * Double(aimed.count) + 50
        var picture = SVG(width: 1_100, height: Int(height))
        /// From a tenth to a hundred times.
        func x(_ times: Double) -> Double {
            left + (log10(min(max(times, 0.1), 100)) + 1) / 3 * (1_100 - left - right)
        }
        for times in [0.1, 1, 10, 100] {
            picture.line([(x(times), top - 10), (x(times), height - 40)], times == 1 ? .axis : .grid)
            picture.text(
                times == 1 ? "aim" : times.short + "×", x: x(times), y: height - 22, anchor: .middle, isSmall: true)
        }
        picture.text("better than the aim by a factor of", x: left, y: 18)
        for (index, row) in aimed.enumerated() {
            guard let aim = row.aim else { continue }
            let y = top + step * (Double(index) + 0.5)
            let values = row.ratios ?? row.ours
            let style = row.isMet == true ? SVG.Style.met : .missed
            let name = row.baseline.map { "\(row.name) / \($0.name)" } ?? row.name
            picture.text(
                name.count > 88 ? name.prefix(86) + " …" : name, x: left - 12, y: y + 4, anchor: .end, isSmall: true)
            picture.line([(x(aim.times(values.least)), y), (x(aim.times(values.greatest)), y)], style)
            picture.mark(x: x(aim.times(values.median)), y: y, style)
            picture.text(values.median.short, x: 1_100 - right + 10, y: y + 4, isSmall: true)
        }
        return picture.document
    }
}

extension Aim {
    /// How many times better than the aim a value is.
    fileprivate func times(_ value: Double) -> Double {
        switch self {
        case .atMost(let limit): limit / max(value, .leastNormalMagnitude)
        case .atLeast(let limit): value / limit
        }
    }
}

/// The percentiles of latency over the rate of requests, of appends and of reads.
struct LatencyPlot {
    let points: [LatencyPoint]

    var svg: String {
        var picture = SVG(width: 1_100, height: 440)
        for (index, kind) in ["read", "append"].enumerated() {
            draw(kind, left: 70 + 540 * Double(index), in: &picture)
        }
        picture.line([(70, 425), (100, 425)], .quiet)
        picture.text("alone", x: 106, y: 429, isSmall: true)
        picture.line([(170, 425), (200, 425)], .busy)
        picture.text(
            "while the whole list is validated and scrubbed; dashed p50, full p99 and p99.9", x: 206, y: 429,
            isSmall: true)
        return picture.document
    }

    private func draw(_ kind: String, left: Double, in picture: inout SVG) {
        let (width, top, height) = (450.0, 40.0, 330.0)
        let meant = points.filter { $0.kind == kind }
        let times = meant.flatMap(\.milliseconds).filter { $0 > 0 }
        let (lowest, highest) = (log10(times.min() ?? 0.1).rounded(.down), log10(times.max() ?? 10).rounded(.up))
        let rateMax = meant.map(\.requestsPerSecond).max() ?? 1
        func place(_ point: LatencyPoint, _ part: Int) -> (x: Double, y: Double) {
            (left + width * point.requestsPerSecond / rateMax, y(point.milliseconds[part]))
        }
        func y(_ milliseconds: Double) -> Double {
            top + height * (highest - log10(max(milliseconds, 0.001))) / max(1, highest - lowest)
        }
        picture.text("\(kind)s: milliseconds over requests a second", x: left, y: 20)
        for power in stride(from: lowest, through: highest, by: 1) {
            picture.line([(left, y(pow(10, power))), (left + width, y(pow(10, power)))], .grid)
            picture.text(pow(10, power).short, x: left - 8, y: y(pow(10, power)) + 4, anchor: .end, isSmall: true)
        }
        for (isBusy, style) in [(false, SVG.Style.quiet), (true, .busy)] {
            let line = meant.filter { $0.isBusy == isBusy }
            for part in [0, 2, 3] {
                picture.line(line.map { place($0, part) }, style, isDashed: part == 0)
                for point in line { picture.mark(x: place(point, part).x, y: place(point, part).y, style) }
            }
            if !isBusy {
                for point in line {
                    picture.text(
                        point.requestsPerSecond.short, x: place(point, 0).x, y: top + height + 18, anchor: .middle,
                        isSmall: true)
                }
            }
        }
    }
}

/// The size of each member's database, and what of it is in use, over the blocks that have passed through.
struct EtcdSizePlot {
    let points: [SizePoint]

    var svg: String {
        let (left, top, width, height) = (70.0, 40.0, 980.0, 330.0)
        var picture = SVG(width: 1_100, height: 440)
        let blocksMax = Double(points.map(\.blocks).max() ?? 1)
        let megabytesMax = points.flatMap(\.megabytes).max() ?? 1
        func x(_ blocks: Double) -> Double { left + width * blocks / blocksMax }
        func y(_ megabytes: Double) -> Double { top + height * (1 - megabytes / megabytesMax) }
        picture.text("etcd's database in megabytes over the blocks that have passed through", x: left, y: 20)
        for part in [0, 0.25, 0.5, 0.75, 1] {
            picture.line([(left, y(part * megabytesMax)), (left + width, y(part * megabytesMax))], .grid)
            picture.text(
                (part * megabytesMax).short, x: left - 8, y: y(part * megabytesMax) + 4, anchor: .end, isSmall: true)
            picture.text(
                Int(part * blocksMax).grouped, x: x(part * blocksMax), y: top + height + 18, anchor: .middle,
                isSmall: true)
        }
        for (style, sizes) in [(SVG.Style.busy, \SizePoint.megabytes), (.quiet, \.usedMegabytes)] {
            for member in (points.first?[keyPath: sizes] ?? []).indices {
                picture.line(points.map { (x(Double($0.blocks)), y($0[keyPath: sizes][member])) }, style)
            }
        }
        picture.line([(70, 425), (100, 425)], .busy)
        picture.text("the file, of each member", x: 106, y: 429, isSmall: true)
        picture.line([(280, 425), (310, 425)], .quiet)
        picture.text("what of it is in use", x: 316, y: 429, isSmall: true)
        return picture.document
    }
}
