// The way to one node of a group: a TCP proxy on 127.0.0.1 that treats the connections of each other node as a test says.

import Foundation
import Synchronization

/// What a link from one node to another does with connections, and with what goes through them.
public enum LinkState: Hashable, Sendable {
    case open
    /// Connections are reset, those that are there and those that come.
    case cut
    /// Connections are accepted and stay, but nothing goes through them before the link is set otherwise.
    case frozen
    /// Each piece is kept for a while.
    case slow(milliseconds: Int)
    /// Half of it: requests arrive, and answers are lost.
    case answersLost
    /// Half-open: the connections that are there stay, but nothing goes through them ever again; those that come are open.
    case halfOpen
    /// Each connection is reset once so many bytes have gone through it in one direction.
    case brittle(sizeBytes: Int)
}

/// What has gone through a link.
public struct LinkTraffic: Hashable, Sendable {
    /// How often the caller sent something after it had been answered.
    public var requests: Int
    /// Bytes in both directions together.
    public var sizeBytes: Int

    public init(requests: Int = 0, sizeBytes: Int = 0) {
        self.requests = requests
        self.sizeBytes = sizeBytes
    }

    /// What has gone since.
    public static func - (now: LinkTraffic, before: LinkTraffic) -> LinkTraffic {
        LinkTraffic(requests: now.requests - before.requests, sizeBytes: now.sizeBytes - before.sizeBytes)
    }
}

/// Listens on a port of its own and passes on to a node's. Who connects is told by the process that has the socket.
///
/// It owns its sockets, and two threads for each connection, which end with it.
final class LinkProxy: Sendable {
    /// The port that the others are told.
    let port: Int
    private let nodePort: Int
    private let listener: Int32
    private let callers: @Sendable () -> [pid_t?]
    private let shared = Mutex(Shared())

    private struct Shared {
        /// By the caller's index; a link that is not named is open.
        var links: [Int: LinkState] = [:]
        /// By the caller's index.
        var traffic: [Int: LinkTraffic] = [:]
        var connections: [ObjectIdentifier: ProxiedConnection] = [:]
        var isClosed = false
    }

    /// Starts to listen.
    ///
    /// - Parameter callers: the processes of the group now, by the indices of their links.
    init(port: Int, nodePort: Int, callers: @escaping @Sendable () -> [pid_t?]) throws {
        self.port = port
        self.nodePort = nodePort
        self.callers = callers
        listener = try listen(port: port)
        Thread.detachNewThread { [self] in accept() }
    }

    /// Sets the link from one caller.
    func setLink(from caller: Int, to state: LinkState) {
        let spoilt = shared.withLock { shared in
            let before = shared.links.updateValue(state, forKey: caller) ?? .open
            guard before != state, [.cut, .halfOpen].contains(state) || before == .answersLost else {
                return [ProxiedConnection]()
            }
            return shared.connections.values.filter { $0.caller == caller }
        }
        for connection in spoilt { state == .halfOpen ? connection.fallSilent() : connection.reset() }
    }

    /// What has gone through the link from a caller so far.
    func traffic(from caller: Int) -> LinkTraffic { shared.withLock { $0.traffic[caller] ?? LinkTraffic() } }

    /// Ends all connections, and takes no more.
    func close() {
        let connections = shared.withLock { shared in
            shared.isClosed = true
            return Array(shared.connections.values)
        }
        // Wakes the thread that accepts, and that one closes it.
        shutdown(listener, Int32(SHUT_RDWR))
        for connection in connections { connection.reset() }
    }

    func link(of caller: Int?) -> LinkState {
        shared.withLock { shared in caller.flatMap { shared.links[$0] } ?? .open }
    }

    /// Notes what has gone through a connection.
    func passed(_ sizeBytes: Int, isNewRequest: Bool, from caller: Int?) {
        guard let caller else { return }
        shared.withLock { shared in
            shared.traffic[caller, default: LinkTraffic()].sizeBytes += sizeBytes
            if isNewRequest { shared.traffic[caller, default: LinkTraffic()].requests += 1 }
        }
    }

    func ended(_ connection: ProxiedConnection) {
        shared.withLock { $0.connections[ObjectIdentifier(connection)] = nil }
    }

    private func accept() {
        defer { Glibc.close(listener) }
        while true {
            let client = Glibc.accept(listener, nil, nil)
            if shared.withLock({ $0.isClosed }) {
                if client >= 0 { resetAndClose(client) }
                return
            }
            guard client >= 0 else {
                // Out of descriptors, perhaps; not for long.
                usleep(10_000)
                continue
            }
            _ = fcntl(client, F_SETFD, FD_CLOEXEC)
            let processID = ownerOfConnection(from: peerPort(of: client), to: port, among: callers().compactMap { $0 })
            let caller = processID.flatMap { callers().firstIndex(of: $0) }
            guard link(of: caller) != .cut, let node = connectToNode() else {
                resetAndClose(client)
                continue
            }
            let connection = ProxiedConnection(proxy: self, caller: caller, client: client, node: node)
            let isKept = shared.withLock { shared in
                shared.connections[ObjectIdentifier(connection)] = connection
                return !shared.isClosed && caller.flatMap { shared.links[$0] } != .cut
            }
            connection.start()
            if !isKept { connection.reset() }
        }
    }

    private func connectToNode() -> Int32? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        guard withLoopbackAddress(port: nodePort, { connect(descriptor, $0, $1) }) == 0 else {
            Glibc.close(descriptor)
            return nil
        }
        return descriptor
    }
}

// MARK: Sockets

private func listen(port: Int) throws -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw TestSupportError("socket: \(String(cString: strerror(errno)))") }
    var on: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    guard withLoopbackAddress(port: port, { bind(descriptor, $0, $1) }) == 0, Glibc.listen(descriptor, 128) == 0 else {
        let reason = String(cString: strerror(errno))
        close(descriptor)
        throw TestSupportError("listening on port \(port): \(reason)")
    }
    return descriptor
}

private func peerPort(of descriptor: Int32) -> Int {
    var address = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &size) }
    }
    return code == 0 ? Int(in_port_t(bigEndian: address.sin_port)) : 0
}
