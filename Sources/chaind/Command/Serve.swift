// `chaind serve`: runs a node until it is told to stop.

import ArgumentParser
import Chain
import Configuration
import Foundation

/// Runs a node.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a node: keep the list in a database and serve it over HTTP.",
        discussion: """
            Each setting is a flag, an environment variable, and a key of the file that --config names, in this order \
            of precedence. The file is a JSON object with the flags' names as keys, as in {"port": 8000}.
            """)

    @Option(Settings.host) var host: String?
    @Option(Settings.port) var port: Int?
    @Option(Settings.dataDirectory) var dataDirectory: String?
    @Option(help: "A JSON file with settings. (default: none; environment: CHAIND_CONFIG)") var config: String?
    @Option(Settings.syncFile) var syncFile: String?
    @Option(Settings.url) var url: String?
    @Option(Settings.join) var join: String?
    @Option(Settings.intervalSeconds) var intervalSeconds: Int?
    @Option(Settings.membersMax) var membersMax: Int?
    @Option(Settings.orphanSeconds) var orphanSeconds: Int?
    @Option(Settings.settledSeconds) var settledSeconds: Int?
    @Option(Settings.logLevel) var logLevel: LogLevel?
    @Option(Settings.logFormat) var logFormat: LogFormat?
    @Option(Settings.dataSizeBytesMax) var dataSizeBytesMax: Int?
    @Option(Settings.queueAppendsMax) var queueAppendsMax: Int?
    @Option(Settings.queueSizeBytesMax) var queueSizeBytesMax: Int?
    @Option(Settings.bufferSizeBytesMax) var bufferSizeBytesMax: Int?
    @Option(Settings.connectionsMax) var connectionsMax: Int?
    @Option(Settings.clientConnectionsMax) var clientConnectionsMax: Int?
    @Option(Settings.clientRequestsPerSecond) var clientRequestsPerSecond: Int?
    @Option(Settings.headerTimeoutSeconds) var headerTimeoutSeconds: Int?
    @Option(Settings.bodyTimeoutSeconds) var bodyTimeoutSeconds: Int?
    @Option(Settings.idleTimeoutSeconds) var idleTimeoutSeconds: Int?
    @Option(Settings.listenersMax) var listenersMax: Int?
    @Option(Settings.readyLagBlocks) var readyLagBlocks: Int?
    @Option(Settings.verifiedSeconds) var verifiedSeconds: Int?
    @Option(Settings.shutdownTimeoutSeconds) var shutdownTimeoutSeconds: Int?
    @Option(Settings.scrubMegabytesPerSecond) var scrubMegabytesPerSecond: Int?
    @Option(Settings.readers) var readers: Int?
    @Option(Settings.hashesMax) var hashesMax: Int?
    @Option(Settings.hashing) var hashing: HashLanes?

    @Option(Settings.tlsCertificate) var tlsCert: String?
    @Option(Settings.tlsKey) var tlsKey: String?
    @Option(Settings.tlsCA) var tlsCa: String?
    @Flag(Settings.tlsRequireClients) var tlsRequireClients = false
    @Option(Settings.tokensFile) var tokensFile: String?
    @Option(Settings.memberTokenFile) var memberTokenFile: String?
    @Option(Settings.allowHost) var allowHost: String?
    @Option(Settings.allowOrigin) var allowOrigin: String?
    @Flag(Settings.insecure) var insecure = false

    @Option(Settings.etcd) var etcd: String?
    @Option(Settings.etcdPrefix) var etcdPrefix: String?
    @Option(Settings.etcdUser) var etcdUser: String?
    @Option(Settings.etcdPasswordFile) var etcdPasswordFile: String?
    @Option(Settings.etcdCA) var etcdCa: String?
    @Option(Settings.etcdCertificate) var etcdCert: String?
    @Option(Settings.etcdKey) var etcdKey: String?
    @Flag(Settings.requireEtcd) var requireEtcd = false
    @Flag(Settings.etcdCompact) var etcdCompact = false
    @Option(Settings.etcdTailMegabytes) var etcdTailMegabytes: Int?
    @Option(Settings.etcdQuotaMegabytes) var etcdQuotaMegabytes: Int?

    func run() async throws {
        do {
            try await node().run()
        } catch let error as OpenError {
            throw commandFailure(Serve.refusal(of: error))
        } catch {
            throw commandFailure("\(error)")
        }
    }

    /// The node that the settings ask for.
    private func node() async throws(SettingError) -> Node {
        let source = try await SettingSource(environment: EnvironmentVariablesProvider(), configPath: config)
        let dataDirectory = try source.value(Settings.dataDirectory, flag: dataDirectory)
        let dataSizeBytesMax = try source.value(Settings.dataSizeBytesMax, flag: dataSizeBytesMax)
        var options = BlockListOptions()
        options.dataSizeBytesMax = dataSizeBytesMax
        options.queueAppendsMax = try source.value(Settings.queueAppendsMax, flag: queueAppendsMax)
        options.queueSizeBytesMax = try source.value(Settings.queueSizeBytesMax, flag: queueSizeBytesMax)
        options.readers = try source.value(Settings.readers, flag: readers)
        options.hashesMax = try source.value(Settings.hashesMax, flag: hashesMax)
        options.lanes = try source.value(Settings.hashing, flag: hashing)
        var replicaSettings = ReplicaSettings()
        let intervalSeconds = try source.value(Settings.intervalSeconds, flag: intervalSeconds)
        replicaSettings.pace.checkSeconds = Double(intervalSeconds)
        replicaSettings.pace.syncSeconds = Double(intervalSeconds)
        replicaSettings.membersMax = try source.value(Settings.membersMax, flag: membersMax)
        replicaSettings.orphanSeconds = Double(try source.value(Settings.orphanSeconds, flag: orphanSeconds))
        replicaSettings.settledAgeSeconds = Int64(try source.value(Settings.settledSeconds, flag: settledSeconds))
        replicaSettings.atRest.scrubBytesPerSecond =
            try source.value(Settings.scrubMegabytesPerSecond, flag: scrubMegabytesPerSecond) << 20
        let host = try source.value(Settings.host, flag: host)
        let port = try source.value(Settings.port, flag: port)
        let credentialFiles = try credentialFiles(source)
        let location = try NodeLocation(
            host: host, url: try source.value(Settings.url, flag: url),
            join: try source.value(Settings.join, flag: join), speaksTLS: credentialFiles.tls != nil)
        if !NodeLocation.isLoopback(host), try !source.value(Settings.insecure, flag: insecure ? true : nil) {
            try Serve.checkIsClosed(credentialFiles, host: host)
        }
        return Node(
            host: host,
            port: port,
            location: location,
            access: NodeAccess(
                credentialFiles: credentialFiles,
                hostNames: [host, location.url?.host].compactMap(\.self)
                    + Serve.parts(try source.value(Settings.allowHost, flag: allowHost)),
                origins: try Serve.origins(try source.value(Settings.allowOrigin, flag: allowOrigin))),
            syncFilePath: try source.value(Settings.syncFile, flag: syncFile),
            replicaSettings: replicaSettings,
            dataDirectory: dataDirectory,
            databasePath: try Settings.databasePath(dataDirectory: dataDirectory, source: source),
            listOptions: options,
            limits: HTTPServerLimits(
                dataSizeBytesMax: dataSizeBytesMax,
                connectionsMax: try source.value(Settings.connectionsMax, flag: connectionsMax),
                clientConnectionsMax: try source.value(Settings.clientConnectionsMax, flag: clientConnectionsMax),
                clientRequestsPerSecond: try source.value(
                    Settings.clientRequestsPerSecond, flag: clientRequestsPerSecond),
                bufferSizeBytesMax: try source.value(Settings.bufferSizeBytesMax, flag: bufferSizeBytesMax),
                headerTimeoutSeconds: try source.value(Settings.headerTimeoutSeconds, flag: headerTimeoutSeconds),
                bodyTimeoutSeconds: try source.value(Settings.bodyTimeoutSeconds, flag: bodyTimeoutSeconds),
                idleTimeoutSeconds: try source.value(Settings.idleTimeoutSeconds, flag: idleTimeoutSeconds),
                listenersMax: try source.value(Settings.listenersMax, flag: listenersMax)),
            probeBounds: ProbeBounds(
                lagBlocksMax: try source.value(Settings.readyLagBlocks, flag: readyLagBlocks),
                verifiedSecondsMax: Int64(try source.value(Settings.verifiedSeconds, flag: verifiedSeconds))),
            shutdownTimeoutSeconds: try source.value(Settings.shutdownTimeoutSeconds, flag: shutdownTimeoutSeconds),
            engine: try engine(source, replicaSettings),
            logLevel: try source.value(Settings.logLevel, flag: logLevel).level,
            logFormat: try source.value(Settings.logFormat, flag: logFormat))
    }

    // MARK: Who may come in

    private func credentialFiles(_ source: SettingSource) throws(SettingError) -> Credentials.Files {
        let requiresClients = try source.value(Settings.tlsRequireClients, flag: tlsRequireClients ? true : nil)
        let caPath = try Serve.text(source, Settings.tlsCA, tlsCa)
        let tls: TLSFiles?
        switch (
            try Serve.text(source, Settings.tlsCertificate, tlsCert), try Serve.text(source, Settings.tlsKey, tlsKey)
        ) {
        case (let certificatePath?, let keyPath?):
            tls = TLSFiles(
                certificatePath: certificatePath, keyPath: keyPath, caPath: caPath, requiresClients: requiresClients)
        case (nil, nil):
            guard !requiresClients, caPath == nil else {
                throw SettingError(description: "tls-ca and tls-require-clients need tls-cert and tls-key")
            }
            tls = nil
        default: throw SettingError(description: "tls-cert and tls-key go together")
        }
        guard !requiresClients || caPath != nil else {
            throw SettingError(description: "tls-require-clients needs tls-ca, which says whose clients may come")
        }
        return Credentials.Files(
            tls: tls, tokensPath: try Serve.text(source, Settings.tokensFile, tokensFile),
            memberTokenPath: try Serve.text(source, Settings.memberTokenFile, memberTokenFile))
    }

    /// Where others than this machine reach the node, nobody may listen in, and nobody come who is not known.
    private static func checkIsClosed(_ files: Credentials.Files, host: String) throws(SettingError) {
        guard let tls = files.tls else {
            throw SettingError(
                description: "host (\(host)): others than this machine reach the node there, so it needs tls-cert and "
                    + "tls-key; or insecure, where the network lets in nobody else")
        }
        guard tls.requiresClients || files.tokensPath != nil else {
            throw SettingError(
                description:
                    "host (\(host)): others than this machine reach the node there, so it needs tokens-file or "
                    + "tls-require-clients; or insecure, where the network lets in nobody else")
        }
    }

    /// Origins as browsers spell them: scheme, host and port, without a path.
    private static func origins(_ text: String) throws(SettingError) -> Set<String> {
        var origins: Set<String> = []
        for part in parts(text) {
            do {
                origins.insert(try MemberAddress(part).text)
            } catch {
                throw SettingError(description: "allow-origin (\(part)): not an origin such as https://example.com")
            }
        }
        return origins
    }

    private static func parts(_ text: String) -> [String] {
        text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    }

    /// A setting that may be left out.
    private static func text(
        _ source: SettingSource, _ setting: Setting<String>, _ flag: String?
    ) throws(SettingError) -> String? {
        let value = try source.value(setting, flag: flag)
        return value.isEmpty ? nil : value
    }

    /// The engine of consensus, if one is named.
    private func engine(
        _ source: SettingSource, _ replicaSettings: ReplicaSettings
    ) throws(SettingError) -> NodeEngine? {
        let endpoints = try source.value(Settings.etcd, flag: etcd)
        guard !endpoints.isEmpty else { return nil }
        var settings = ConsensusSettings()
        settings.prefix = try source.value(Settings.etcdPrefix, flag: etcdPrefix)
        while settings.prefix.hasSuffix("/") { settings.prefix.removeLast() }
        guard !settings.prefix.isEmpty, settings.prefix.utf8.count <= 256,
            settings.prefix.utf8.allSatisfy({ 0x21...0x7E ~= $0 })
        else { throw SettingError(description: "etcd-prefix must be 1 to 256 visible ASCII characters") }
        settings.intervalSeconds = replicaSettings.pace.syncSeconds
        settings.membersMax = min(replicaSettings.membersMax, ConsensusSettings.membersLimit)
        settings.mayCompact = try source.value(Settings.etcdCompact, flag: etcdCompact ? true : nil)
        settings.tailSizeBytesMax = try source.value(Settings.etcdTailMegabytes, flag: etcdTailMegabytes) << 20
        settings.quotaSizeBytes = try source.value(Settings.etcdQuotaMegabytes, flag: etcdQuotaMegabytes) << 20
        var client = EtcdSettings(
            endpoints: endpoints.split(separator: ",", omittingEmptySubsequences: false).map(String.init))
        client.userName = try Serve.text(source, Settings.etcdUser, etcdUser)
        client.caPath = try Serve.text(source, Settings.etcdCA, etcdCa)
        client.certificatePath = try Serve.text(source, Settings.etcdCertificate, etcdCert)
        client.keyPath = try Serve.text(source, Settings.etcdKey, etcdKey)
        if let path = try Serve.text(source, Settings.etcdPasswordFile, etcdPasswordFile) {
            client.password = try Serve.password(path)
        }
        return NodeEngine(
            client: client, settings: settings,
            isRequired: try source.value(Settings.requireEtcd, flag: requireEtcd ? true : nil))
    }

    /// The first line of a file.
    private static func password(_ path: String) throws(SettingError) -> String {
        do {
            let text = try String(contentsOfFile: path, encoding: .utf8)
            return String(text.prefix { !$0.isNewline })
        } catch {
            throw SettingError(description: "etcd-password-file (\(path)): cannot be read")
        }
    }

    /// Why a database is not served; for one of the original service, the command that brings its list over.
    private static func refusal(of error: OpenError) -> String {
        guard case .otherProgram = error.reason, OriginalDatabase.isOriginal(path: error.path) else {
            return error.description
        }
        return """
            \(error.path): a database of the original service; bring its list into another folder with: \
            chaind import --original \(error.path) --data-dir OTHERDIR
            """
    }
}
