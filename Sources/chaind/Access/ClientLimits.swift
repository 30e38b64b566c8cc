// What one client may take: connections and requests, counted by its address.

import NIOCore
import Synchronization

/// The address of a client, as far as clients are told apart: one of IPv4, or a network of IPv6 of 64 bits, in which a client
/// can choose its address.
struct ClientAddress: Hashable, Sendable {
    private let bits: UInt64
    private let isIPv4: Bool

    init?(_ address: SocketAddress?) {
        switch address {
        case .v4(let address):
            bits = UInt64(address.address.sin_addr.s_addr)
            isIPv4 = true
        case .v6(let address):
            let (high, low) = withUnsafeBytes(of: address.address.sin6_addr) {
                ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            }
            // ::ffff:a.b.c.d is IPv4 (RFC 4291, section 2.5.5.2).
            isIPv4 = high == 0 && UInt64(bigEndian: low) >> 32 == 0xFFFF
            bits = isIPv4 ? UInt64(UInt32(UInt64(bigEndian: low) & 0xFFFF_FFFF).bigEndian) : high
        case .unixDomainSocket, nil: return nil
        }
    }
}

extension ClientAddress {
    /// The client at an address; `nil` for this machine by the address that it has for itself, at which there are programs of its
    /// own, or a proxy for many clients.
    static func counted(_ address: SocketAddress?) -> ClientAddress? {
        let client = ClientAddress(address)
        return client == localIPv4 || client == localIPv6 ? nil : client
    }

    private static let localIPv4 = ClientAddress(bits: UInt64(UInt32(0x7F00_0001).bigEndian), isIPv4: true)
    /// All of `::/64`, in which nobody else is.
    private static let localIPv6 = ClientAddress(bits: 0, isIPv4: false)

    private init(bits: UInt64, isIPv4: Bool) {
        self.bits = bits
        self.isIPv4 = isIPv4
    }
}

/// Counts the connections of each client.
final class ClientConnections: Sendable {
    private let max: Int
    private let counts = Mutex<[ClientAddress: Int]>([:])

    init(max: Int) {
        self.max = max
    }

    /// Takes a place for a connection. `false` if the client has as many as it may.
    func take(_ client: ClientAddress) -> Bool {
        counts.withLock { counts in
            let count = counts[client, default: 0]
            guard count < max else { return false }
            counts[client] = count + 1
            return true
        }
    }

    /// Gives a place back that was taken.
    func giveBack(_ client: ClientAddress) {
        counts.withLock { counts in
            let count = counts[client, default: 0]
            counts[client] = count > 1 ? count - 1 : nil
        }
    }
}

/// Counts the requests of each client: as many a second as it may on average, and as many at once.
final class ClientRequests: Sendable {
    /// More clients than that are not told apart for a while.
    static let clientsMax = 100_000

    /// When the next request would be due if the client had sent all of them evenly.
    private struct State {
        var dueSeconds: [ClientAddress: Double] = [:]
    }

    private let secondsEach: Double
    private let nowSeconds: @Sendable () -> Double
    private let state = Mutex(State())

    /// - Parameters:
    ///   - perSecondMax: more than 0.
    ///   - nowSeconds: a clock that never goes back.
    init(perSecondMax: Int, nowSeconds: @escaping @Sendable () -> Double) {
        secondsEach = 1 / Double(perSecondMax)
        self.nowSeconds = nowSeconds
    }

    /// Counts a request. `false` if it is one too many.
    func take(_ client: ClientAddress) -> Bool {
        let now = nowSeconds()
        return state.withLock { state in
            let due = max(state.dueSeconds[client] ?? 0, now)
            // Half a request more or less, since the sums are not exact.
            guard due + secondsEach / 2 < now + max(1, secondsEach) else { return false }
            if state.dueSeconds.count >= Self.clientsMax { state.dueSeconds = state.dueSeconds.filter { $1 > now } }
            guard state.dueSeconds[client] != nil || state.dueSeconds.count < Self.clientsMax else { return true }
            state.dueSeconds[client] = due + secondsEach
            return true
        }
    }
}
