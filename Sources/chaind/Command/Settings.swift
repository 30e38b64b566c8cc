// Every setting of the program, declared once: name, default, limits, unit and help.

import Chain

/// The settings, by the names of their flags.
enum Settings {
    static let host = Setting<String>(
        "host", default: "127.0.0.1", help: "The address or host name to listen on.")
    static let port = Setting<Int>(
        "port", default: 8000, in: 0...65_535, originalName: "UVICORN_PORT",
        help: "The TCP port to listen on; 0 takes a free one.")
    static let dataDirectory = Setting<String>(
        "data-dir", default: "db",
        help: "The folder of the database, made if missing; the file is chain.db, or SERVER_ID.db where that is set.")
    static let syncFile = Setting<String>(
        "sync-file", default: "sync.json",
        help: "The file with the addresses of the members; nodes of one machine may share it.")
    static let url = Setting<String>(
        "url", default: "", acceptsEmpty: true,
        help: "Where other nodes find this one. Needed with a host, or a node to join, that is not on this machine; "
            + "else it is http://localhost:PORT.")
    static let join = Setting<String>(
        "join", default: "", acceptsEmpty: true, help: "A node whose group this one is to join, as its URL.")
    static let intervalSeconds = Setting<Int>(
        "interval-seconds", default: 5, in: 1...3_600, help: "How often members are checked and synced with.")
    static let membersMax = Setting<Int>(
        "members-max", default: 64, in: 1...1_024, help: "How many members the group may have.")
    static let orphanSeconds = Setting<Int>(
        "orphan-seconds", default: 30, in: 1...86_400,
        help: "How long a replaced block may be missing before a node appends it again that only held it, in seconds.")
    static let settledSeconds = Setting<Int>(
        "settled-seconds", default: 86_400, in: 60...31_536_000,
        help: "How old a block must be before it is settled, in seconds.")
    static let scrubMegabytesPerSecond = Setting<Int>(
        "scrub-megabytes-per-second", default: 8, in: 0...10_000,
        help: "How much of the database is checked in the background; 0 checks nothing after the start.")
    static let logLevel = Setting<LogLevel>(
        "log-level", default: LogLevel(.notice), help: "What is logged to standard error.")
    static let logFormat = Setting<LogFormat>(
        "log-format", default: .text, help: "How it is logged: as text, or as one JSON object a line.")

    static let dataSizeBytesMax = Setting<Int>(
        "data-size-bytes-max", default: 1 << 20, in: 1...16 << 20,
        help: "The largest text of a block, in bytes of UTF-8.")
    static let queueAppendsMax = Setting<Int>(
        "queue-appends-max", default: 10_000, in: 1...1_000_000, help: "How many appends may wait for the disk.")
    static let queueSizeBytesMax = Setting<Int>(
        "queue-size-bytes-max", default: 64 << 20, in: 16 << 20...16 << 30,
        help: "How much text may wait for the disk, in bytes of UTF-8.")
    static let readers = Setting<Int>(
        "readers", default: 4, in: 1...64, help: "How many connections read the database at once.")
    static let hashesMax = Setting<Int>(
        "hashes-max", default: 20_000_000, in: 0...2_000_000_000,
        help: "How many blocks are found by their hash without a scan; each takes some bytes of memory.")

    static let hashing = Setting<HashLanes>(
        "hashing", help: "How stored blocks are checked; by openssl alone, one after the other, if in doubt.")

    static let connectionsMax = Setting<Int>(
        "connections-max", default: 1_024, in: 1...65_536, help: "How many clients may be connected at once.")
    static let clientConnectionsMax = Setting<Int>(
        "client-connections-max", default: 256, in: 1...65_536,
        help: "How many of these may come from one address but 127.0.0.1 and ::1; more are closed.")
    static let clientRequestsPerSecond = Setting<Int>(
        "client-requests-per-second", default: 0, in: 0...1_000_000,
        help: "How many requests one address may send in a second, without those of members; 0 for any number.")
    static let headerTimeoutSeconds = Setting<Int>(
        "header-timeout-seconds", default: 10, in: 1...3_600,
        help: "How long the head of a request may take from its first byte on, and the greeting of TLS, in seconds.")
    static let bufferSizeBytesMax = Setting<Int>(
        "buffer-size-bytes-max", default: 256 << 20, in: 128 << 20...64 << 30,
        help: "How much memory the requests and answers under way may take together, in bytes.")
    static let bodyTimeoutSeconds = Setting<Int>(
        "body-timeout-seconds", default: 30, in: 1...3_600, help: "How long the body of a request may take, in seconds."
    )
    static let idleTimeoutSeconds = Setting<Int>(
        "idle-timeout-seconds", default: 60, in: 1...3_600,
        help: "How long a connection may stay without a request, or not take its answer, in seconds.")
    static let listenersMax = Setting<Int>(
        "listeners-max", default: 500, in: 0...65_536,
        help: "How many may listen to the events of the list at once, of the connections there are.")
    static let readyLagBlocks = Setting<Int>(
        "ready-lag-blocks", default: 100, in: 0...1_000_000_000,
        help: "How many blocks a node may lack that its group has, and still be ready (/ready).")
    static let verifiedSeconds = Setting<Int>(
        "verified-seconds", default: 86_400, in: 1...31_536_000,
        help: "How long ago the whole list may have been looked at (/verified), in seconds.")
    static let shutdownTimeoutSeconds = Setting<Int>(
        "shutdown-timeout-seconds", default: 20, in: 1...3_600,
        help: "How long requests that were taken may last after a stop was asked for, in seconds.")

    static let tlsCertificate = Setting<String>(
        "tls-cert", default: "", acceptsEmpty: true,
        help:
            "The file with the certificate of this node and those between it and its authority, in PEM: the node speaks "
            + "TLS, and shows it to other members.")
    static let tlsKey = Setting<String>(
        "tls-key", default: "", acceptsEmpty: true, help: "The file with the key of that certificate, in PEM.")
    static let tlsCA = Setting<String>(
        "tls-ca", default: "", acceptsEmpty: true,
        help:
            "The file with the certificates by which those of members and clients are judged, in PEM; without it those of "
            + "the system.")
    static let tlsRequireClients = Setting<Bool>(
        "tls-require-clients", help: "Serve only those who show a certificate that tls-ca vouches for.")
    static let tokensFile = Setting<String>(
        "tokens-file", default: "", acceptsEmpty: true,
        help: "The file with the tokens of which one is needed to do anything, as chaind token writes it.")
    static let memberTokenFile = Setting<String>(
        "member-token-file", default: "", acceptsEmpty: true,
        help: "The file with the token that this node shows other members.")
    static let allowHost = Setting<String>(
        "allow-host", default: "", acceptsEmpty: true,
        help:
            "Names under which the node may be asked besides addresses, localhost and those of host and url, with commas "
            + "between them; * for any.")
    static let allowOrigin = Setting<String>(
        "allow-origin", default: "", acceptsEmpty: true,
        help:
            "Origins whose pages may use the node besides its own, as in https://example.com, with commas between them."
    )
    static let insecure = Setting<Bool>(
        "insecure",
        help: "Listen on other addresses than those of this machine alone without TLS, or without asking who comes.")

    static let etcd = Setting<String>(
        "etcd", default: "", acceptsEmpty: true,
        help: "The endpoints of an etcd that puts the group's appends in order, as URLs with commas between them. "
            + "Without it there is no engine: every node takes appends at any time.")
    static let etcdPrefix = Setting<String>(
        "etcd-prefix", default: "chaind", help: "What the group's keys in etcd begin with; one for each group.")
    static let etcdUser = Setting<String>(
        "etcd-user", default: "", acceptsEmpty: true, help: "The user that etcd knows this node by.")
    static let etcdPasswordFile = Setting<String>(
        "etcd-password-file", default: "", acceptsEmpty: true, help: "The file with that user's password.")
    static let etcdCA = Setting<String>(
        "etcd-ca", default: "", acceptsEmpty: true,
        help: "The file with the certificates by which etcd's are judged, in PEM.")
    static let etcdCertificate = Setting<String>(
        "etcd-cert", default: "", acceptsEmpty: true, help: "The file with this node's certificate for etcd, in PEM.")
    static let etcdKey = Setting<String>(
        "etcd-key", default: "", acceptsEmpty: true, help: "The file with the key of that certificate, in PEM.")
    static let requireEtcd = Setting<Bool>(
        "require-etcd", help: "Whether the node ends if no endpoint answers at its start, and does not wait for one.")
    static let etcdCompact = Setting<Bool>(
        "etcd-compact", help: "Whether etcd has no other users, so that the leader may compact its history.")
    static let etcdTailMegabytes = Setting<Int>(
        "etcd-tail-megabytes", default: 64, in: 1...1_024,
        help: "How much of the list etcd keeps at most while a majority of the members is missing, in MiB.")
    static let etcdQuotaMegabytes = Setting<Int>(
        "etcd-quota-megabytes", default: 2_048, in: 16...65_536,
        help: "How large etcd's database may become (its --quota-backend-bytes), in MiB.")

    /// The database file in a data folder: the original's `SERVER_ID` names it where it is set.
    ///
    /// - Throws: `SettingError` if `SERVER_ID` is no file name.
    static func databasePath(dataDirectory: String, source: SettingSource) throws(SettingError) -> String {
        let serverID = try source.environmentValue("SERVER_ID")
        guard let serverID else { return dataDirectory + "/chain.db" }
        guard !serverID.isEmpty, !serverID.contains("/"), !serverID.contains("\0") else {
            throw SettingError(description: "SERVER_ID must be a file name: not empty and without a slash")
        }
        return dataDirectory + "/\(serverID).db"
    }
}
