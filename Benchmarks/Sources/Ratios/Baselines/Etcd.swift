// etcd, one node: an append is a new key, put by gRPC, on disk before it is answered.

import CBaselines
import Foundation

enum Etcd {
    /// - Returns: `nil` where it is not installed.
    static func start(in folder: String) async throws -> ServerProcess? {
        guard let program = Tool.path("etcd") else { return nil }
        let data = folder + "/etcd"
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
        let port = try ServerProcess.freePort()
        let (clients, peers) = ("http://127.0.0.1:\(port)", "http://127.0.0.1:\(try ServerProcess.freePort())")
        return try await ServerProcess(
            program,
            [
                "--data-dir", data + "/data", "--listen-client-urls", clients, "--advertise-client-urls", clients,
                "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers,
                "--initial-cluster", "default=\(peers)", "--log-level", "error",
            ], port: port, log: data + "/log")
    }

    /// gRPC itself: the JSON gateway would pass each request on to it, at twice the cost.
    /// https://www.rfc-editor.org/rfc/rfc9113#section-4.1 https://www.rfc-editor.org/rfc/rfc7541#appendix-A
    static func load(port: Int, connections: Int) -> Load {
        // PutRequest: key and value, as the fields 1 and 2 with lengths.
        let key = Array("blocks/############".utf8)
        let put = [0x0A, UInt8(key.count)] + key + [0x12, 64] + Array(String(repeating: "x", count: 64).utf8)
        let message = [0, 0, 0, 0, UInt8(put.count)] + put
        // POST, http, and four fields that are not to be kept: path, authority and content type by their places in
        // HPACK's table, and "te".
        let fields =
            [0x83, 0x86, 0x04] + text("/etcdserverpb.KV/Put") + [0x01] + text("localhost")
            + [0x0F, 0x10] + text("application/grpc") + [0x00] + text("te") + text("trailers")
        let request = frame(type: 1, flags: 4, fields) + frame(type: 0, flags: 1, message)
        // No settings, theirs accepted, and no limit for all that is received.
        let opening =
            Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + frame(type: 4, flags: 0, []) + frame(type: 4, flags: 1, [])
            + frame(type: 8, flags: 0, [0x7F, 0, 0, 0])
        var load = Load(ports: [port], connections: connections, requests: [LoadRequest(request)])
        load.protocolUsed = load_grpc
        (load.opening, load.openingReplies) = (opening, 1)
        return load
    }

    private static func text(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + Array(text.utf8) }

    /// A frame of stream 0; the client numbers those of a request.
    private static func frame(type: UInt8, flags: UInt8, _ content: [UInt8]) -> [UInt8] {
        [0, UInt8(content.count >> 8), UInt8(content.count & 0xFF), type, flags, 0, 0, 0, 0] + content
    }
}
