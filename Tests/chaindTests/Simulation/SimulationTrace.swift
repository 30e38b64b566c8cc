// What is printed of a history that is played again.

import Logging

@testable import Chain
@testable import chaind

extension Simulation {
    /// The logger of a node.
    nonisolated func logger(of node: Int) -> Logger {
        Logger(label: "\(node)") { [isTraced] label -> any LogHandler in
            if isTraced { TraceLog(node: label) } else { SwiftLogNoOpLogHandler() }
        }
    }

    /// Tells what a node answered another one.
    func trace(_ name: String, from caller: Int, to node: Int, _ result: Result<any Sendable, PeerError>) {
        guard isTraced else { return }
        let text: String
        switch result {
        case .failure(let error): text = error.description
        case .success(let answer as StatusMessage):
            if answer.head.hash == nodes[caller].memory.entries.last?.hash { return }
            text = "head \(answer.head.text), settled \(answer.settledHeight)"
        case .success(let answer as LocateAnswer):
            text = "list \(answer.list?.text ?? "none"), staged \(answer.staged?.text ?? "none")"
        case .success(let answer as (OutgoingStream, Int)):
            text = "after \(answer.0.header.after.text) up to \(answer.0.header.head.text)"
        case .success(let answer as PushAnswer):
            text = "\(answer.outcome), head \(answer.head.text) \(answer.detail)"
        case .success(let answer as StreamPart?):
            switch answer {
            case .run(let run): text = "\(run.firstHeight)..<\(run.endHeight), \(run.lastHash.hex.prefix(8))"
            case .tags(let tags): text = "\(tags.count) tags"
            case .end: text = "end"
            case .failed(let reason): text = reason
            case nil: text = "nothing"
            }
        case .success: return
        }
        trace("\(name) \(caller) -> \(node): \(text)")
    }
}

extension BlockPoint {
    /// Enough to tell it from others.
    fileprivate var text: String { "\(height) \(hash.hex.prefix(8))" }
}

struct TraceLog: LogHandler {
    let node: String
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.notice

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let metadata = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { ", \($0.key): \($0.value)" }
        print("\t\tnode \(node): \(event.message)\(metadata.joined())")
    }
}
