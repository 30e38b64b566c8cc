// Reads the timestamps of the original service: `YYYY-MM-DD HH:MM:SS[.ffffff]`, without a zone.

import Foundation

/// A date and time of day as they stand in the text, in seconds since 1970 as if they were UTC.
struct OriginalTimestamp: Equatable, Sendable {
    let localSeconds: Int64

    init(localSeconds: Int64) {
        self.localSeconds = localSeconds
    }

    /// `nil` if the text is not of that form, or no such day or time exists.
    init?(_ text: UnsafeRawBufferPointer) {
        guard text.count == 19 || (21...26).contains(text.count) else { return nil }
        func number(_ range: Range<Int>) -> Int64? {
            var number: Int64 = 0
            for byte in text[range] {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
                number = number * 10 + Int64(byte - UInt8(ascii: "0"))
            }
            return number
        }
        for (position, separator) in [(4, "-"), (7, "-"), (10, " "), (13, ":"), (16, ":")] as [(Int, Unicode.Scalar)] {
            guard text[position] == UInt8(ascii: separator) else { return nil }
        }
        if text.count > 19 {
            guard text[19] == UInt8(ascii: "."), number(20..<text.count) != nil else { return nil }
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
            year >= 1, (1...12).contains(month), day >= 1, day <= OriginalTimestamp.days(in: month, of: year),
            hour < 24, minute < 60, second < 60
        else {
            return nil
        }
        let days = OriginalTimestamp.daysSince1970(year: year, month: month, day: day)
        localSeconds = days * 86_400 + hour * 3600 + minute * 60 + second
    }

    private static func days(in month: Int64, of year: Int64) -> Int64 {
        let isLeapYear = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        return month == 2 ? (isLeapYear ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
    }

    /// Counts March as the first month, so that the leap day is a year's last
    /// (https://howardhinnant.github.io/date_algorithms.html#days_from_civil).
    private static func daysSince1970(year: Int64, month: Int64, day: Int64) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        return year * 365 + year / 4 - year / 100 + year / 400 + dayOfYear - 719_468
    }
}

extension TimeZone {
    /// The seconds since 1970 for a date and time in this zone. When clocks are put back an hour comes twice: the
    /// first of the two that is not before `earliest` is taken, else the first.
    func seconds(_ timestamp: OriginalTimestamp, notBefore earliest: Int64) -> Int64 {
        let local = timestamp.localSeconds
        func offset(at seconds: Int64) -> Int64 {
            Int64(secondsFromGMT(for: Date(timeIntervalSince1970: TimeInterval(seconds))))
        }
        // No zone is a day off, and none changes its clocks twice in two days.
        let (before, after) = (offset(at: local - 86_400), offset(at: local + 86_400))
        let candidates = [local - before, local - after].sorted().filter { offset(at: $0) == local - $0 }
        // A time that the clocks left out is taken as if they had not been put forward.
        return candidates.first { $0 >= earliest } ?? candidates.first ?? local - before
    }
}
