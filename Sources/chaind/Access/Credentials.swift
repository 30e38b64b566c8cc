// The node's certificate, the tokens it takes, and what it shows other members: all from files, which a SIGHUP reads again.

import Logging
import NIOPosix
import NIOSSL
import ServiceLifecycle
import Synchronization
import UnixSignals

/// The files of a node that speaks TLS.
struct TLSFiles: Sendable {
    let certificatePath: String
    let keyPath: String
    /// The authorities that vouch for members, and for clients that have to show a certificate; the system's for members
    /// where it is `nil`.
    let caPath: String?
    /// Whether whoever connects has to show a certificate.
    let requiresClients: Bool

    /// - Throws: `CommandError` naming the file that is not what it should be.
    fileprivate func serverContext() throws(CommandError) -> NIOSSLContext {
        let chain = try PEMFiles.certificates(certificatePath).map { NIOSSLCertificateSource.certificate($0) }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain, privateKey: .privateKey(try PEMFiles.privateKey(keyPath)))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        if requiresClients {
            if let caPath { configuration.trustRoots = .certificates(try PEMFiles.certificates(caPath)) }
            // Clients have no names that a certificate could be held against.
            configuration.certificateVerification = .noHostnameVerification
        }
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw CommandError("\(certificatePath), \(keyPath): the key is not that of the certificate, or of no use")
        }
    }
}

/// What a node has of secrets. All files are read at once: if one of them cannot be, what was read before stays.
final class Credentials: Sendable {
    /// Where they are.
    struct Files: Sendable {
        var tls: TLSFiles?
        /// The tokens that clients and members have to show; nobody has to where it is `nil`.
        var tokensPath: String?
        /// The token that this node shows members.
        var memberTokenPath: String?
    }

    private struct Content: Sendable {
        let serverContext: NIOSSLContext?
        let member: NodeCredentials
        let tokens: TokenFile?

        init(_ files: Files) throws(CommandError) {
            serverContext = try files.tls?.serverContext()
            member = NodeCredentials(
                tls: try files.tls.map { tls throws(CommandError) in
                    try .client(caPath: tls.caPath, certificatePath: tls.certificatePath, keyPath: tls.keyPath)
                },
                token: try files.memberTokenPath.map { path throws(CommandError) in try SmallFile.secret(path) })
            tokens = try files.tokensPath.map { path throws(CommandError) in try TokenFile(path: path) }
        }
    }

    private let files: Files
    private let content: Mutex<Content>

    /// Reads the files. Blocks.
    ///
    /// - Throws: `CommandError` naming the file that is not what it should be.
    init(files: Files) throws(CommandError) {
        self.files = files
        content = Mutex(try Content(files))
    }

    /// Reads the files again. Blocks.
    ///
    /// - Throws: `CommandError` naming the file that is not what it should be.
    func reload() throws(CommandError) {
        let new = try Content(files)
        content.withLock { $0 = new }
    }

    /// What a new connection is served with; `nil` without TLS.
    var serverContext: NIOSSLContext? { content.withLock { $0.serverContext } }
    /// What members are shown.
    var member: NodeCredentials { content.withLock { $0.member } }
    /// The tokens that are taken; `nil` where nobody has to show one.
    var tokens: TokenFile? { content.withLock { $0.tokens } }
}

/// Reads the files again at a SIGHUP.
struct CredentialsReloading: Service {
    let credentials: Credentials
    let logger: Logger

    func run() async throws {
        for await _ in await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown() {
            do {
                try await NIOThreadPool.singleton.runIfActive { try credentials.reload() }
                logger.notice("certificates and tokens were read again")
            } catch {
                logger.error("certificates and tokens stay as they were", metadata: ["reason": "\(error)"])
            }
        }
    }
}
