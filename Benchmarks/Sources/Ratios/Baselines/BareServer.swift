// The least that a server with the same framework does: it reads a request and answers a constant.

import ArgumentParser
import Foundation
import Hummingbird
import NIOCore

struct BareServer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bare-server", abstract: "Answer every request with a constant, as chaind's size.")

    @Option var port: Int

    func run() async throws {
        let text = String(repeating: "x", count: 64)
        let hash = String(repeating: "0", count: 64)
        let block =
            #"{"height":1000000,"timestamp":1700000000,"data":"\#(text)","previous_hash":"\#(hash)","hash":"\#(hash)"}"#
        let (one, blocks) = (ByteBuffer(string: block), ByteBuffer(string: #"{"blocks":[\#(block)]}"#))
        let router = Router()
        router.get("/blocks/:height") { _, _ in BareServer.answer(one) }
        router.post("/blocks/") { request, _ in
            _ = try await request.body.collect(upTo: 1 << 20)
            return BareServer.answer(blocks)
        }
        try await Application(
            router: router,
            configuration: .init(address: .hostname("127.0.0.1", port: port))
        ).runService()
    }

    private static func answer(_ body: ByteBuffer) -> Response {
        Response(status: .ok, headers: [.contentType: "application/json"], body: .init(byteBuffer: body))
    }

    /// Starts it as a process.
    static func start(in folder: String) async throws -> ServerProcess {
        let port = try ServerProcess.freePort()
        return try await ServerProcess(
            try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"),
            ["bare-server", "--port", "\(port)"], port: port, log: folder + "/bare.log")
    }
}
