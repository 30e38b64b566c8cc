// What ties an idempotency key to a request, and which bodies are taken for JSON.

import Chain
import Testing

@testable import chaind

@Suite struct AppendContentTests {
    private func content(_ body: String, _ kind: AppendKind, contentType: String? = nil) throws -> AppendContent {
        try AppendContent(Array(body.utf8), contentType: contentType, kind: kind)
    }

    @Test func theSameContentHasTheSameHashHoweverItIsWritten() throws {
        let hash = String(repeating: "a", count: 64)
        let first = try content("{\"data\":\"é\",\"last_hash\":\"\(hash)\"}", .single)
        let second = try content(
            "{ \"last_hash\": \"\(hash.uppercased())\", \"x\": 1, \"data\": \"\\u00e9\" }", .single)
        #expect(first == second)
        #expect(first.requestHash(kind: .single) == second.requestHash(kind: .single))
    }

    @Test func otherContentHasAnotherHash() throws {
        let zero = String(repeating: "0", count: 64)
        let hashes = [
            try content(#"{"data":"ab"}"#, .single).requestHash(kind: .single),
            try content(#"{"data":["ab"]}"#, .batch).requestHash(kind: .batch),
            try content(#"{"data":["a","b"]}"#, .batch).requestHash(kind: .batch),
            try content(#"{"data":["b","a"]}"#, .batch).requestHash(kind: .batch),
            try content(#"{"data":["","ab"]}"#, .batch).requestHash(kind: .batch),
            try content(#"{"data":["ab",""]}"#, .batch).requestHash(kind: .batch),
            try content("{\"data\":\"ab\",\"last_hash\":\"\(zero)\"}", .single).requestHash(kind: .single),
            try content("{\"data\":\"ab\",\"last_hash\":\"\(Block.genesis.hash)\"}", .single)
                .requestHash(kind: .single),
        ]
        #expect(Set(hashes).count == hashes.count)
    }

    @Test(arguments: [
        nil, "application/json", "Application/JSON; charset=utf-8", "application/vnd.blocks+json", "application/json;",
        "application/json ;x=y",
    ])
    func jsonByItsContentType(contentType: String?) throws {
        #expect(try content(#"{"data":"a"}"#, .single, contentType: contentType).texts == ["a"])
    }

    @Test(arguments: ["", "text/plain", "application/x-www-form-urlencoded", "text/json", "application/jsonp", "json"])
    func notJSONByItsContentType(contentType: String) {
        #expect(throws: HTTPFailure.self) { try content(#"{"data":"a"}"#, .single, contentType: contentType) }
    }
}
