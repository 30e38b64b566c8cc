// An address has one spelling, and everything else is refused by name.

import Foundation
import Testing

@testable import chaind

@Suite struct MemberAddressTests {
    @Test(arguments: [
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://localhost:8000/", "http://localhost:8000"),
        ("HTTP://LocalHost:8000", "http://localhost:8000"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://node_1.example.com:80/", "http://node_1.example.com"),
        ("https://example.com:443", "https://example.com"),
        ("https://example.com:80", "https://example.com:80"),
        ("http://example.com:443", "http://example.com:443"),
        ("http://example.com:08000", "http://example.com:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://[0:0:0:0:0:0:0:1]", "http://[::1]"),
        ("http://[2001:DB8::A]:80", "http://[2001:db8::a]"),
    ])
    func addressesHaveOneSpelling(text: String, spelling: String) throws {
        let address = try MemberAddress(text)
        #expect(address.text == spelling)
        #expect("\(address)" == spelling)
        #expect(try MemberAddress(spelling) == address)
    }

    @Test(arguments: [
        ("", MemberAddressError.notAbsolute),
        ("localhost:8000", .notAbsolute),
        ("/sync", .notAbsolute),
        ("//localhost:8000", .notAbsolute),
        ("://localhost", .notAbsolute),
        ("http:/localhost", .notAbsolute),
        ("ftp://localhost", .scheme),
        ("unix:///run/chaind", .scheme),
        ("http+unix://localhost", .scheme),
        ("http://me@localhost", .user),
        ("http://me:secret@localhost", .user),
        ("http://@localhost", .user),
        ("http://", .host),
        ("http:///", .host),
        ("http://:8000", .host),
        ("http://a..b", .host),
        ("http://a.", .host),
        ("http://a%41", .host),
        ("http://a\\b", .host),
        ("http://[::1", .host),
        ("http://[", .host),
        ("http://[]", .host),
        ("http://[::1]8000", .host),
        ("http://[fe80::1%25eth0]", .host),
        ("http://[127.0.0.1]", .host),
        ("http://::1:8000", .host),
        ("http://localhost:", .port),
        ("http://localhost:0", .port),
        ("http://localhost:65536", .port),
        ("http://localhost:+80", .port),
        ("http://localhost:-80", .port),
        ("http://localhost:80:80", .port),
        ("http://localhost:99999999999999999999", .port),
        ("http://localhost/sync", .path),
        ("http://localhost//", .path),
        ("http://localhost?", .query),
        ("http://localhost/?a=b", .query),
        ("http://localhost#", .fragment),
        ("http://localhost/?a#b", .fragment),
        ("http://local host", .character),
        (" http://localhost", .character),
        ("http://localhost\n", .character),
        ("http://localhost\r\n", .character),
        ("http://localhost\0", .character),
        ("http://ol\u{E1}.example", .character),
        ("http://localhost/\u{301}", .character),
    ])
    func everythingElseIsRefusedByName(text: String, error: MemberAddressError) {
        #expect(throws: error) { try MemberAddress(text) }
        #expect(!error.description.contains("\n"))
    }

    @Test func anAddressHasAtMost2048Bytes() throws {
        let label = String(repeating: "a", count: 60)
        #expect(throws: MemberAddressError.tooLong) {
            try MemberAddress("http://" + String(repeating: "a", count: MemberAddress.sizeBytesMax - 6))
        }
        #expect(throws: MemberAddressError.host) {
            try MemberAddress("http://" + Array(repeating: label, count: 30).joined(separator: "."))
        }
        #expect(
            try MemberAddress("http://" + Array(repeating: label, count: 4).joined(separator: ".")).text.count == 250)
    }

    @Test func addressesAreNotResolvedAndAreOrderedByTheirText() throws {
        let name = try MemberAddress("http://localhost:8000")
        let number = try MemberAddress("http://127.0.0.1:8000")
        #expect(name != number)
        #expect(number < name)
    }

    @Test func anAddressInJSONIsCheckedAndTheFaultNamed() throws {
        let decoder = JSONDecoder()
        let read = try decoder.decode([MemberAddress].self, from: Data(#"["http://A:80/"]"#.utf8))
        #expect(read == [try MemberAddress("http://a")])
        #expect(try String(decoding: JSONEncoder().encode(read), as: UTF8.self) == #"["http:\/\/a"]"#)
        let error = try #require(throws: DecodingError.self) {
            try decoder.decode([MemberAddress].self, from: Data(#"["http://a", "http://a/b"]"#.utf8))
        }
        guard case .dataCorrupted(let context) = error else {
            Issue.record("\(error)")
            return
        }
        #expect(context.codingPath.map(\.intValue) == [1])
        #expect(context.debugDescription == MemberAddressError.path.description)
    }
}
