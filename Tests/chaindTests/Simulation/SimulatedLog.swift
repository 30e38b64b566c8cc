// The log of a simulated node: nothing, or lines of the trace.

import Logging

@testable import chaind

extension Simulation {
    /// The logger of a node.
    nonisolated func logger(of node: Int) -> Logger {
        Logger(label: "\(node)") { [isTraced] label -> any LogHandler in
            if isTraced { TraceLog(node: label) } else { SwiftLogNoOpLogHandler() }
        }
    }
}

private struct TraceLog: LogHandler {
    let node: String
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.notice

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let metadata = event.metadata.map { " \($0.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" })" }
        print("\t\tnode \(node): \(event.message)\(metadata ?? "")")
    }
}
