// An authority of a test's own: it makes certificates as an operator would, with openssl.

import Foundation
import NIOSSL

/// Certificates of one authority, in a folder.
public struct Authority: Sendable {
    private let directory: String

    /// The certificate of the authority.
    public var path: String { directory + "/ca.crt" }

    /// Makes an authority.
    public init(directory: String) async throws {
        self.directory = directory
        try await openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj",
            "/CN=authority", "-keyout", directory + "/ca.key", "-out", path)
    }

    /// Makes a certificate for this machine, good for servers and clients.
    public func issue(_ name: String) async throws -> (certificatePath: String, keyPath: String) {
        let (certificatePath, keyPath) = (directory + "/\(name).crt", directory + "/\(name).key")
        try await openssl(
            "req", "-x509", "-CA", path, "-CAkey", directory + "/ca.key", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=\(name)", "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout",
            keyPath, "-out", certificatePath)
        return (certificatePath, keyPath)
    }

    /// How a client connects that trusts this authority, and shows a certificate if it has one.
    public func tls(showing identity: (certificatePath: String, keyPath: String)? = nil) throws -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .file(path)
        if let identity {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(identity.certificatePath).map {
                .certificate($0)
            }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: identity.keyPath, format: .pem))
        }
        return configuration
    }

    private func openssl(_ arguments: String...) async throws {
        let result = try await runCommand(["openssl"] + arguments)
        guard result.status == 0 else { throw TestSupportError("openssl: \(result.error)") }
    }
}
