// Certificates and keys from PEM files (RFC 7468).

import NIOSSL

/// Reads PEM files.
enum PEMFiles {
    /// The certificates of a file.
    ///
    /// - Throws: `CommandError` naming the file if it has none.
    static func certificates(_ path: String) throws(CommandError) -> [NIOSSLCertificate] {
        try SmallFile.checkIsPlain(path)
        let failure = CommandError("\(path): not certificates in a PEM file that can be read")
        do {
            let certificates = try NIOSSLCertificate.fromPEMFile(path)
            guard !certificates.isEmpty else { throw failure }
            return certificates
        } catch {
            throw failure
        }
    }

    /// The key of a file.
    ///
    /// - Throws: `CommandError` naming the file if it is none.
    static func privateKey(_ path: String) throws(CommandError) -> NIOSSLPrivateKey {
        try SmallFile.checkIsPlain(path)
        do {
            return try NIOSSLPrivateKey(file: path, format: .pem)
        } catch {
            throw CommandError("\(path): not a key in a PEM file that can be read")
        }
    }
}

extension TLSConfiguration {
    /// How to connect to others: TLS 1.2 or later, their certificates and names judged.
    ///
    /// - Parameters:
    ///   - caPath: the authorities that vouch for them; the system's where it is `nil`.
    ///   - certificatePath: the certificate that is shown, if any.
    ///   - keyPath: its key.
    /// - Throws: `CommandError` naming the file that is not what it should be.
    static func client(
        caPath: String?, certificatePath: String?, keyPath: String?
    ) throws(CommandError) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        if let caPath { configuration.trustRoots = .certificates(try PEMFiles.certificates(caPath)) }
        switch (certificatePath, keyPath) {
        case (nil, nil): break
        case (let certificatePath?, let keyPath?):
            configuration.certificateChain = try PEMFiles.certificates(certificatePath).map { .certificate($0) }
            configuration.privateKey = .privateKey(try PEMFiles.privateKey(keyPath))
        default: throw CommandError("a certificate and its key go together")
        }
        return configuration
    }
}
