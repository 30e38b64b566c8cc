// One running node: its database, its HTTP server and its background work, from the start to a stop in order.

import Chain
import Foundation
import Hummingbird
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle

/// A node as its settings describe it.
struct Node {
    let host: String
    let port: Int
    let location: NodeLocation
    let syncFilePath: String
    let replicaSettings: ReplicaSettings
    let dataDirectory: String
    let databasePath: String
    let listOptions: BlockListOptions
    let limits: HTTPServerLimits
    let shutdownTimeoutSeconds: Int
    let logLevel: Logger.Level

    /// Runs until SIGTERM or SIGINT, and then until the requests that were taken are answered or their time is over.
    ///
    /// - Throws: `OpenError` or `CommandError` if the node cannot be started, or not be closed in order.
    func run() async throws {
        LoggingSystem.bootstrap(StreamLogHandler.standardError)
        var logger = Logger(label: "chaind")
        logger.logLevel = logLevel
        raiseOpenFileLimit(connectionsMax: limits.connectionsMax, logger: logger)
        try makeDirectory(dataDirectory)
        let client = PeerClient()
        let outcome: Result<Void, any Error>
        do {
            try await serve(transport: client.transport, logger: logger)
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        try await client.shutdown()
        try outcome.get()
    }

    private func serve(transport: Transport, logger: Logger) async throws {
        let time = GroupTime(ownClock: systemSeconds, nowSeconds: monotonicSeconds)
        let list = try await open(time: time, transport: transport, logger: logger)
        let outcome: Result<Void, any Error>
        do {
            try await serve(list, time: time, transport: transport, logger: logger)
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
        try await BlockList.open(path: databasePath, options: listOptions) { time.seconds }
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
        _ list: BlockList, time: GroupTime, transport: Transport, logger: Logger
    ) async throws {
        // The members have to be told where this node is before it listens.
        let port = port == 0 ? try FreePort.find(host: host) : port
        let nodeID = UUID().uuidString.lowercased()
        let wakeUp = WakeUp()
        let isEmpty = list.status.height == 0
        let replica = try await Replica(
            list: list, ownAddress: try location.ownAddress(port: port), nodeID: nodeID,
            isTold: isEmpty || location.join != nil, transport: transport, time: time, settings: replicaSettings,
            logger: logger, generator: SystemRandomNumberGenerator(), onChange: { wakeUp.ring() })
        if let join = location.join { await replica.found([join]) }
        let syncFile = SyncFileKeeper(file: SyncFile(path: syncFilePath), logger: logger)
        await syncFile.look(replica)
        let (listening, isListening) = AsyncStream.makeStream(of: Void.self)
        let group = GroupService(
            replica: replica, syncFile: syncFile, wakeUp: wakeUp, listening: listening,
            stopSeconds: Double(shutdownTimeoutSeconds) / 2)
        let server = makeHTTPServer(
            replica: replica, host: host, port: port, limits: limits, nodeID: nodeID, logger: logger
        ) { [host, databasePath] address in
            isListening.yield()
            logger.notice(
                "listening",
                metadata: [
                    "address": "\(address?.ipAddress ?? host):\(address?.port ?? port)", "database": "\(databasePath)",
                    "height": "\(list.status.height)",
                ])
        }
        var configuration = ServiceGroupConfiguration(
            services: [
                .init(service: server),
                .init(
                    service: BackgroundValidation(list: list, logger: logger), successTerminationBehavior: .ignore),
                // Stopped first, while the members can still fetch what only this node has.
                .init(service: group),
            ],
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(shutdownTimeoutSeconds)
        do {
            try await ServiceGroup(configuration: configuration).run()
        } catch {
            throw CommandError("\(host):\(port): cannot listen: \(Node.reason(of: error))")
        }
    }

    private static func reason(of error: any Error) -> String {
        guard let error = error as? IOError else { return "\(error)" }
        return String(cString: strerror(error.errnoCode))
    }
}

/// Validates the list once after the start, while it is served already.
private struct BackgroundValidation: Service {
    let list: BlockList
    let logger: Logger

    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown { try await list.validateInBackground() }
            let status = list.status
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
