// How numbers and texts are written, for JSON and for people.

extension String {
    /// The text as a JSON string, with its quotes (RFC 8259, section 7).
    var jsonQuoted: String {
        var quoted = "\""
        for scalar in unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\u{0}"..."\u{1F}":
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

extension Int {
    /// The number with commas between the thousands.
    var grouped: String {
        var grouped = ""
        let digits = String(magnitude)
        for (index, digit) in digits.enumerated() {
            if index > 0 && (digits.count - index).isMultiple(of: 3) { grouped += "," }
            grouped.append(digit)
        }
        return (self < 0 ? "-" : "") + grouped
    }
}

extension Double {
    /// The whole part with commas between the thousands.
    var grouped: String { (Int(exactly: rounded()) ?? .max).grouped }

    /// Seconds as they are shown.
    var roundedToMilliseconds: Double { (self * 1000).rounded() / 1000 }
}
