// What a proxy does with one connection: passes on what comes in both directions as its link says.

import Foundation
import Synchronization

/// One connection through a proxy. It owns the two sockets, and closes them once both directions have ended.
final class ProxiedConnection: Sendable {
    let caller: Int?
    private let proxy: LinkProxy
    private let client: Int32
    private let node: Int32
    private let state = Mutex(State())

    private struct State {
        var directions = 2
        var isReset = false
        var isSilent = false
        /// Whether the node has to answer something.
        var isAsked = false
    }

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

    /// Lets nothing through any more, and tells neither end.
    func fallSilent() { state.withLock { $0.isSilent = true } }

    private func pass(from source: Int32, to target: Int32, areAnswers: Bool) {
        defer { directionEnded() }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var passedBytes = 0
        while true {
            let count = recv(source, &buffer, buffer.count, 0)
            guard count >= 0 else { return reset() }
            let isNewRequest = count > 0 && turns(toAnswers: areAnswers)
            guard let link = waitForLink() else { return }
            // The end of a direction is lost like anything else.
            if link == .answersLost, areAnswers { continue }
            guard count > 0 else {
                shutdown(target, Int32(SHUT_WR))
                return
            }
            guard sendAll(buffer[..<count], to: target) else { return reset() }
            proxy.passed(count, isNewRequest: isNewRequest, from: caller)
            passedBytes += count
            if case .brittle(let sizeBytes) = link, passedBytes >= sizeBytes { return reset() }
        }
    }

    /// Notes who speaks.
    ///
    /// - Returns: whether a request begins with that.
    private func turns(toAnswers areAnswers: Bool) -> Bool {
        state.withLock { state in
            defer { state.isAsked = !areAnswers }
            return !areAnswers && !state.isAsked
        }
    }

    /// Holds what came as long as the link says; `nil` once the connection is reset.
    private func waitForLink() -> LinkState? {
        while true {
            let (isReset, isSilent) = state.withLock { ($0.isReset, $0.isSilent) }
            if isReset { return nil }
            switch isSilent ? .frozen : proxy.link(of: caller) {
            case .frozen: usleep(5_000)
            case .slow(let milliseconds):
                usleep(UInt32(milliseconds) * 1_000)
                return .slow(milliseconds: milliseconds)
            case let link: return link
            }
        }
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

private func setNoLinger(_ descriptor: Int32) {
    var linger = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
}

func resetAndClose(_ descriptor: Int32) {
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
