// Finds a port where nobody listens, for a node that is to take any.

import Glibc
import NIOCore

/// Ports of this machine.
enum FreePort {
    /// A port that is free on a host.
    ///
    /// - Throws: `CommandError` if the host is not this machine's, or has no port left.
    static func find(host: String) throws(CommandError) -> Int {
        do {
            let address = try SocketAddress.makeAddressResolvingHost(host, port: 0)
            return try address.withSockAddr { pointer, size in
                let descriptor = socket(Int32(pointer.pointee.sa_family), Int32(SOCK_STREAM.rawValue), 0)
                guard descriptor >= 0 else { throw failure(host) }
                defer { close(descriptor) }
                var bound = sockaddr_storage()
                var boundSize = socklen_t(MemoryLayout<sockaddr_storage>.size)
                let code = withUnsafeMutablePointer(to: &bound) { storage in
                    storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
                        bind(descriptor, pointer, socklen_t(size)) == 0 ? getsockname(descriptor, name, &boundSize) : -1
                    }
                }
                guard code == 0 else { throw failure(host) }
                return withUnsafePointer(to: &bound) { storage in
                    // The port stands at one place for both families.
                    storage.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                        Int(in_port_t(bigEndian: $0.pointee.sin_port))
                    }
                }
            }
        } catch let error as CommandError {
            throw error
        } catch {
            throw CommandError("\(host): cannot listen: \(error)")
        }
    }

    private static func failure(_ host: String) -> CommandError {
        CommandError("\(host): cannot listen: \(String(cString: strerror(errno)))")
    }
}
