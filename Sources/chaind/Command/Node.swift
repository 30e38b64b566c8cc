// One running node: its database, its HTTP server and its background work, from the start to a stop in order.

import Chain
import Foundation
import Hummingbird
import Logging
import Metrics
import NIOCore
import NIOPosix
import ServiceLifecycle

/// The engine of consensus as the settings describe it.
struct NodeEngine {
    let client: EtcdSettings
    let settings: ConsensusSettings
    /// Whether the node ends if no endpoint answers at its start.
    let isRequired: Bool
}

/// Who may use a node, and how.
struct NodeAccess {
    let credentialFiles: Credentials.Files
    /// The names under which it may be asked.
    let hostNames: [String]
    /// Other origins whose pages may use it.
    let origins: Set<String>
}

/// A node as its settings describe it.
struct Node {
    let host: String
    let port: Int
    let location: NodeLocation
    let access: NodeAccess
    let syncFilePath: String
    let replicaSettings: ReplicaSettings
    let dataDirectory: String
    let databasePath: String
    let listOptions: BlockListOptions
    let limits: HTTPServerLimits
    let probeBounds: ProbeBounds
    let shutdownTimeoutSeconds: Int
    let engine: NodeEngine?
    let logLevel: Logger.Level
    let logFormat: LogFormat

    /// Runs until SIGTERM or SIGINT, and then until the requests that were taken are answered or their time is over.
    ///
    /// - Throws: `OpenError` or `CommandError` if the node cannot be started, or not be closed in order.
    func run() async throws {
        // Until the files can be read again, which they are about to be anyway.
        signal(SIGHUP, SIG_IGN)
        LoggingSystem.bootstrap(logFormat.handler, metadataProvider: RequestID.metadataProvider)
        let recorded = PrometheusMetrics()
        MetricsSystem.bootstrap(recorded)
        let watch = NodeWatch(
            recorded: recorded, verification: Verification(now: systemSeconds), bounds: probeBounds,
            databasePath: databasePath, startedTime: systemSeconds())
        var logger = Logger(label: "chaind")
        logger.logLevel = logLevel
        raiseOpenFileLimit(connectionsMax: limits.connectionsMax, logger: logger)
        let credentials = try Credentials(files: access.credentialFiles)
        try makeDirectory(dataDirectory)
        let client = PeerClient(credentials: { credentials.member })
        let outcome: Result<Void, any Error>
        do {
            try await withEtcd { etcd in
                try await serve(
                    transport: client.transport, etcd: etcd, credentials: credentials, watch: watch, logger: logger)
            }
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        try await client.shutdown()
        try outcome.get()
    }

    /// Calls `body` with the way to etcd, if there is to be one.
    private func withEtcd(_ body: (Etcd?) async throws -> Void) async throws {
        guard let engine else { return try await body(nil) }
        let client = try EtcdClient(settings: engine.client)
        let outcome: Result<Void, any Error>
        do {
            if engine.isRequired { try await checkIsThere(client.etcd, engine) }
            try await body(client.etcd)
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        try await client.shutdown()
        try outcome.get()
    }

    private func checkIsThere(_ etcd: Etcd, _ engine: NodeEngine) async throws {
        do throws(EtcdError) {
            _ = try await etcd.range(EtcdRange(ConsensusKeys(prefix: engine.settings.prefix).head), 1)
        } catch {
            throw CommandError("\(error)")
        }
    }

    private func serve(
        transport: Transport, etcd: Etcd?, credentials: Credentials, watch: NodeWatch, logger: Logger
    ) async throws {
        let time = GroupTime(ownClock: systemSeconds, nowSeconds: monotonicSeconds)
        let list = try await open(time: time, transport: transport, logger: logger)
        let outcome: Result<Void, any Error>
        do {
            try await serve(
                list, time: time, transport: transport, etcd: etcd, credentials: credentials, watch: watch,
                logger: logger)
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        do {
            try await list.close()
        } catch {
            throw CommandError("\(databasePath): closing the database: \(error)")
        }
        try outcome.get()
    }

    /// Opens the database; one that has lost what it needs to be opened is rebuilt first, if any member can be known without
    /// it.
    private func open(time: GroupTime, transport: Transport, logger: Logger) async throws -> BlockList {
        do throws(OpenError) {
            return try await open(time: time)
        } catch {
            let members = error.isDamage ? try await membersBesideTheDatabase() : []
            guard !members.isEmpty else { throw error }
            logger.error("the database is damaged and is rebuilt", metadata: ["reason": "\(error)"])
            logger.tell(try await rebuild(from: members.map { RebuildSource($0, transport: transport) }, time: time))
        }
        return try await open(time: time)
    }

    private func open(time: GroupTime) async throws(OpenError) -> BlockList {
        var options = listOptions
        options.commitObserver = .recording
        return try await BlockList.open(path: databasePath, options: options) { time.seconds }
    }

    private func membersBesideTheDatabase() async throws -> [MemberAddress] {
        let file = SyncFile(path: syncFilePath)
        let addresses = try await NIOThreadPool.singleton.runIfActive { try file.addresses() }
        return Set(addresses + [location.join].compactMap(\.self)).sorted()
    }

    private func rebuild(from sources: [RebuildSource], time: GroupTime) async throws -> RebuildReport {
        do throws(RebuildError) {
            return try await BlockList.rebuild(path: databasePath, from: sources, now: time.seconds)
        } catch {
            throw CommandError("\(databasePath): damaged, and cannot be rebuilt: \(error)")
        }
    }

    private func serve(
        _ list: BlockList, time: GroupTime, transport: Transport, etcd: Etcd?, credentials: Credentials,
        watch: NodeWatch, logger: Logger
    ) async throws {
        // The members have to be told where this node is before it listens.
        let port = port == 0 ? try FreePort.find(host: host) : port
        let nodeID = UUID().uuidString.lowercased()
        let wakeUp = WakeUp()
        let isEmpty = list.status.height == 0
        let ownAddress = try location.ownAddress(port: port)
        let orderWakeUp = WakeUp()
        let consensus = consensus(
            list, etcd: etcd, transport: transport, ownAddress: ownAddress, nodeID: nodeID, time: time, logger: logger,
            wakeUp: orderWakeUp)
        let replica = try await Replica(
            list: list, ownAddress: ownAddress, nodeID: nodeID, isTold: isEmpty || location.join != nil,
            transport: transport, time: time, settings: replicaSettings, logger: logger,
            generator: SystemRandomNumberGenerator(), consensus: consensus, verification: watch.verification,
            onChange: { wakeUp.ring() })
        await consensus?.tellMembers { [weak replica] group in await replica?.orderChanged(group) }
        if let join = location.join { await replica.found([join]) }
        let syncFile = SyncFileKeeper(file: SyncFile(path: syncFilePath), logger: logger)
        await syncFile.look(replica)
        let (listening, isListening) = AsyncStream.makeStream(of: Void.self)
        let (orderListening, isOrderListening) = AsyncStream.makeStream(of: Void.self)
        let (systemdListening, isSystemdListening) = AsyncStream.makeStream(of: Void.self)
        let group = GroupService(
            replica: replica, syncFile: syncFile, wakeUp: wakeUp, listening: listening,
            stopSeconds: Double(shutdownTimeoutSeconds) / 2)
        let gate = RequestGate(
            hosts: HostNames(access.hostNames), origins: access.origins, credentials: credentials,
            requests: limits.clientRequestsPerSecond > 0
                ? ClientRequests(perSecondMax: limits.clientRequestsPerSecond, nowSeconds: monotonicSeconds) : nil)
        let server = try makeHTTPServer(
            replica: replica, host: host, port: port, gate: gate, limits: limits, watch: watch, nodeID: nodeID,
            logger: logger
        ) { [host, databasePath] address in
            isListening.yield()
            isOrderListening.yield()
            isSystemdListening.yield()
            logger.notice(
                "listening",
                metadata: [
                    "address": "\(address?.ipAddress ?? host):\(address?.port ?? port)", "database": "\(databasePath)",
                    "height": "\(list.status.height)",
                ])
        }
        var services: [ServiceGroupConfiguration.ServiceConfiguration] = [
            .init(service: server),
            .init(
                service: BackgroundValidation(list: list, verification: watch.verification, logger: logger),
                successTerminationBehavior: .ignore),
            .init(
                service: CredentialsReloading(credentials: credentials, logger: logger),
                successTerminationBehavior: .ignore),
            // Stopped before, while the members can still fetch what only this node has.
            .init(service: group),
        ]
        if let consensus {
            services.append(
                .init(
                    service: ConsensusService(
                        consensus: consensus, wakeUp: orderWakeUp, listening: orderListening,
                        stopSeconds: Double(shutdownTimeoutSeconds) / 4)))
        }
        if let socket = NotifySocket(environment: ProcessInfo.processInfo.environment) {
            services.append(
                .init(
                    service: SystemdService(socket: socket, list: list, listening: systemdListening, logger: logger)))
        }
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(shutdownTimeoutSeconds)
        do {
            try await ServiceGroup(configuration: configuration).run()
        } catch {
            throw CommandError("\(host):\(port): cannot listen: \(connectionReason(of: error))")
        }
    }

    private func consensus(
        _ list: BlockList, etcd: Etcd?, transport: Transport, ownAddress: MemberAddress, nodeID: String,
        time: GroupTime, logger: Logger, wakeUp: WakeUp
    ) -> Consensus? {
        guard let etcd, let engine else { return nil }
        return Consensus(
            list: list, etcd: etcd, peers: transport, settings: engine.settings, options: listOptions,
            ownAddress: ownAddress, nodeID: nodeID, time: time, logger: logger,
            generator: SystemRandomNumberGenerator(),
            pause: { seconds in
                do {
                    try await Task.sleep(for: .seconds(seconds))
                } catch {
                    // The node stops, and whoever waits looks for that.
                }
            }, onChange: { wakeUp.ring() }, onAppend: ConsensusService.appendCame)
    }
}

/// Validates the list once after the start, while it is served already.
private struct BackgroundValidation: Service {
    let list: BlockList
    let verification: Verification
    let logger: Logger

    func run() async throws {
        let start = ContinuousClock.now
        do {
            try await cancelWhenGracefulShutdown { try await list.validateInBackground() }
            let status = list.status
            verification.validationEnded(
                blocks: status.height + 1, durationSeconds: (ContinuousClock.now - start) / .seconds(1),
                isValid: status.damagedHeights.isEmpty)
            if status.damagedHeights.isEmpty {
                logger.notice("validated", metadata: ["height": "\(status.height)"])
            } else {
                logger.error("blocks are damaged", metadata: ["heights": "\(status.damagedHeights)"])
            }
        } catch is CancellationError {
            // The node stops.
        } catch {
            logger.error("the validation after the start failed", metadata: ["reason": "\(error)"])
        }
    }
}
