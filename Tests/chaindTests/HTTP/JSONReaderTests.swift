// What the reader of JSON takes, and where it says a fault is.

import Foundation
import Testing

@testable import chaind

@Suite struct JSONReaderTests {
    private func members(_ text: String, elementsMax: Int = 10) throws -> [String: JSONValue]? {
        try JSONReader.members(of: Array(text.utf8), named: ["data", "more"], elementsMax: elementsMax)
    }

    private func data(_ text: String) throws -> JSONValue? { try members(text)?["data"] }

    @Test(arguments: [
        (#""plain""#, "plain"),
        (#""""#, ""),
        (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (#""\u0000\u001f\u007F""#, "\0\u{1f}\u{7f}"),
        (#""\u00e9\u4E16""#, "é世"),
        (#""a\ud83d\ude00b""#, "a😀b"),
        (#""\uDBFF\uDFFF""#, "\u{10FFFF}"),
        ("\"olá, 世界 🌍\u{7f}\u{feff}\"", "olá, 世界 🌍\u{7f}\u{feff}"),
        ("\"e\u{301}\"", "e\u{301}"),
    ])
    func stringsComeAsTheyWereMeant(json: String, text: String) throws {
        let value = try data("{\"data\":\(json)}")
        guard case .string(let found) = value else {
            Issue.record("\(json) is \(String(describing: value))")
            return
        }
        // Bytes, not characters: composed and decomposed text are equal strings.
        #expect(Array(found.utf8) == Array(text.utf8))
    }

    @Test(arguments: ["0", "-0", "12", "-1.5", "1e9", "1E+2", "0.1e-7", "{}", #"{"a":{"b":[1,{}]}}"#])
    func otherValuesAreReadAndDropped(json: String) throws {
        #expect(try members("{\"data\":\(json),\"more\":null}") == ["data": .other, "more": .null])
    }

    @Test(arguments: [true, false]) func booleansAreRead(value: Bool) throws {
        #expect(try members("{\"data\":\(value)}") == ["data": .bool(value)])
    }

    @Test func arraysKeepTheirElementsUpToTheLimit() throws {
        #expect(
            try data(#"{"data":["a",null,1,["b"],{"c":"d"}]}"#)
                == .array([.string("a"), .null, .other, .other, .other]))
        #expect(try data(#"{"data":[]}"#) == .array([]))
        let many = "{\"data\":[\(Array(repeating: "1", count: 50).joined(separator: ","))]}"
        #expect(try members(many, elementsMax: 3)?["data"] == .array([.other, .other, .other, .other]))
    }

    @Test func spaceMayStandAnywhereBetweenValues() throws {
        let text = " \t\r\n{ \"x\" : [ 1 , 2 ] , \"data\" : \"a\" }\n"
        #expect(try members(text) == ["data": .string("a")])
        #expect(try members("\u{feff}{\"data\":\"a\"}") == ["data": .string("a")])
    }

    @Test func ofEqualNamesTheLastCounts() throws {
        #expect(try data(#"{"data":"a","d\u0061ta":"b"}"#) == .string("b"))
    }

    @Test(arguments: ["[]", "1", "null", "\"text\"", "[{\"data\":\"a\"}]"])
    func whatIsNoObjectIsToldFromWhatIsNoJSON(text: String) throws {
        #expect(try members(text) == nil)
    }

    @Test(arguments: [
        ("", "Expecting value: line 1 column 1 (char 0)", 0),
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)", 1),
        ("{data:1}", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)", 1),
        (#"{"data"}"#, "Expecting ':' delimiter: line 1 column 8 (char 7)", 7),
        (#"{"data":}"#, "Expecting value: line 1 column 9 (char 8)", 8),
        (#"{"data":"a",}"#, "Expecting property name enclosed in double quotes: line 1 column 13 (char 12)", 12),
        (#"{"data":"a" "b":1}"#, "Expecting ',' delimiter: line 1 column 13 (char 12)", 12),
        (#"{"data":"a"}}"#, "Extra data: line 1 column 13 (char 12)", 12),
        (#"[1] 2"#, "Extra data: line 1 column 5 (char 4)", 4),
        (#"{"data":["a",]}"#, "Expecting value: line 1 column 14 (char 13)", 13),
        (#"{"data":["a""#, "Expecting ',' delimiter: line 1 column 13 (char 12)", 12),
        (#"{"data":"a"#, "Unterminated string starting at: line 1 column 9 (char 8)", 8),
        (#"{"data":"a\"#, "Unterminated string starting at: line 1 column 9 (char 8)", 8),
        (#"{"data":"\x"}"#, "Invalid \\escape: line 1 column 10 (char 9)", 9),
        (#"{"data":"\u12"}"#, "Invalid \\uXXXX escape: line 1 column 11 (char 10)", 10),
        (#"{"data":"\u12"#, "Invalid \\uXXXX escape: line 1 column 11 (char 10)", 10),
        (#"{"data":"\u+123"}"#, "Invalid \\uXXXX escape: line 1 column 11 (char 10)", 10),
        ("{\"data\":\"a\u{0}\"}", "Invalid control character at: line 1 column 11 (char 10)", 10),
        ("{\"data\":\"a\nb\"}", "Invalid control character at: line 1 column 11 (char 10)", 10),
        (#"{"data":"\ud800"}"#, "Half a surrogate pair: line 1 column 10 (char 9)", 9),
        (#"{"data":"\ud800x"}"#, "Half a surrogate pair: line 1 column 10 (char 9)", 9),
        (#"{"data":"\ud800\u0041"}"#, "Half a surrogate pair: line 1 column 10 (char 9)", 9),
        (#"{"data":"\ude00"}"#, "Half a surrogate pair: line 1 column 10 (char 9)", 9),
        (#"{"x":"\ude00"}"#, "Half a surrogate pair: line 1 column 7 (char 6)", 6),
        (#"{"x":01}"#, "Expecting ',' delimiter: line 1 column 7 (char 6)", 6),
        (#"{"x":+1}"#, "Expecting value: line 1 column 6 (char 5)", 5),
        (#"{"x":1.}"#, "Expecting value: line 1 column 6 (char 5)", 5),
        (#"{"x":NaN}"#, "Expecting value: line 1 column 6 (char 5)", 5),
        (#"{"x":nul}"#, "Expecting value: line 1 column 6 (char 5)", 5),
        (#"{"x":TRUE}"#, "Expecting value: line 1 column 6 (char 5)", 5),
        (#"{'data':'a'}"#, "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)", 1),
        ("{\"é世\":\n \"🌍\",\n x}", "Expecting property name enclosed in double quotes: line 3 column 2 (char 14)", 14),
    ])
    func aFaultComesWithItsPlaceInCharacters(text: String, message: String, offset: Int) {
        #expect(throws: JSONSyntaxError(message: message, offset: offset)) { try members(text) }
    }

    @Test(
        arguments: [
            [0xFF], [0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE4, 0xB8],
        ] as [[UInt8]])
    func whatIsNoUTF8IsRefused(bytes: [UInt8]) {
        let text = Array("{\"data\":\"é".utf8) + bytes + Array("\"}".utf8)
        #expect(throws: JSONSyntaxError(message: "Invalid UTF-8: line 1 column 11 (char 10)", offset: 10)) {
            try JSONReader.members(of: text, named: ["data"], elementsMax: 10)
        }
    }

    @Test func nestingIsBounded() throws {
        func nested(_ depth: Int) -> String {
            "{\"x\":" + String(repeating: "[", count: depth) + String(repeating: "]", count: depth) + "}"
        }
        #expect(try members(nested(JSONReader.depthMax - 2)) == [:])
        #expect(throws: JSONSyntaxError.self) { try members(nested(JSONReader.depthMax)) }
        #expect(throws: JSONSyntaxError.self) { try members(nested(100_000)) }
        #expect(throws: JSONSyntaxError.self) { try members(String(repeating: "{\"x\":", count: 100_000)) }
    }

    /// Foundation's decoder as a second opinion, on texts with many kinds of characters.
    @Test func agreesWithFoundationOnWhatItWrites() throws {
        let alphabet: [Unicode.Scalar] = [
            "\0", "\t", "\u{1f}", "\"", "\\", "/", "a", "\u{7f}", "é", "\u{2028}", "世", "🌍",
        ]
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            let scalars = (0..<Int.random(in: 0..<40)).compactMap { _ in alphabet.randomElement(using: &generator) }
            let text = String(String.UnicodeScalarView(scalars))
            let json = try String(decoding: JSONEncoder().encode(["data": text]), as: UTF8.self)
            #expect(try data(json) == .string(text), "\(json)")
        }
    }
}
