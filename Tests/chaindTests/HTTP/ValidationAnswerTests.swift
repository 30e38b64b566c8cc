// The answer of a validation, as programs and people read it.

import Testing

@testable import Chain
@testable import chaind

struct ValidationAnswerTests {
    @Test func ofAValidList() {
        let answer = ValidationAnswer(report: ValidationReport(height: 4, blocks: 5, fault: nil), seconds: 0.0123456)
        #expect(answer.json == #"{"state":"valid","height":4,"blocks":5,"seconds":0.012,"fault":null}"#)
        #expect(answer.text == "valid up to height 4: 5 blocks in 0.012 s (405 blocks/s)")
    }

    @Test func ofAnInvalidList() {
        let fault = ValidationFault(height: 3, kind: .hash, expected: "a\"\\\n", found: "b")
        let answer = ValidationAnswer(report: ValidationReport(height: 4, blocks: 3, fault: fault), seconds: 0)
        #expect(
            answer.json == #"{"state":"invalid","height":4,"blocks":3,"seconds":0.0,"#
                + #""fault":{"height":3,"kind":"hash","expected":"a\"\\\u000a","found":"b"}}"#)
        #expect(answer.text.hasPrefix("invalid at height 3, hash: expected a"))
    }
}
