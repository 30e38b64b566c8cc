// What is said of connections that fail, in a line.

import AsyncHTTPClient
import Glibc
import NIOCore
import NIOPosix

/// Why there is no connection, or it broke, in the system's words where they are its.
func connectionReason(of error: any Error) -> String {
    switch error {
    case let error as IOError: String(cString: strerror(error.errnoCode))
    case let error as NIOConnectionError:
        error.connectionErrors.last.map { connectionReason(of: $0.error) } ?? "\(error.host) is not a known host"
    case let error as HTTPClientError: error.shortDescription
    default: oneLine("\(error)")
    }
}
