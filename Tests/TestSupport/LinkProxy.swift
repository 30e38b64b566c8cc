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
    /// Each connection is reset once so many bytes have gone through it in one direction.
    case brittle(sizeBytes: Int)
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
            guard before != state, state == .cut || before == .answersLost else { return [ProxiedConnection]() }
            return shared.connections.values.filter { $0.caller == caller }
        }
        for connection in spoilt { connection.reset() }
    }

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

    fileprivate func link(of caller: Int?) -> LinkState {
        shared.withLock { shared in caller.flatMap { shared.links[$0] } ?? .open }
    }

    fileprivate func ended(_ connection: ProxiedConnection) {
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

/// One connection through a proxy. It owns the two sockets, and closes them once both directions have ended.
private final class ProxiedConnection: Sendable {
    let caller: Int?
    private let proxy: LinkProxy
    private let client: Int32
    private let node: Int32
    private let state = Mutex((directions: 2, isReset: false))

    init(proxy: LinkProxy, caller: Int?, client: Int32, node: Int32) {
        self.proxy = proxy
        self.caller = caller
        self.client = client
        self.node = node
        for descriptor in [client, node] {
            var on: Int32 = 1
            setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    func start() {
        Thread.detachNewThread { [self] in pass(from: client, to: node, areAnswers: false) }
        Thread.detachNewThread { [self] in pass(from: node, to: client, areAnswers: true) }
    }

    /// Ends both directions at once, without an orderly close.
    func reset() {
        state.withLock { state in
            guard state.directions > 0 else { return }
            state.isReset = true
            for descriptor in [client, node] {
                setNoLinger(descriptor)
                shutdown(descriptor, Int32(SHUT_RDWR))
            }
        }
    }

    private func pass(from source: Int32, to target: Int32, areAnswers: Bool) {
        defer { directionEnded() }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var passedBytes = 0
        while true {
            let count = recv(source, &buffer, buffer.count, 0)
            guard count >= 0 else { return reset() }
            guard let link = waitForLink() else { return }
            // The end of a direction is lost like anything else.
            if link == .answersLost, areAnswers { continue }
            guard count > 0 else {
                shutdown(target, Int32(SHUT_WR))
                return
            }
            guard sendAll(buffer[..<count], to: target) else { return reset() }
            passedBytes += count
            if case .brittle(let sizeBytes) = link, passedBytes >= sizeBytes { return reset() }
        }
    }

    /// Holds what came as long as the link says; `nil` once the connection is reset.
    private func waitForLink() -> LinkState? {
        while !state.withLock({ $0.isReset }) {
            switch proxy.link(of: caller) {
            case .frozen: usleep(5_000)
            case .slow(let milliseconds):
                usleep(UInt32(milliseconds) * 1_000)
                return .slow(milliseconds: milliseconds)
            case let link: return link
            }
        }
        return nil
    }

    private func directionEnded() {
        let isOver = state.withLock { state in
            state.directions -= 1
            guard state.directions == 0 else { return false }
            Glibc.close(client)
            Glibc.close(node)
            return true
        }
        if isOver { proxy.ended(self) }
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

private func setNoLinger(_ descriptor: Int32) {
    var linger = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
}

private func resetAndClose(_ descriptor: Int32) {
    setNoLinger(descriptor)
    close(descriptor)
}

private func sendAll(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) -> Bool {
    var rest = bytes
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        guard count > 0 else { return false }
        rest = rest.dropFirst(count)
    }
    return true
}

private func peerPort(of descriptor: Int32) -> Int {
    var address = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &size) }
    }
    return code == 0 ? Int(in_port_t(bigEndian: address.sin_port)) : 0
}
