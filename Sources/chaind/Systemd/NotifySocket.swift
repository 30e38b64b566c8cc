// What systemd gives a service to tell it things by: a socket, and how often it wants to hear of it (sd_notify(3),
// sd_watchdog_enabled(3)).

import Glibc

/// Where systemd listens, as the environment says.
struct NotifySocket: Sendable {
    /// A datagram that was not taken.
    struct SendError: Error, CustomStringConvertible {
        let code: Int32

        /// Whether nobody has read the datagrams before it yet.
        var isFull: Bool { code == EAGAIN || code == ENOBUFS }
        var description: String { String(cString: strerror(code)) }
    }

    /// As it stands in the address: an abstract name begins with a zero byte.
    private let name: [UInt8]
    /// How long systemd waits for a sign of life, in seconds; `nil` if it waits for none.
    let watchdogSeconds: Double?

    /// `nil` where no socket is named, or one that has no such address.
    init?(environment: [String: String], processID: pid_t = getpid()) {
        guard let path = environment["NOTIFY_SOCKET"], path.hasPrefix("/") || path.hasPrefix("@"),
            2..<MemoryLayout.size(ofValue: sockaddr_un().sun_path) ~= path.utf8.count
        else { return nil }
        name = path.hasPrefix("@") ? [0] + path.utf8.dropFirst() : Array(path.utf8)
        let isForUs = environment["WATCHDOG_PID"].map { $0 == String(processID) } ?? true
        let microseconds = environment["WATCHDOG_USEC"].flatMap(UInt64.init) ?? 0
        watchdogSeconds = isForUs && microseconds > 0 ? Double(microseconds) / 1e6 : nil
    }

    /// Sends one state, as `READY=1`, without waiting.
    func send(_ state: String) throws(SendError) {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SendError(code: errno) }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        // The name of an abstract socket has no end but that of the address.
        let size = MemoryLayout.offset(of: \sockaddr_un.sun_path).map { $0 + name.count } ?? 0
        let sent = withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                sendto(
                    descriptor, state, state.utf8.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL), address,
                    socklen_t(size))
            }
        }
        guard sent >= 0 else { throw SendError(code: errno) }
    }
}
