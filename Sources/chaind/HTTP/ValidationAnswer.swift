// What a validation answers: the same over HTTP (`GET /blocks/valid`) and on the command line (`chaind verify`).

import Chain

/// The outcome of a validation of the whole list, and how long it took.
struct ValidationAnswer: Equatable, Sendable {
    /// What was found.
    let report: ValidationReport
    /// How long it took.
    let seconds: Double
    /// How it was hashed, where that is told.
    var hashing: String?

    /// One JSON object, its keys in the documented order.
    var json: String {
        let fault =
            report.fault.map { fault in
                "{\"height\":\(fault.height),\"kind\":\"\(fault.kind.rawValue)\","
                    + "\"expected\":\(fault.expected.jsonQuoted),\"found\":\(fault.found.jsonQuoted)}"
            } ?? "null"
        let hashing = hashing.map { ",\"hashing\":\"\($0)\"" } ?? ""
        return "{\"state\":\"\(report.isValid ? "valid" : "invalid")\",\"height\":\(report.height),"
            + "\"blocks\":\(report.blocks),\"seconds\":\(seconds.roundedToMilliseconds),\"fault\":\(fault)\(hashing)}"
    }

    /// The same for a person, with the rate.
    var text: String {
        let rate = seconds > 0 ? " (\((Double(report.blocks) / seconds).grouped) blocks/s)" : ""
        let effort = "\(report.blocks.grouped) blocks in \(seconds.roundedToMilliseconds) s\(rate)"
        guard let fault = report.fault else { return "valid up to height \(report.height): \(effort)" }
        return "invalid at height \(fault.height), \(fault.kind.rawValue): expected \(fault.expected),"
            + " found \(fault.found); \(effort)"
    }
}
