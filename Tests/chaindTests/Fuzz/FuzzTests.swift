// Everything that parses, with input that is nearly right, as a seed says: no more than seconds. `make fuzz` gives the same to
// libFuzzer, for longer.

import Foundation
import TestSupport
import Testing

@testable import chaind

@Suite struct FuzzTests {
    @Test(arguments: FuzzTarget.all) func whatIsTakenMeansWhatItSays(target: FuzzTarget) throws {
        for sample in target.samples { #expect(try target.check(sample), "\(String(decoding: sample, as: UTF8.self))") }
        var input = Mutations(target.samples, seed: 1)
        var taken = 0
        for _ in 0..<Mutations.rounds {
            let bytes = input.next()
            do {
                taken += try target.check(bytes) ? 1 : 0
            } catch {
                Issue.record("\(type(of: error)) at the input, in base64: \(Data(bytes).base64EncodedString())")
            }
        }
        #expect(taken > Mutations.rounds / 20)
    }

    /// Whatever comes on a connection: the node goes on, and has what it acknowledged and nothing else.
    @Test func connections() async throws {
        let body = #"{"data": "x"}"#
        let samples = [
            "POST /blocks/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n\(body)",
            "POST /blocks/batch HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "11\r\n{\"data\": [\"a\",\"b\"\r\n2\r\n]}\r\n0\r\n\r\n",
            "GET /blocks/?from=0&limit=2 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /blocks/head HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET /blocks/events?from=0 HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 0-89b5\r\nConnection: close\r\n\r\n",
            "POST /sync/status HTTP/1.1\r\nHost: [::1]:8000\r\nOrigin: http://[::1]:8000\r\nAuthorization: Basic Og==\r\n\r\n{}",
            "GET /sync/stream?after=0&hash=89b5c2eadcfcdbc2661cab5212f78e701af68a8f4881a6272ad5429964fb14f4 HTTP/1.0\r\n\r\n",
        ]
        try await withNode { node async throws in
            var input = Mutations(samples.map { Array($0.utf8) }, seed: 2)
            for _ in 0..<max(200, Mutations.rounds / 50) {
                let connection = try RawConnection(port: node.port)
                do {
                    try await connection.send(input.next())
                    try await Task.sleep(for: .milliseconds(10))
                } catch is TestSupportError {
                    // The node has closed it.
                }
            }
            #expect(try await node.client.get("/blocks/valid").json(ValidationAnswer.self).state == "valid")
            let before = try await node.client.get("/").json(StatusAnswer.self).height
            #expect(try await node.client.post("/blocks/", ["data": "last"]).status == 200)
            let blocks = try await node.client.get("/blocks/").json(BlocksAnswer.self).blocks
            #expect(blocks.count == before + 2 && blocks.last?.data == "last")
        }
    }
}
