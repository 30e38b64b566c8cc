// One running node: its database, its HTTP server and its background work, from the start to a stop in order.

import Chain
import Foundation
import Hummingbird
import Logging
import NIOCore
import ServiceLifecycle

/// A node as its settings describe it.
struct Node {
    let host: String
    let port: Int
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
        let list = try await BlockList.open(path: databasePath, options: listOptions, now: systemSeconds)
        let outcome: Result<Void, any Error>
        do {
            try await serve(list, logger: logger)
            outcome = .success(())
        } catch {
            outcome = .failure(CommandError("\(host):\(port): cannot listen: \(Node.reason(of: error))"))
        }
        do {
            try await list.close()
        } catch {
            throw CommandError("\(databasePath): closing the database: \(error)")
        }
        try outcome.get()
    }

    private func serve(_ list: BlockList, logger: Logger) async throws {
        let server = makeHTTPServer(
            list: list, host: host, port: port, limits: limits, nodeID: UUID().uuidString.lowercased(), logger: logger
        ) { [host, port, databasePath] address in
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
            ],
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(shutdownTimeoutSeconds)
        try await ServiceGroup(configuration: configuration).run()
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
