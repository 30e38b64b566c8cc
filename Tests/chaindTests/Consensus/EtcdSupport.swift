// What the tests of the client of etcd share.

import TestSupport

@testable import chaind

/// A client for as long as the body runs.
func withEtcdClient(_ settings: EtcdSettings, _ body: (Etcd) async throws -> Void) async throws {
    let client = try EtcdClient(settings: settings)
    do {
        try await body(client.etcd)
    } catch {
        try await client.shutdown()
        throw error
    }
    try await client.shutdown()
}

/// What a request fails with, if it does.
func etcdFailure<Answer>(_ request: () async throws -> Answer) async throws -> EtcdError? {
    do {
        _ = try await request()
        return nil
    } catch let error as EtcdError {
        return error
    }
}

extension EtcdError {
    /// Whether what was asked for may still happen.
    var isUnknown: Bool { if case .unknown = self { true } else { false } }
    var isRefused: Bool { if case .refused = self { true } else { false } }
    var isDenied: Bool { if case .denied = self { true } else { false } }
}

extension EtcdTransaction {
    /// Writes a key.
    static func put(_ key: String, _ value: String, leaseID: Int? = nil) -> EtcdTransaction {
        EtcdTransaction(success: [.put(key, Array(value.utf8), leaseID: leaseID)])
    }

    /// Writes a key that is not there.
    static func create(_ key: String, _ value: String) -> EtcdTransaction {
        EtcdTransaction(
            comparisons: [.createRevision(key, 0)], success: [.put(key, Array(value.utf8))],
            failure: [.range(EtcdRange(key))])
    }
}

extension EtcdEvent {
    /// As `key=value`, or `-key` for a deletion.
    var text: String {
        switch self {
        case .put(let entry): "\(entry.key)=\(String(decoding: entry.value, as: UTF8.self))"
        case .deleted(let key, _): "-\(key)"
        }
    }
}

extension EtcdWatch {
    /// The next so many changes.
    func next(_ count: Int) async throws -> [EtcdEvent] {
        var events: [EtcdEvent] = []
        while events.count < count {
            guard let next = try await next() else { throw TestSupportError("the watch ends after \(events)") }
            events += next
        }
        return events
    }
}
