// What is written is JSON to the byte.

import Chain
import Foundation
import NIOCore
import Testing

@testable import chaind

@Suite struct JSONWriterTests {
    @Test func aBlockHasItsKeysInOrder() {
        let block = Block(
            height: 1, timestamp: 1_700_000_000, data: "hello", previousHash: Block.genesis.hash)
        var buffer = ByteBuffer()
        buffer.writeJSON(block)
        #expect(
            String(buffer: buffer)
                == #"{"height":1,"timestamp":1700000000,"data":"hello","#
                + #""previous_hash":"89b5c2eadcfcdbc2661cab5212f78e701af68a8f4881a6272ad5429964fb14f4","#
                + #""hash":"7e22ec18ff06c108481501ef01785f8d6247bfc3ac4ccbe8887246cd250a21d5"}"#)
    }

    @Test func anOriginStandsAtTheEnd() {
        let origin = Origin(
            hash: Block.genesis.hash, previousHash: .zero, timestamp: 7, height: 3)
        let block = Block(height: 4, timestamp: 8, data: "", previousHash: .zero, origin: origin)
        var buffer = ByteBuffer()
        buffer.writeJSON(block)
        #expect(
            String(buffer: buffer).hasSuffix(
                #","origin":{"height":3,"hash":"\#(origin.hash)","previous_hash":"\#(Hash.zero)","timestamp":7}}"#))
    }

    @Test(arguments: [
        ("", #""""#),
        ("plain", #""plain""#),
        ("\"\\/", #""\"\\/""#),
        ("\u{8}\t\n\u{c}\r", #""\b\t\n\f\r""#),
        ("\0\u{1}\u{f}\u{10}\u{1f}", #""\u0000\u0001\u000f\u0010\u001f""#),
        ("a\u{7f}é世🌍\u{2028}", "\"a\u{7f}é世🌍\u{2028}\""),
        ("\"", #""\"""#),
    ])
    func onlyWhatMustBeIsEscaped(text: String, json: String) {
        var buffer = ByteBuffer()
        buffer.writeJSON(text)
        #expect(String(buffer: buffer) == json)
    }

    /// Eight bytes are looked at at once: what is to be escaped may be any of them, beside any others.
    @Test func escapesAreFoundAtEveryPlace() {
        for (character, escape) in [("\u{0}", "\\u0000"), ("\u{1f}", "\\u001f"), ("\"", "\\\""), ("\\", "\\\\")] {
            for neighbour in ["x", " ", "!", "#", "[", "]", "\u{7f}", "é"] {
                for place in 0..<20 {
                    let before = String(repeating: neighbour, count: place)
                    let after = String(repeating: neighbour, count: 20 - place)
                    var buffer = ByteBuffer()
                    buffer.writeJSON(before + character + after)
                    #expect(String(buffer: buffer) == "\"" + before + escape + after + "\"")
                }
            }
        }
    }

    @Test func numbersOfEveryLength() {
        for number in [0, 9, 10, 99, 1_700_000_000, Int64.max, -1, Int64.min] {
            let block = Block(
                height: 0, timestamp: number, data: "", previousHash: .zero, hash: .zero, origin: nil)
            var buffer = ByteBuffer()
            buffer.writeJSON(block)
            #expect(String(buffer: buffer).contains("\"timestamp\":\(number),"))
        }
    }

    @Test func everyCharacterComesBackFromAnotherDecoder() throws {
        let scalars = (0...0x2FF).compactMap { Unicode.Scalar(UInt32($0)) }
        let text = String(String.UnicodeScalarView(scalars)) + "世\u{FFFD}\u{FFFF}🌍\u{10FFFF}"
        var buffer = ByteBuffer()
        buffer.writeStaticString("[")
        buffer.writeJSON(text)
        buffer.writeStaticString("]")
        let decoded = try JSONDecoder().decode([String].self, from: Data(buffer.readableBytesView))
        #expect(decoded.map { Array($0.utf8) } == [Array(text.utf8)])
    }
}
