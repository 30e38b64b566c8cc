// PostgreSQL: an append is an INSERT into a table, by a prepared statement, on disk before it is answered.

import CBaselines
import Foundation

/// A cluster of its own, until `stop()`.
struct PostgreSQL {
    let process: ServerProcess
    private let data: String
    private static let user = "postgres"

    /// - Returns: `nil` where it is not installed.
    static func start() async throws -> PostgreSQL? {
        guard let program = Tool.path("postgres"), let initialization = Tool.path("initdb") else { return nil }
        // It refuses to run as root, and its user may not come into a folder of root's: so not with the other files.
        let data = "/var/tmp/chaind-postgresql-\(ProcessInfo.processInfo.processIdentifier)"
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: false)
        do {
            if getuid() == 0 { try Tool.run("chown", [user, data]) }
            try Tool.run(
                initialization, ["-D", data + "/cluster", "-U", user, "--auth", "trust", "-E", "UTF8"], user: user)
            let port = try ServerProcess.freePort()
            let process = try await ServerProcess(
                program,
                [
                    "-D", data + "/cluster", "-p", "\(port)", "-c", "listen_addresses=127.0.0.1",
                    "-c", "unix_socket_directories=", "-c", "synchronous_commit=on",
                ], port: port, user: user, log: data + "/log")
            let server = PostgreSQL(process: process, data: data)
            try server.query("CREATE TABLE appends(id bigserial PRIMARY KEY, data text NOT NULL)")
            return server
        } catch {
            try? FileManager.default.removeItem(atPath: data)
            throw error
        }
    }

    func stop() {
        process.stop()
        try? FileManager.default.removeItem(atPath: data)
    }

    @discardableResult
    func query(_ sql: String) throws -> String {
        try Tool.run("psql", ["-h", "127.0.0.1", "-p", "\(process.port)", "-U", Self.user, "-Atqc", sql])
    }

    /// https://www.postgresql.org/docs/15/protocol-message-formats.html
    func load(connections: Int) -> Load {
        let startup = PostgreSQL.message(
            nil, [0, 3, 0, 0] + Array("user\0\(Self.user)\0database\0\(Self.user)\0\0".utf8))
        let parse = PostgreSQL.message("P", Array("i\0INSERT INTO appends(data) VALUES ($1)\0\0\0".utf8))
        let bind = PostgreSQL.message("B", Array("\0i\0\0\0\0\u{1}\0\0\0\u{40}\(loadText)\0\0".utf8))
        let execute = PostgreSQL.message("E", Array("\0\0\0\0\0".utf8))
        let sync = PostgreSQL.message("S", [])
        var load = Load(ports: [process.port], connections: connections, requests: [LoadRequest(bind + execute + sync)])
        load.protocolUsed = load_postgresql
        // The startup is answered when it is ready for a query, the statement's preparation by the sync.
        (load.opening, load.openingReplies) = (startup + parse + sync, 2)
        return load
    }

    private static func message(_ type: Character?, _ content: [UInt8]) -> [UInt8] {
        let size = UInt32(content.count + 4)
        let length = (0..<4).map { UInt8(truncatingIfNeeded: size >> (24 - 8 * $0)) }
        return (type?.asciiValue.map { [$0] } ?? []) + length + content
    }
}
