// What a command shows a node, and how it judges the node's certificate.

import ArgumentParser
import Foundation

/// The flags of a command that asks a node, and the variables of the environment that stand for them.
struct ShownCredentials: ParsableArguments {
    @Option(help: "A file with the token to show. (environment, for the token itself: CHAIND_TOKEN)")
    var tokenFile: String?

    @Option(
        help: """
            A file with the certificates by which the node's is judged, in PEM. (default: the system's; environment: \
            CHAIND_TLS_CA)
            """)
    var tlsCa: String?

    @Option(help: "A file with the certificate to show, in PEM. (environment: CHAIND_TLS_CERT)") var tlsCert: String?
    @Option(help: "A file with the key of that certificate, in PEM. (environment: CHAIND_TLS_KEY)") var tlsKey: String?

    /// Reads the files.
    ///
    /// - Throws: `CommandError` naming the file that is not what it should be.
    func credentials(
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(CommandError) -> NodeCredentials {
        var credentials = NodeCredentials()
        let environment = environment.filter { !$1.isEmpty }
        let caPath = tlsCa ?? environment["CHAIND_TLS_CA"]
        let certificatePath = tlsCert ?? environment["CHAIND_TLS_CERT"]
        let keyPath = tlsKey ?? environment["CHAIND_TLS_KEY"]
        if caPath != nil || certificatePath != nil || keyPath != nil {
            credentials.tls = try .client(caPath: caPath, certificatePath: certificatePath, keyPath: keyPath)
        }
        credentials.token =
            if let tokenFile { try SmallFile.secret(tokenFile) } else { environment["CHAIND_TOKEN"] }
        return credentials
    }
}
