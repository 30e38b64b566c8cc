// Timestamps of the original service, in UTC and in zones that change their clocks.

import Foundation
import Testing

@testable import chaind

struct OriginalTimestampTests {
    private func seconds(_ text: String) -> Int64? {
        Array(text.utf8).withUnsafeBytes { OriginalTimestamp($0)?.localSeconds }
    }

    @Test(arguments: [
        ("1970-01-01 00:00:00", 0), ("2023-06-25 18:14:00", 1_687_716_840),
        ("2023-06-25 18:14:00.999999", 1_687_716_840),
        ("2023-06-25 18:14:00.5", 1_687_716_840), ("2000-02-29 23:59:59", 951_868_799),
        ("2024-12-31 23:59:59", 1_735_689_599), ("1969-12-31 23:59:59", -1), ("0001-01-01 00:00:00", -62_135_596_800),
        ("9999-12-31 23:59:59", 253_402_300_799),
    ]) func isRead(text: String, expected: Int64) {
        #expect(seconds(text) == expected)
    }

    @Test(arguments: [
        "", "2023-06-25", "2023-06-25T18:14:00", "2023-06-25 18:14", "2023-06-25 18:14:00.", "2023-06-25 18:14:00Z",
        "2023-06-25 18:14:00.1234567", "2023-06-25 18:14:00.12a", "2023-6-25 18:14:000", "2023-02-29 00:00:00",
        "1900-02-29 00:00:00", "2023-13-01 00:00:00", "2023-00-01 00:00:00", "2023-04-31 00:00:00",
        "2023-01-00 00:00:00", "2023-01-01 24:00:00", "2023-01-01 00:60:00", "2023-01-01 00:00:60",
        "0000-01-01 00:00:00", "+023-01-01 00:00:00", "2023-06-25 18:14:00+00:00", " 2023-06-25 18:14:00",
    ]) func isRefused(text: String) {
        #expect(seconds(text) == nil)
    }

    /// `earliest` decides between the two times that a clock showed alike.
    @Test(arguments: [
        ("2023-07-01 12:00:00", Int64.min, 1_688_209_200),  // WEST, one hour before UTC
        ("2023-12-01 12:00:00", .min, 1_701_432_000),  // WET
        ("2023-10-29 01:30:00", .min, 1_698_539_400),  // the first 01:30
        ("2023-10-29 01:30:00", 1_698_539_401, 1_698_543_000),  // the second one
        ("2023-10-29 01:30:00", 1_698_543_001, 1_698_539_400),  // neither: the time goes back
        ("2023-03-26 01:30:00", .min, 1_679_794_200),  // a time that was left out
    ]) func isReadInAZone(text: String, earliest: Int64, expected: Int64) throws {
        let zone = try #require(TimeZone(identifier: "Europe/Lisbon"))
        let timestamp = try #require(Array(text.utf8).withUnsafeBytes { OriginalTimestamp($0) })
        #expect(zone.seconds(timestamp, notBefore: earliest) == expected)
    }
}
