// What comes from clients and users: bodies of appends, addresses, paths, files, events.

import Chain
import Foundation
import NIOCore
import TestSupport
import Testing

@testable import chaind

extension FuzzTarget {
    private struct One: Decodable { let data: String }
    private struct Many: Decodable { let data: [String] }

    static let appends = FuzzTarget(
        "appends",
        #"{"data": "hello", "last_hash": "89b5c2eadcfcdbc2661cab5212f78e701af68a8f4881a6272ad5429964fb14f4"}"#,
        #"{"data":"\u00e9\ud83d\ude00\\\"\/\b\f\n\r\t","last_hash":null,"more":[1,-2.5e+7,{"a":[true,false,null]}]}"#,
        #"{"data": ["one", "two", "\u0000"], "last_hash": null}"#
    ) { bytes in
        var isTaken = false
        for kind in [AppendKind.single, .batch] {
            let content: AppendContent
            do throws(HTTPFailure) {
                content = try AppendContent(bytes, contentType: nil, kind: kind)
            } catch {
                try #require(error.status.code == 422)
                continue
            }
            isTaken = true
            // Of two members of one name, readers take different ones.
            guard Data(bytes).ranges(of: Data("data".utf8)).count == 1 else { continue }
            let texts =
                switch kind {
                case .single: [try JSONDecoder().decode(One.self, from: Data(bytes)).data]
                case .batch: try JSONDecoder().decode(Many.self, from: Data(bytes)).data
                }
            try #require(texts.map { Array($0.utf8) } == content.texts.map { Array($0.utf8) })
        }
        return isTaken
    }

    /// Addresses, paths, names of hosts, files of tokens, and the timestamps of the original service.
    static let texts = FuzzTarget(
        "texts", "http://node.example:8000/", "https://[2001:db8::1]:443", "http://127.0.0.1", "/blocks/7",
        "/sync/stream/", "/%62locks/head", "node.example:8000", "2024-02-29 23:59:59.999999",
        "# Who reads.\nreader name 89b5c2eadcfcdbc2661cab5212f78e701af68a8f4881a6272ad5429964fb14f4\n"
    ) { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        var isTaken = HostNames(["node.example"]).include(text)
        if let address = try? MemberAddress(text) {
            try #require(try MemberAddress(address.text) == address)
            isTaken = true
        }
        if let route = Route(path: text) {
            _ = route.name
            isTaken = true
        }
        do throws(CommandError) {
            isTaken = try !TokenFile(text, path: "tokens").entries.isEmpty || isTaken
        } catch {
            try #require(error.description.hasPrefix("tokens: "))
        }
        if let timestamp = bytes.withUnsafeBytes({ OriginalTimestamp($0) }) {
            try #require(TimeZone.gmt.seconds(timestamp, notBefore: 0) == timestamp.localSeconds)
            isTaken = true
        }
        return isTaken
    }

    /// Lines to import.
    static let lines = FuzzTarget("lines", "one\ntwo\r\n\nthe last é", "\r\n\u{0}\n", "0123456789abcdef\nnext\n") {
        bytes in
        func lines(_ sizes: [Int]) -> [LineSplitter.Line] {
            var splitter = LineSplitter(lineSizeBytesMax: 16)
            var found: [LineSplitter.Line] = []
            var rest = bytes[...]
            for size in sizes where !rest.isEmpty {
                splitter.feed(Array(rest.prefix(size)))
                rest = rest.dropFirst(size)
                while let line = splitter.next() { found.append(line) }
            }
            return found + (splitter.end().map { [$0] } ?? [])
        }
        let found = lines([Int.max])
        try #require(lines(pieceSizes(of: bytes)) == found)
        try #require(found.map(\.number) == Array(1..<(found.count + 1)))
        try #require(found.last?.endOffset ?? 0 == bytes.count)
        return found.contains { if case .text = $0.content { true } else { false } }
    }

    /// What stands in `sync.json`.
    static let memberFiles = FuzzTarget(
        "member-files", #"{"addresses": ["http://localhost:8000", "https://node.example", "http://[::1]:9"]}"#,
        #"{"addresses":[]}"#
    ) { bytes in
        let directory = try TemporaryDirectory(isInMemory: true)
        let result = Result {
            let path = directory.path("sync.json")
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            let file = SyncFile(path: path)
            let found = try file.addresses()
            let own = try MemberAddress("http://own:1")
            let update = try file.update(up: [own], down: [])
            try #require(update.found == found)
            try #require(try Set(file.addresses()) == Set(found + [own]))
            return update.fault == nil
        }
        try directory.remove()
        return try result.get()
    }

    /// What `chaind watch` listens to.
    static let events = FuzzTarget(
        "events", "retry: 1000\n\n", "id: 1-89b5\nevent: block\ndata: {\"height\":1}\n\n: still here\n\n",
        "data:x\n\n\n\n"
    ) { bytes in
        func events(_ sizes: [Int]) -> [EventParser.Event] {
            var parser = EventParser()
            var found: [EventParser.Event] = []
            var rest = bytes[...]
            for size in sizes where !rest.isEmpty {
                parser.feed(ByteBuffer(bytes: rest.prefix(size)))
                rest = rest.dropFirst(size)
                while let event = parser.next() { found.append(event) }
            }
            return found
        }
        let found = events([Int.max])
        try #require(events(pieceSizes(of: bytes)) == found)
        return !found.isEmpty
    }
}
