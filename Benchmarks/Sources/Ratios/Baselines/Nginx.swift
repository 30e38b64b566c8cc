// nginx, which serves a folder.

import Foundation

enum Nginx {
    /// - Returns: `nil` where it is not installed.
    static func start(serving files: String, in folder: String) async throws -> ServerProcess? {
        guard let program = Tool.path("nginx") else { return nil }
        let data = folder + "/nginx"
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
        let port = try ServerProcess.freePort()
        // Its workers give up being root otherwise, and may not come into a folder of root's then.
        let user = getuid() == 0 ? "user root;" : ""
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map { "\($0)_temp_path \(data)/\($0);" }
        try """
        \(user) daemon off; worker_processes 2; pid \(data)/pid;
        events { worker_connections 1024; }
        http {
            access_log off; sendfile on; \(temporary.joined(separator: " "))
            server { listen 127.0.0.1:\(port); root \(files); }
        }
        """.write(toFile: data + "/nginx.conf", atomically: true, encoding: .utf8)
        return try await ServerProcess(
            program, ["-c", data + "/nginx.conf", "-e", data + "/errors"], port: port, log: data + "/log")
    }
}
