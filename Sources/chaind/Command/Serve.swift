// `chaind serve`: runs a node until it is told to stop.

import ArgumentParser
import Chain
import Configuration

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
    @Option(Settings.dataSizeBytesMax) var dataSizeBytesMax: Int?
    @Option(Settings.queueAppendsMax) var queueAppendsMax: Int?
    @Option(Settings.queueSizeBytesMax) var queueSizeBytesMax: Int?
    @Option(Settings.bufferSizeBytesMax) var bufferSizeBytesMax: Int?
    @Option(Settings.connectionsMax) var connectionsMax: Int?
    @Option(Settings.bodyTimeoutSeconds) var bodyTimeoutSeconds: Int?
    @Option(Settings.idleTimeoutSeconds) var idleTimeoutSeconds: Int?
    @Option(Settings.shutdownTimeoutSeconds) var shutdownTimeoutSeconds: Int?
    @Option(Settings.scrubMegabytesPerSecond) var scrubMegabytesPerSecond: Int?
    @Option(Settings.readers) var readers: Int?
    @Option(Settings.hashesMax) var hashesMax: Int?
    @Option(Settings.hashing) var hashing: HashLanes?

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
                idleTimeoutSeconds: try source.value(Settings.idleTimeoutSeconds, flag: idleTimeoutSeconds)),
            shutdownTimeoutSeconds: try source.value(Settings.shutdownTimeoutSeconds, flag: shutdownTimeoutSeconds),
            logLevel: try source.value(Settings.logLevel, flag: logLevel).level)
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
