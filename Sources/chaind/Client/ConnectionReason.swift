// What is said of connections that fail, in a line.

import AsyncHTTPClient
import Glibc
import NIOCore
import NIOPosix
import NIOSSL

/// Why there is no connection, or it broke, in the system's words where they are its.
func connectionReason(of error: any Error) -> String {
    switch error {
    case let error as IOError: String(cString: strerror(error.errnoCode))
    case let error as NIOConnectionError:
        error.connectionErrors.last.map { connectionReason(of: $0.error) } ?? "\(error.host) is not a known host"
    case let error as HTTPClientError: error.shortDescription
    case let error as NIOSSLExtraError where error == .failedToValidateHostname: "its certificate is for another name"
    case NIOSSLError.handshakeFailed(let error):
        // The library's text names its own source files.
        switch "\(error)" {
        case let text where text.contains("CERTIFICATE_VERIFY_FAILED"):
            "no authority that is trusted vouches for its certificate, or it is not of today: see tls-ca"
        case let text where text.contains("WRONG_VERSION_NUMBER"): "it does not speak TLS"
        case let text where text.contains("ALERT"): "it refused the greeting of TLS: it may want a certificate"
        default: "the greeting of TLS failed"
        }
    case is NIOSSLError, is BoringSSLError: "TLS failed"
    default: oneLine("\(error)")
    }
}
