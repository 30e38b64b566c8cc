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
        return Node(
            host: host,
            port: port,
            location: try NodeLocation(
                host: host, url: try source.value(Settings.url, flag: url),
                join: try source.value(Settings.join, flag: join)),
            syncFilePath: try source.value(Settings.syncFile, flag: syncFile),
            replicaSettings: replicaSettings,
            dataDirectory: dataDirectory,
            databasePath: try Settings.databasePath(dataDirectory: dataDirectory, source: source),
            listOptions: options,
            limits: HTTPServerLimits(
                dataSizeBytesMax: dataSizeBytesMax,
                connectionsMax: try source.value(Settings.connectionsMax, flag: connectionsMax),
                bufferSizeBytesMax: try source.value(Settings.bufferSizeBytesMax, flag: bufferSizeBytesMax),
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
        func text(_ setting: Setting<String>, _ flag: String?) throws(SettingError) -> String? {
            let value = try source.value(setting, flag: flag)
            return value.isEmpty ? nil : value
        }
        var client = EtcdSettings(
            endpoints: endpoints.split(separator: ",", omittingEmptySubsequences: false).map(String.init))
        client.userName = try text(Settings.etcdUser, etcdUser)
        client.caPath = try text(Settings.etcdCA, etcdCa)
        client.certificatePath = try text(Settings.etcdCertificate, etcdCert)
        client.keyPath = try text(Settings.etcdKey, etcdKey)
        if let path = try text(Settings.etcdPasswordFile, etcdPasswordFile) {
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
