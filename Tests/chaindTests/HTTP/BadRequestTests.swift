// What bad requests get: the status and the exact answer. Nothing is stored, and the node goes on.

import TestSupport
import Testing

@Suite struct BadRequestTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var method = "POST"
        var path = "/blocks/"
        var fields: [String: String] = [:]
        var body: String?
        var status = 422
        let answer: String

        var testDescription: String { "\(method) \(path) \(body?.prefix(60) ?? "") \(fields)" }

        static func fault(_ location: String, _ message: String, _ type: String) -> String {
            "{\"detail\":[{\"loc\":[\(location)],\"msg\":\"\(message)\",\"type\":\"\(type)\"}]}"
        }
    }

    private static let missingBody = Case.fault("\"body\"", "field required", "value_error.missing")
    private static let missingData = Case.fault("\"body\",\"data\"", "field required", "value_error.missing")
    private static let notObject = Case.fault("\"body\"", "value is not a valid dict", "type_error.dict")
    private static let notText = Case.fault("\"body\",\"data\"", "str type expected", "type_error.str")
    private static let null = Case.fault(
        "\"body\",\"data\"", "none is not an allowed value", "type_error.none.not_allowed")
    private static let notList = Case.fault("\"body\",\"data\"", "value is not a valid list", "type_error.list")
    private static let notInteger = "value is not a valid integer"
    private static let notHash = Case.fault(
        "\"body\",\"last_hash\"", #"string does not match regex \"^[0-9a-fA-F]{64}$\""#, "value_error.str.regex")
    private static let notBlock = Case.fault(
        "\"path\",\"block\"", "value is neither a height nor a hash of 64 hexadecimal digits", "value_error")
    private static let keyFault = Case.fault(
        "\"header\",\"idempotency-key\"", "ensure this value has 1 to 64 printable ASCII characters", "value_error")
    private static let methodNotAllowed = #"{"detail":"Method Not Allowed"}"#
    private static let notFound = #"{"detail":"Not Found"}"#
    private static let unknownHash = String(repeating: "a", count: 64)

    static let cases: [Case] = [
        Case(answer: missingBody),
        Case(body: "", answer: missingBody),
        Case(body: "{}", answer: missingData),
        Case(body: #"{"text":"a"}"#, answer: missingData),
        Case(body: "[]", answer: notObject),
        Case(body: "\"a\"", answer: notObject),
        Case(body: #"{"data":1}"#, answer: notText),
        Case(body: #"{"data":["a"]}"#, answer: notText),
        Case(body: #"{"data":{}}"#, answer: notText),
        Case(body: #"{"data":true}"#, answer: notText),
        Case(body: #"{"data":null}"#, answer: null),
        Case(body: #"{"data":"a","last_hash":"zz"}"#, answer: notHash),
        Case(body: "{\"data\":\"a\",\"last_hash\":\"\(unknownHash)0\"}", answer: notHash),
        Case(body: #"{"data":"a","last_hash":""}"#, answer: notHash),
        Case(
            body: #"{"data":"a","last_hash":5}"#,
            answer: Case.fault("\"body\",\"last_hash\"", "str type expected", "type_error.str")),
        Case(
            body: #"{"data":"a""#,
            answer: Case.fault(
                "\"body\",11", "Expecting ',' delimiter: line 1 column 12 (char 11)", "value_error.jsondecode")),
        Case(
            body: "data=a",
            answer: Case.fault("\"body\",0", "Expecting value: line 1 column 1 (char 0)", "value_error.jsondecode")),
        Case(
            body: #"{"data":"\ud800"}"#,
            answer: Case.fault(
                "\"body\",9", "Half a surrogate pair: line 1 column 10 (char 9)", "value_error.jsondecode")),
        Case(fields: ["Content-Type": "text/plain"], body: #"{"data":"a"}"#, answer: notObject),
        Case(
            fields: ["Content-Type": "application/x-www-form-urlencoded"], body: #"{"data":"a"}"#, answer: notObject),
        Case(fields: ["Idempotency-Key": ""], body: #"{"data":"a"}"#, answer: keyFault),
        Case(
            fields: ["Idempotency-Key": String(repeating: "k", count: 65)], body: #"{"data":"a"}"#, answer: keyFault),
        Case(fields: ["Idempotency-Key": "schlüssel"], body: #"{"data":"a"}"#, answer: keyFault),

        Case(path: "/blocks/batch", body: #"{"data":"a"}"#, answer: notList),
        Case(path: "/blocks/batch", body: #"{"data":7}"#, answer: notList),
        Case(path: "/blocks/batch", body: #"{"data":null}"#, answer: null),
        Case(path: "/blocks/batch", body: "{}", answer: missingData),
        Case(
            path: "/blocks/batch", body: #"{"data":["a",1]}"#,
            answer: Case.fault("\"body\",\"data\",1", "str type expected", "type_error.str")),
        Case(
            path: "/blocks/batch", body: #"{"data":[null]}"#,
            answer: Case.fault(
                "\"body\",\"data\",0", "none is not an allowed value", "type_error.none.not_allowed")),
        Case(
            path: "/blocks/batch", body: #"{"data":[]}"#,
            answer: Case.fault(
                "\"body\",\"data\"", "ensure this value has at least 1 items", "value_error.list.min_items")),
        Case(
            path: "/blocks/batch",
            body: "{\"data\":[\(Array(repeating: "\"\"", count: 10_001).joined(separator: ","))]}",
            answer: Case.fault(
                "\"body\",\"data\"", "ensure this value has at most 10000 items", "value_error.list.max_items")),

        Case(
            body: "{\"data\":\"\(String(repeating: "a", count: 1 << 20 + 1))\"}", status: 413,
            answer: #"{"detail":"data is limited to 1048576 bytes of UTF-8"}"#),
        Case(
            body: "{\"data\":\"\(String(repeating: "a", count: 6 << 20 + 4_096))\"}", status: 413,
            answer: #"{"detail":"data is limited to 1048576 bytes of UTF-8"}"#),
        Case(
            path: "/blocks/batch", body: "{\"data\":[\"\",\"\(String(repeating: "é", count: 1 << 19 + 1))\"]}",
            status: 413, answer: #"{"detail":"data is limited to 1048576 bytes of UTF-8"}"#),
        Case(
            path: "/blocks/batch",
            body:
                "{\"data\":[\(Array(repeating: "\"\(String(repeating: "a", count: 1 << 20))\"", count: 9).joined(separator: ","))]}",
            status: 413, answer: #"{"detail":"data is limited to 8388608 bytes of UTF-8"}"#),

        Case(
            method: "GET", path: "/blocks/?limit=x",
            answer: Case.fault("\"query\",\"limit\"", notInteger, "type_error.integer")),
        Case(
            method: "GET", path: "/blocks/?from=",
            answer: Case.fault("\"query\",\"from\"", notInteger, "type_error.integer")),
        Case(
            method: "GET", path: "/blocks/?since=1.5",
            answer: Case.fault("\"query\",\"since\"", notInteger, "type_error.integer")),
        Case(
            method: "GET", path: "/blocks/?from=-1",
            answer: Case.fault(
                "\"query\",\"from\"", "ensure this value is greater than or equal to 0", "value_error.number.not_ge")),
        Case(
            method: "GET", path: "/blocks/?limit=-99999999999999999999",
            answer: Case.fault(
                "\"query\",\"limit\"", "ensure this value is greater than or equal to 0", "value_error.number.not_ge")
        ),
        Case(
            method: "GET", path: "/blocks/?from=9223372036854775808",
            answer: Case.fault(
                "\"query\",\"from\"", "ensure this value is less than or equal to 9223372036854775807",
                "value_error.number.not_le")),
        Case(
            method: "GET", path: "/blocks/?from=0&since=0",
            answer: Case.fault("\"query\",\"since\"", "from and since exclude each other", "value_error")),
        Case(method: "GET", path: "/blocks/x", answer: notBlock),
        Case(method: "GET", path: "/blocks/-1", answer: notBlock),
        Case(method: "GET", path: "/blocks/1.5", answer: notBlock),
        Case(method: "GET", path: "/blocks/%D9%A1", answer: notBlock),
        Case(method: "GET", path: "/blocks/1", status: 404, answer: #"{"detail":"Block 1 not found"}"#),
        Case(
            method: "GET", path: "/blocks/99999999999999999999", status: 404,
            answer: #"{"detail":"Block not found"}"#),
        Case(
            method: "GET", path: "/blocks/\(unknownHash)", status: 404,
            answer: "{\"detail\":\"Block \(unknownHash) not found\"}"),

        Case(method: "GET", path: "/nothing", status: 404, answer: notFound),
        Case(path: "/nothing", body: "{}", status: 404, answer: notFound),
        Case(method: "GET", path: "/blocks/0/1", status: 404, answer: notFound),
        Case(method: "PUT", body: "{}", status: 405, answer: methodNotAllowed),
        Case(method: "DELETE", path: "/blocks/0", status: 405, answer: methodNotAllowed),
        Case(method: "GET", path: "/blocks/batch", status: 405, answer: methodNotAllowed),
        Case(path: "/", body: "{}", status: 405, answer: methodNotAllowed),
        Case(method: "PROPFIND", path: "/blocks/head", status: 405, answer: methodNotAllowed),
    ]

    /// One node for all, so that each bad request finds a node that took the ones before.
    @Test func badRequestsAreToldWhatIsWrong() async throws {
        try await withNode { node async throws in
            for test in BadRequestTests.cases {
                let answer = try await node.client.send(
                    test.method, test.path, fields: test.fields, body: test.body.map { Array($0.utf8) })
                #expect(answer.status == test.status, "\(test.testDescription)")
                #expect(answer.text == test.answer, "\(test.testDescription)")
                #expect(answer.fields["content-type"] == "application/json")
            }
            let invalid = Array("{\"data\":\"".utf8) + [0xC3, 0x28] + Array("\"}".utf8)
            let answer = try await node.client.send("POST", "/blocks/", body: invalid)
            #expect(answer.status == 422)
            #expect(
                answer.text
                    == Case.fault("\"body\",9", "Invalid UTF-8: line 1 column 10 (char 9)", "value_error.jsondecode"))

            #expect(try await node.client.get("/").json(StatusAnswer.self).height == 0)
            #expect(try await node.client.post("/blocks/", ["data": "x"]).status == 200)
            #expect(node.error == "", "A client's mistakes are nothing to log.")
        }
    }

    @Test(arguments: [
        ("/", "GET, HEAD"), ("/blocks/", "GET, HEAD, POST"), ("/blocks/batch", "POST"), ("/blocks/head", "GET, HEAD"),
        ("/blocks/valid", "GET, HEAD"), ("/blocks/7", "GET, HEAD"),
    ])
    func aWrongMethodIsToldTheRightOnes(path: String, methods: String) async throws {
        try await withNode { node async throws in
            #expect(try await node.client.send("PATCH", path).fields["allow"] == methods)
        }
    }
}
